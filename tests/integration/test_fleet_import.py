"""Documents become the inventory: all of one or nothing, twice is once, and every fault has its line."""

from pathlib import Path

import pytest

from infra.ledger import Entry, EntryId, InventoryChange, Ledger
from infra.vault import Vault
from schemas.errors import InputError
from services.fleet import Importer, Inventory
from services.fleet.exporting import export_csv, export_toml
from tests.support.imports import (
    DOOR,
    LYON,
    PHONE,
    UID,
    WORD,
    counts,
    faults_of,
    keys,
    written,
)
from tests.support.inventory import NOW, RING, stock
from tests.support.vault import told, vault_of

EXAMPLES = Path(__file__).resolve().parents[2] / "infra" / "deploy" / "examples"


@pytest.mark.parametrize("name", ["fleet.toml", "fleet.csv"])
def test_the_shipped_examples_are_imported_in_either_form(ledger: Ledger, name: str) -> None:
    result = stock(ledger, EXAMPLES / name)
    assert counts(result) == (11, 0, 0, 0)
    fleet = Inventory(ledger).current()
    assert list(fleet.locations) == ["Lobby"]
    assert fleet.site_of(UID) == fleet.sites[0]
    assert fleet.sites[0].skip_rules == ("rotate-invalid-key-set",)
    other = stock(ledger, EXAMPLES / ("fleet.csv" if name == "fleet.toml" else "fleet.toml"), prune=True)
    assert counts(other) == (0, 0, 0, 11)


def test_an_import_merges_and_pruning_removes_what_is_not_named(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    other = written(tmp_path, 'version = 1\n[[sites]]\nname = "nice"\n', "other.toml")
    assert counts(stock(ledger, other)) == (1, 0, 0, 0)
    planned = stock(ledger, other, prune=True, dry_run=True)
    assert keys(planned.removed) == ["site lyon", f"device {UID}", "twon 54-1046-0745", "token alice/sms"]
    assert len(ledger.inventory.snapshot().entries) == 5
    assert stock(ledger, other, prune=True) == planned
    assert [entry.id for entry in ledger.inventory.snapshot().entries] == [EntryId("site", "nice")]
    assert ledger.secrets.names() == []


def test_a_dry_run_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    assert counts(stock(ledger, written(tmp_path, LYON), dry_run=True)) == (4, 0, 0, 0)
    assert (ledger.inventory.revision(), ledger.secrets.names()) == (0, [])


def test_a_thing_moves_to_another_site(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    move = f'version = 1\n[[sites]]\nname = "nice"\ndevices = ["{UID}"]\n'
    result = stock(ledger, written(tmp_path, move))
    assert [(change.site, change.details) for change in result.changed] == [("nice", ("site: lyon → nice",))]
    site = Inventory(ledger).current().site_of(UID)
    assert site is not None
    assert site.name == "nice"


def test_what_is_changed_is_named_key_by_key(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    more = LYON.replace('"https://door"', '"https://gate"\nmay_write = true')
    (change,) = stock(ledger, written(tmp_path, more)).changed
    assert set(change.details) == {"address", "may_write"}


def test_a_document_is_held_against_what_is_there(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    rival = """\
version = 1
[[sites]]
name = "nice"
[[sites.twon]]
serial = "54-1046-0746"
address = "https://DOOR"
location = "Lobby"
auth = "none"
"""
    assert faults_of(ledger, written(tmp_path, rival, "rival.toml")) == [
        "line 6, sites[1].twon[1].address: is the address of 54-1046-0745 too",
        "line 7, sites[1].twon[1].location: is a location of the site lyon; it belongs to one site",
    ]
    assert counts(stock(ledger, written(tmp_path, rival, "rival.toml"), prune=True)) == (2, 0, 4, 0)


def test_every_fault_of_a_document_is_listed_with_its_place(ledger: Ledger, tmp_path: Path) -> None:
    text = f"""\
version = 1
[[sites]]
name = "lyon"
devices = ["{UID}", "{UID.upper()}", "zz"]
[[sites.taps]]
serial = "A1"
address = "http://x"
password = {{ env = "NOT SET" }}
configuration = "absent.toml"
[[sites.taps]]
serial = "A1"
address = "mqtt://me:{WORD}@x"
password = 5
configuration = "tap.toml"
in_clear = "yes"
[[sites.twon]]
serial = "54-1046-0745"
address = "http://door"
location = "Lobby"
pasword = "{WORD}"
[[sites.tokens]]
username = "alice"
type = "sms"
serial = "{PHONE}"
[[sites]]
name = "lyon"
colour = "red"
"""
    faults = faults_of(ledger, written(tmp_path, text))
    assert [fault.partition(": ")[0] for fault in faults] == [
        "line 4, sites[1].devices[2]",
        "line 4, sites[1].devices[3]",
        "line 7, sites[1].taps[1].address",
        "line 8, sites[1].taps[1].password.env",
        "line 10, sites[1].taps[2].relay",
        "line 11, sites[1].taps[2].serial",
        "line 12, sites[1].taps[2].address",
        "line 13, sites[1].taps[2].password",
        "line 15, sites[1].taps[2].in_clear",
        "line 16, sites[1].twon[1].password",
        "line 18, sites[1].twon[1].address",
        "line 20, sites[1].twon[1].pasword",
        "line 21, sites[1].tokens[1].phone",
        "line 24, sites[1].tokens[1].serial",
        "line 26, sites[2].name",
        "line 27, sites[2].colour",
    ]
    assert "did you mean 'password'?" in faults[11]


def test_the_files_that_a_document_names_are_looked_at(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "tap.toml").write_text("nam = 1")
    tap = 'password = "x"\nconfiguration = "tap.toml"\n'
    text = 'version = 1\n[[sites]]\nname = "lyon"\n'
    text += f'[[sites.taps]]\nserial = "A1"\naddress = "tcp://a"\n{tap}'
    text += f'[[sites.taps]]\nserial = "A2"\naddress = "mqtts://b"\n{tap}'
    text += 'relay = { net_key = "k", ca_file = "absent.pem" }\n'
    text += '[[sites.twon]]\nserial = "54-1046-0745"\naddress = "https://d"\nlocation = "L"\nauth = "none"\n'
    text += 'ca_file = "gone.pem"\n'
    faults = faults_of(ledger, written(tmp_path, text))
    assert sorted({fault.partition(": ")[0] for fault in faults}) == [
        "line 14, sites[1].taps[2].relay.ca_file",
        "line 20, sites[1].twon[1].ca_file",
        "line 8, sites[1].taps[1].configuration",
    ]
    assert [fault for fault in faults if "taps[2].configuration" in fault] == []
    assert f"{tmp_path}/tap.toml: line 1, nam: unknown key" in "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("fleet.toml", b"version = 1\n# caf\xe9", "is not UTF-8 text: line 2 has the byte 0xe9"),
        ("fleet.csv", "kind,site\n".encode("utf-16"), "is not UTF-8 text: line 1 has the byte 0xff"),
        ("fleet.toml", f'password = "{WORD}'.encode(), "is not TOML: "),
        ("fleet.toml", b"version = 2", "line 1, version: expected 1"),
        ("fleet.json", b"{}", "expected the name of a file that ends in .toml or .csv"),
        ("fleet", b"", "expected the name of a file that ends in .toml or .csv"),
    ],
)
def test_a_file_that_is_no_document_is_refused(
    ledger: Ledger, tmp_path: Path, name: str, content: bytes, fault: str
) -> None:
    path = written(tmp_path, content, name)
    with pytest.raises(InputError) as caught:
        stock(ledger, path)
    assert fault in str(caught.value)
    assert WORD not in told(caught.value)


def test_a_mark_at_the_beginning_and_windows_line_ends_do_no_harm(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, b"\xef\xbb\xbf" + LYON.replace("\n", "\r\n").encode()))
    entries = ledger.inventory.snapshot().entries
    rows = b"\xef\xbb\xbf" + export_csv(entries).encode()
    assert counts(stock(ledger, written(tmp_path, rows, "fleet.CSV"), prune=True)) == (0, 0, 0, 4)


def test_an_import_that_comes_second_begins_again(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path, LYON)
    rival = written(tmp_path, 'version = 1\n[[sites]]\nname = "nice"\n', "rival.toml")
    opened: list[int] = []

    def open_vault() -> Vault:
        if not opened:
            opened.append(1)
            stock(ledger, rival)
        return vault_of(ledger, RING)

    result = Importer(ledger, open_vault, clock=lambda: NOW).take(path)
    assert counts(result) == (4, 0, 0, 0)
    assert [site.name for site in Inventory(ledger).current().sites] == ["lyon", "nice"]


def test_an_inventory_that_never_stands_still_is_told(ledger: Ledger, tmp_path: Path) -> None:
    def open_vault() -> Vault:
        name = f"site-{ledger.inventory.revision()}"
        stock(ledger, written(tmp_path, f'version = 1\n[[sites]]\nname = "{name}"\n', "rival.toml"))
        return vault_of(ledger, RING)

    with pytest.raises(InputError, match="is being changed by somebody else"):
        Importer(ledger, open_vault, clock=lambda: NOW).take(written(tmp_path, LYON))
    assert EntryId("site", "lyon") not in {entry.id for entry in ledger.inventory.snapshot().entries}


def test_a_process_sees_a_change_at_its_next_look_and_reads_once(ledger: Ledger, tmp_path: Path) -> None:
    inventory = Inventory(ledger)
    assert inventory.current().sites == ()
    stock(ledger, written(tmp_path, LYON))
    first = inventory.current()
    assert [site.name for site in first.sites] == ["lyon"]
    assert inventory.current() is first


def test_an_entry_that_cannot_be_read_is_named(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    entry = Entry(id=EntryId("tap", "A1"), site="lyon", fields={"serial": "A1", "colour": "red"})
    ledger.inventory.store(InventoryChange(based_on=1, upserts=[entry]), NOW)
    fleet = Inventory(ledger).current()
    assert "54-1046-0745" in fleet.twon
    with pytest.raises(InputError, match=r"the inventory's tap A1 cannot be read .*colour.*: import it again"):
        fleet.taps["A1"]
    assert keys(stock(ledger, written(tmp_path, LYON), prune=True).removed) == ["tap A1"]


@pytest.mark.parametrize(
    ("entry", "left_out"),
    [
        (Entry(id=EntryId("site", "lyon"), site="lyon", fields={"skip_rules": ["one"], "colour": 1}), "colour"),
        (Entry(id=EntryId("device", "zz"), site="lyon", fields={}), "devices.0"),
        (Entry(id=EntryId("camera", "c"), site="lyon", fields={}), "its kind"),
        (Entry(id=EntryId("tap", "A1"), site="Not One", fields={}), "site, serial, address"),
        (Entry(id=EntryId("twon", "54-1046-0746"), site="nice", fields=DOOR), "location is a location of another"),
    ],
)
def test_whatever_cannot_be_read_the_rest_of_the_inventory_stands(
    ledger: Ledger, tmp_path: Path, entry: Entry, left_out: str
) -> None:
    stock(ledger, written(tmp_path, LYON))
    ledger.inventory.store(InventoryChange(based_on=1, upserts=[entry]), NOW)
    fleet = Inventory(ledger).current()
    (unreadable,) = fleet.unreadable
    assert (unreadable.kind, unreadable.key) == entry.id
    assert left_out in unreadable.fault
    site = fleet.site_of(UID)
    assert site is not None
    assert len(site.twon) == len(site.tokens) == 1
    assert site.skip_rules == tuple(entry.fields.get("skip_rules", ()))
    assert keys(stock(ledger, written(tmp_path, LYON), prune=True).removed)[:1] == (
        [] if entry.id.kind == "site" else [f"{entry.id.kind} {entry.id.key}"]
    )


def test_a_device_that_changes_its_location_is_remarked(ledger: Ledger, tmp_path: Path) -> None:
    assert stock(ledger, written(tmp_path, LYON)).remarks == ()
    moved = written(tmp_path, LYON.replace("Lobby", "Hall"))
    planned = stock(ledger, moved, dry_run=True)
    (remark,) = planned.remarks
    assert remark == (
        "54-1046-0745: mobile keys stay known under the location Lobby; the next rotation of Hall takes over those that"
        " it knows by their public half"
    )
    assert stock(ledger, moved) == planned
    assert stock(ledger, moved).remarks == ()


def test_an_export_imports_as_no_change(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, EXAMPLES / "fleet.toml")
    entries = ledger.inventory.snapshot().entries
    for name, export in (("x.toml", export_toml), ("x.csv", export_csv)):
        text = export(entries)
        assert "example" not in text.replace("broker.example", "").replace("deploy/examples", "")
        assert counts(stock(ledger, written(tmp_path, text, name), prune=True)) == (0, 0, 0, 11)
        assert export(ledger.inventory.snapshot().entries) == text

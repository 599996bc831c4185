"""Documents become the inventory: all of one or nothing, twice is once, and every fault has its line."""

from pathlib import Path

import pytest

from infra.ledger import Entry, EntryId, InventoryChange, Ledger
from infra.vault import Vault
from schemas.errors import ConfigurationError, InputError
from services.fleet import Importer, ImportResult, Inventory
from services.fleet.exporting import export_csv, export_toml
from tests.support.inventory import NOW, RING, stock
from tests.support.vault import everything, told, vault_of

EXAMPLES = Path(__file__).resolve().parents[2] / "infra" / "deploy" / "examples"
UID = "135700008928c093"
WORD = "correct-horse"
PHONE = "+999100200300"

SHORT_WORD = "hunter2x"
DOOR = {"serial": "54-1046-0746", "address": "https://b", "location": "Lobby", "auth": "none"}

LYON = f"""\
version = 1
[[sites]]
name = "lyon"
devices = ["{UID}"]
[[sites.twon]]
serial = "54-1046-0745"
address = "https://door"
location = "Lobby"
password = "{WORD}"
[[sites.tokens]]
username = "alice"
type = "sms"
phone = "{PHONE}"
"""


def written(folder: Path, text: str | bytes, name: str = "fleet.toml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def faults_of(ledger: Ledger, path: Path, **options: bool) -> list[str]:
    before = ledger.inventory.snapshot(), ledger.secrets.names()
    with pytest.raises(InputError) as caught:
        stock(ledger, path, **options)
    assert (ledger.inventory.snapshot(), ledger.secrets.names()) == before
    assert WORD not in told(caught.value)
    assert PHONE not in told(caught.value)
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


def keys(changes: tuple[object, ...]) -> list[str]:
    return [f"{change.id.kind} {change.id.key}" for change in changes]  # type: ignore[attr-defined] # of any result


def counts(result: ImportResult) -> tuple[int, int, int, int]:
    return len(result.added), len(result.changed), len(result.removed), result.unchanged


def sealed_rows(ledger: Ledger) -> dict[str, bytes]:
    return {name: row.sealed for name in ledger.secrets.names() if (row := ledger.secrets.get(name))}


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


def test_secrets_are_sealed_and_stand_nowhere_else(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    vault = vault_of(ledger, RING)
    assert vault.get("twon/54-1046-0745/password").get_secret_value() == WORD
    assert vault.get("token/alice/sms").get_secret_value() == PHONE
    assert WORD.encode() not in everything(ledger)
    assert PHONE.encode() not in everything(ledger)


def test_importing_the_same_twice_changes_nothing_and_seals_nothing(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path, LYON)
    stock(ledger, path)
    before = sealed_rows(ledger), ledger.inventory.revision()
    assert counts(stock(ledger, path)) == (0, 0, 0, 4)
    assert (sealed_rows(ledger), ledger.inventory.revision()) == before


def test_only_a_secret_with_another_value_is_sealed_again(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    before = sealed_rows(ledger)
    result = stock(ledger, written(tmp_path, LYON.replace(WORD, "battery-staple")))
    assert [(change.id.key, change.details) for change in result.changed] == [
        ("54-1046-0745", ("password: another secret",))
    ]
    after = sealed_rows(ledger)
    assert after["token/alice/sms"] == before["token/alice/sms"]
    assert vault_of(ledger, RING).get("twon/54-1046-0745/password").get_secret_value() == "battery-staple"


def test_a_secret_that_does_not_open_any_more_is_replaced(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path, LYON)
    stock(ledger, path)
    result = Importer(ledger, lambda: vault_of(ledger, "other"), clock=lambda: NOW).take(path)
    assert counts(result) == (0, 2, 0, 2)
    assert vault_of(ledger, "other").get("token/alice/sms").get_secret_value() == PHONE


def test_secrets_come_from_their_places(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "word").write_text(f"{WORD}\n")
    monkeypatch.setenv("PHONE_OF_ALICE", PHONE)
    text = LYON.replace(f'"{WORD}"', '{ file = "word" }').replace(f'"{PHONE}"', '{ env = "PHONE_OF_ALICE" }')
    stock(ledger, written(tmp_path, text))
    assert counts(stock(ledger, written(tmp_path, LYON))) == (0, 0, 0, 4)


def test_a_secret_of_the_vault_may_be_shared(ledger: Ledger, tmp_path: Path) -> None:
    text = LYON.replace(f'"{WORD}"', '{ vault = "doors/all" }')
    assert faults_of(ledger, written(tmp_path, text)) == [
        "line 9, sites[1].twon[1].password: names a secret that the vault does not have"
    ]
    stock(ledger, written(tmp_path, LYON.replace(WORD, PHONE)))
    vault = vault_of(ledger, RING)
    vault.put("doors/all", vault.get("token/alice/sms"))
    result = stock(ledger, written(tmp_path, text))
    assert [change.details for change in result.changed] == [("password",)]
    stock(ledger, written(tmp_path, "version = 1\n"), prune=True, everything=True)
    assert ledger.secrets.names() == ["doors/all"]


def test_a_document_without_secrets_needs_no_vault(ledger: Ledger, tmp_path: Path) -> None:
    def no_vault() -> Vault:
        raise ConfigurationError("KEYTURN_VAULT_KEYS is needed")

    importer = Importer(ledger, no_vault, clock=lambda: NOW)
    bare = 'version = 1\n[[sites]]\nname = "lyon"\n'
    assert keys(importer.take(written(tmp_path, bare)).added) == ["site lyon"]
    with pytest.raises(ConfigurationError):
        importer.take(written(tmp_path, LYON))


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


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ('""', "is empty"),
        (f'" {PHONE}"', "expected at most 1024 printable characters without blanks around them"),
        (f'"{PHONE}\\n0"', "expected at most 1024 printable characters"),
        (f'"tel:{PHONE}"', "expected a phone number: digits, with a + before the code of the country"),
        ('{ env = "KEYTURN_TEST_UNSET" }', "the variable holds no secret"),
        ('{ file = "absent" }', "the file cannot be read: No such file or directory"),
    ],
)
def test_a_secret_that_cannot_be_one_is_told_without_it(ledger: Ledger, tmp_path: Path, value: str, fault: str) -> None:
    (found,) = faults_of(ledger, written(tmp_path, LYON.replace(f'"{PHONE}"', value)))
    assert found.startswith("line 13, sites[1].tokens[1].phone: ")
    assert fault in found


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


SHIFTED = [
    "2n,lyon,54-1046-0745,{},Lobby,https://door,,,,,,",
    "2n,lyon,{},https://door,Lobby,54-1046-0745,,,,,,",
    "2n,lyon,54-1046-0745,https://door,Lobby,x,{}:x,,,,,",
    "2n,lyon,54-1046-0745,https://door,Lobby,x,,{},,,,",
    "2n,lyon,54-1046-0745,https://door,Lobby,x,,,{},,,",
    "2n,lyon,54-1046-0745,http://door/{},Lobby,x,,,,,,",
    "2n,lyon,54-1046-0745,https://door,{}\t,x,,,,,,",
    "2n,{},54-1046-0745,https://door,Lobby,x,,,,,,",
    "site,{}!,,,,,,,,,,",
    "token,lyon,,,,,,,,alice,{},+999100200300",
    "token,lyon,,,,,,,,{} x,sms,+999100200300",
    "token,lyon,,,,,,,,{},sms,+999100200300\ntoken,lyon,,,,,,,,{},sms,+999100200300",
    "2n,lyon,{},https://a,L,x,,,,,,\n2n,lyon,{},https://b,L,x,,,,,,",
    "2n,lyon,54-1046-0745,https://{},L,x,,,,,,\n2n,lyon,54-1046-0746,https://{},L,x,,,,,,",
    "2n,lyon,54-1046-0745,https://a,{},x,,,,,,\nsite,nice,,,,,,,,,,\n2n,nice,54-1046-0746,https://b,{},x,,,,,,",
    "tap,lyon,A1,tcp://t,,x,,,,,,,{}",
    "tap,lyon,{},tcp://a,,x,,,,,,,absent\ntap,lyon,{},tcp://b,,x,,,,,,,absent",
    "2n,lyon,54-1046-0745,https://door,Lobby,file:{},,,,,,",
    "2n,lyon,54-1046-0745,https://door,Lobby,env:{},,,,,,",
]


@pytest.mark.parametrize("rows", SHIFTED)
def test_a_secret_in_a_wrong_column_is_not_repeated(ledger: Ledger, tmp_path: Path, rows: str) -> None:
    header = "kind,site,serial,address,location,password,user,fingerprint,ca_file,username,type,phone,configuration"
    lines = [header, "site,lyon", *rows.replace("{}", SHORT_WORD).split("\n")]
    text = "\n".join(line + "," * (header.count(",") - line.count(",")) for line in lines)
    with pytest.raises(InputError) as caught:
        stock(ledger, written(tmp_path, text + "\n", "fleet.csv"))
    assert SHORT_WORD not in told(caught.value).lower()
    assert "line 3" in str(caught.value) or "line 4" in str(caught.value) or "line 5" in str(caught.value)


@pytest.mark.parametrize(
    "keys_of_the_door",
    [
        'user = "admin:{}"',
        'auth = "{}"',
        'fingerprint = "{}"',
        'managed_by = "{}"',
        'may_write = "{}"',
        'ca_file = "{}"',
        'password.file = "{}"',
        'password = {{ env = "{}" }}',
        '[[sites.taps]]\nserial = "A1"\naddress = "tcp://t"\nconfiguration = "c"\npassword = "x"\nrelay = "{}"',
        '[[sites.taps]]\nserial = "A1"\naddress = "tcp://t"\nconfiguration = "c"\npassword = "x"\nuser = "\\t{}"',
    ],
)
def test_a_secret_under_a_wrong_key_is_not_repeated(ledger: Ledger, tmp_path: Path, keys_of_the_door: str) -> None:
    door = 'version = 1\n[[sites]]\nname = "lyon"\n[[sites.twon]]\nserial = "54-1046-0745"\nlocation = "L"\n'
    door += 'address = "https://door"\n' + keys_of_the_door.replace("{}", SHORT_WORD).replace("{{", "{").replace(
        "}}", "}"
    )
    (tmp_path / "c").write_text("")
    with pytest.raises(InputError) as caught:
        stock(ledger, written(tmp_path, door))
    assert SHORT_WORD not in told(caught.value)


@pytest.mark.parametrize(
    "instead", ['auth = "none"', 'password = { vault = "doors/all" }'], ids=["no password", "a shared one"]
)
def test_a_secret_goes_when_its_entry_names_it_no_more(ledger: Ledger, tmp_path: Path, instead: str) -> None:
    stock(ledger, written(tmp_path, LYON))
    vault = vault_of(ledger, RING)
    vault.put_many({name: vault.get("token/alice/sms") for name in ("doors/all", "twon/54-1046-0746/password")})
    stock(ledger, written(tmp_path, LYON.replace(f'password = "{WORD}"', instead)))
    assert ledger.secrets.names() == ["doors/all", "token/alice/sms", "twon/54-1046-0746/password"]


def test_a_secret_stays_where_another_entry_names_it(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    other = '[[sites.twon]]\nserial = "54-1046-0746"\naddress = "https://gate"\nlocation = "Lobby"\n'
    other += 'password = { vault = "twon/54-1046-0745/password" }\n'
    bare = LYON.replace(f'password = "{WORD}"', 'auth = "none"')
    stock(ledger, written(tmp_path, bare + other))
    assert vault_of(ledger, RING).get("twon/54-1046-0745/password").get_secret_value() == WORD


def test_what_a_dropped_relay_named_goes_with_it(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "tap.toml").write_bytes((EXAMPLES / "tap.toml").read_bytes())
    tap = 'version = 1\n[[sites]]\nname = "lyon"\n[[sites.taps]]\nserial = "A1"\nconfiguration = "tap.toml"\n'
    tap += 'password = "x"\naddress = '
    relayed = '"mqtts://broker.example"\nrelay = { net_key = "k", user = "u", password = "p" }\n'
    stock(ledger, written(tmp_path, tap + relayed))
    assert ledger.secrets.names() == ["tap/A1/broker-password", "tap/A1/net-key", "tap/A1/password"]
    stock(ledger, written(tmp_path, tap + '"tcp://192.0.2.50"\n'))
    assert ledger.secrets.names() == ["tap/A1/password"]


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

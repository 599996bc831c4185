"""The inventory over the API: only what was seen is changed, secrets never come back, no file is read from afar."""

from pathlib import Path
from typing import Any, Final

import pytest

from infra.ledger import Ledger
from schemas.access import Role
from services.fleet.exporting import export_csv, export_toml
from services.wiring import open_vault
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import rows
from tests.support.vault import everything, ring_text

PASSWORD: Final = "a-made-up-password-1"
OTHER: Final = "a-made-up-password-2"
UID: Final = "135700008928c093"
SERIAL: Final = "54-1046-0745"
TWON: Final = {"address": "https://192.0.2.60", "location": "Lobby", "password": PASSWORD, "fingerprint": "ab" * 32}
NEW: Final = {"If-None-Match": "*"}

TOML: Final = f"""
version = 1
[[sites]]
name = "north"
tags = ["floor-2"]
devices = ["{UID}"]
[[sites.twon]]
serial = "{SERIAL}"
address = "https://192.0.2.60"
location = "Lobby"
password = "{PASSWORD}"
[[sites.tokens]]
username = "alice"
type = "sms"
phone = "+999100200300"
"""

CSV: Final = f"kind,site,uid,serial,address,location,password\nsite,south,,,,,\ndevice,south,{UID},,,,\n"


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock, vault_keys=ring_text("one"))


@pytest.fixture
def house(site: AdminSite) -> AdminSite:
    assert put(site, "site/north", fields={"tags": ["floor-2"]}, headers=NEW).status_code == 201
    return site


def put(site: AdminSite, what: str, /, **body: Any) -> Any:
    headers = body.pop("headers", {})
    role = body.pop("role", Role.ADMIN)
    return site.call("PUT", f"/fleet/{what}", json=body, headers=headers, role=role)


def imported(site: AdminSite, text: str, media_type: str = "application/toml", query: str = "", **headers: str) -> Any:
    given = {"Content-Type": media_type, **headers}
    return site.call("POST", f"/fleet/import{query}", content=text.encode(), headers=given)


def secret(site: AdminSite, ledger: Ledger, name: str) -> str:
    return open_vault(site.settings, ledger).get(name).get_secret_value()


def actions(ledger: Ledger) -> list[tuple[str, str]]:
    found = ledger.audit.page(before=None, limit=100)
    return [(one.entry.action, one.entry.subject) for one in found if one.entry.action.startswith("fleet.")][::-1]


def test_a_thing_is_made_seen_changed_and_removed(house: AdminSite, ledger: Ledger, clock: Clock) -> None:
    made = put(house, f"2n/{SERIAL}", site="north", fields=TWON, headers=NEW)
    assert made.status_code == 201
    seen = house.get(f"/fleet/2n/{SERIAL}", role=Role.VIEWER)
    assert seen.headers["etag"] == made.headers["etag"]
    thing = seen.json()
    assert thing["fields"]["password"] == {"vault": f"twon/{SERIAL}/password"}
    assert secret(house, ledger, f"twon/{SERIAL}/password") == PASSWORD
    clock.forward(seconds=1)
    moved = {**thing["fields"], "address": "https://192.0.2.61"}
    changed = put(house, f"2n/{SERIAL}", site="north", fields=moved, headers={"If-Match": seen.headers["etag"]})
    assert (changed.status_code, changed.json()["fields"]["address"]) == (200, "https://192.0.2.61")
    assert secret(house, ledger, f"twon/{SERIAL}/password") == PASSWORD
    stale = {"If-Match": seen.headers["etag"]}
    problem(house.call("DELETE", f"/fleet/2n/{SERIAL}", headers=stale), 412)
    fresh = {"If-Match": changed.headers["etag"]}
    gone = house.call("DELETE", f"/fleet/2n/{SERIAL}", headers=fresh, json={"reason": "taken down"})
    assert (gone.status_code, gone.content) == (204, b"")
    problem(house.get(f"/fleet/2n/{SERIAL}"), 404)
    assert ledger.secrets.names() == []
    assert actions(ledger)[1:] == [
        ("fleet.put", f"fleet/2n/{SERIAL}"),
        ("fleet.put", f"fleet/2n/{SERIAL}"),
        ("fleet.remove", f"fleet/2n/{SERIAL}"),
    ]
    assert ledger.audit.verify().holds


def test_an_edit_without_having_seen_it_is_refused(house: AdminSite) -> None:
    problem(put(house, "site/north", fields={}), 428)
    problem(put(house, "site/north", fields={}, headers=NEW), 412)
    problem(put(house, "site/south", fields={}), 428)
    problem(put(house, "site/south", fields={}, headers={"If-Match": '"1"'}), 412)
    problem(house.call("DELETE", "/fleet/site/north"), 428)
    problem(house.call("DELETE", "/fleet/site/south", headers={"If-Match": "*"}), 404)


def test_another_value_of_a_secret_is_another_revision(house: AdminSite, ledger: Ledger, clock: Clock) -> None:
    first = put(house, f"2n/{SERIAL}", site="north", fields=TWON, headers=NEW).headers["etag"]
    clock.forward(seconds=1)
    with_other = {**TWON, "password": OTHER}
    second = put(house, f"2n/{SERIAL}", site="north", fields=with_other, headers={"If-Match": first})
    assert second.headers["etag"] != first
    assert secret(house, ledger, f"twon/{SERIAL}/password") == OTHER
    problem(put(house, f"2n/{SERIAL}", site="north", fields=TWON, headers={"If-Match": first}), 412)


def test_a_key_with_a_slash_is_one_key(house: AdminSite) -> None:
    fields = {"phone": "+999100200300"}
    assert put(house, "token/alice%2Fsms", site="north", fields=fields, headers=NEW).status_code == 201
    for spelling in ("alice/sms", "alice%2Fsms"):
        assert house.get(f"/fleet/token/{spelling}").json()["fields"]["username"] == "alice"


def test_what_belongs_to_a_site_keeps_it(house: AdminSite) -> None:
    put(house, f"device/{UID}", site="north", headers=NEW)
    tag = {"If-Match": house.get("/fleet/site/north").headers["etag"]}
    assert "belong to it (1)" in problem(house.call("DELETE", "/fleet/site/north", headers=tag), 409)["detail"]
    house.call("DELETE", f"/fleet/device/{UID}", headers={"If-Match": "*"})
    assert house.call("DELETE", "/fleet/site/north", headers=tag).status_code == 204


@pytest.mark.parametrize(
    ("what", "body"),
    [
        (f"2n/{SERIAL}", {"fields": TWON}),
        (f"2n/{SERIAL}", {"site": "nowhere", "fields": TWON}),
        (f"2n/{SERIAL}", {"site": "north", "fields": {**TWON, "serial": "54-1046-0746"}}),
        (f"2n/{SERIAL}", {"site": "north", "fields": {**TWON, "address": "ftp://x"}}),
        (f"2n/{SERIAL}", {"site": "north", "fields": {**TWON, "sites": []}}),
        ("2n/no-serial", {"site": "north", "fields": TWON}),
        ("site/north2", {"site": "north"}),
        ("site/North", {}),
        ("site/south", {"fields": {"taps": []}}),
        ("site/south", {"fields": {"name": "north"}}),
        (f"device/{UID}", {"site": "north", "fields": {"uid": UID}}),
        ("device/xyz", {"site": "north"}),
        ("token/alice", {"site": "north", "fields": {"phone": "+999100200300"}}),
        ("token/alice/sms", {"site": "north", "fields": {"phone": PASSWORD}}),
    ],
)
def test_a_thing_with_faults_is_refused_and_no_secret_is_repeated(
    house: AdminSite, ledger: Ledger, what: str, body: dict[str, Any]
) -> None:
    response = put(house, what, headers=NEW, **body)
    assert problem(response, 422)["faults"]
    assert PASSWORD not in response.text
    assert [row["key"] for row in rows(ledger, "SELECT key FROM inventory")] == ["north"]
    assert ledger.secrets.names() == []


def test_a_device_has_one_spelling(house: AdminSite) -> None:
    problem(put(house, f"device/{UID.upper()}", site="north", headers=NEW), 404)
    assert house.get("/fleet?kind=device").json()["items"] == []


@pytest.mark.parametrize("form", ["toml", "csv", "put"])
def test_no_file_and_no_variable_of_the_server_is_read_from_afar(
    house: AdminSite, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    file = tmp_path / "secret"
    file.write_text(PASSWORD)
    monkeypatch.setenv("A_SECRET_OF_OURS", OTHER)
    for kind, place in (("file", str(file)), ("env", "A_SECRET_OF_OURS"), ("vault", "centagate/password")):
        if form == "toml":
            response = imported(house, TOML.replace(f'"{PASSWORD}"', f'{{ {kind} = "{place}" }}'))
        elif form == "csv":
            line = f"2n,north,,{SERIAL},https://192.0.2.60,Lobby,{kind}:{place}\n"
            response = imported(house, CSV.splitlines()[0] + "\n" + line, "text/csv")
        else:
            fields = {**TWON, "password": {kind: place}}
            response = put(house, f"2n/{SERIAL}", site="north", fields=fields, headers=NEW)
        faults = problem(response, 422)["faults"]
        assert any("expected the secret itself" in fault["detail"] for fault in faults)
        assert not [word for word in (PASSWORD, OTHER) if word in response.text]
    assert ledger.secrets.names() == []


def test_a_file_that_the_inventory_does_not_name_is_not_looked_at(house: AdminSite, tmp_path: Path) -> None:
    tap = {"address": "tcp://192.0.2.50:2000", "password": PASSWORD, "configuration": "/etc/hostname"}
    there = problem(put(house, "tap/IOTZ1", site="north", fields=tap, headers=NEW), 422)
    tap["configuration"] = str(tmp_path / "nothing")
    absent = problem(put(house, "tap/IOTZ1", site="north", fields=tap, headers=NEW), 422)
    assert there["faults"] == absent["faults"]
    assert "names already" in there["faults"][0]["detail"]


def test_an_import_is_seen_first_then_done_and_then_there_is_nothing_left(site: AdminSite, ledger: Ledger) -> None:
    would = imported(site, TOML, query="?dry_run=true").json()
    assert ledger.inventory.revision() == 0
    done = imported(site, TOML, query="?reason=first").json()
    assert (would["dry_run"], would["added"]) == (True, done["added"])
    assert [(one["kind"], one["name"]) for one in done["added"]] == [
        ("site", "north"),
        ("device", UID),
        ("2n", SERIAL),
        ("token", "alice/sms"),
    ]
    again = imported(site, TOML).json()
    assert (again["added"], again["changed"], again["unchanged"]) == ([], [], 4)
    assert actions(ledger) == [("fleet.import", "fleet")]
    for text in (PASSWORD.encode(), b"+999100200300"):
        assert text not in everything(ledger)
        assert text.decode() not in site.get("/fleet").text + site.get("/audit").text


def test_csv_as_a_body_and_as_text_in_json_are_the_same(site: AdminSite) -> None:
    bare = imported(site, "\ufeff" + CSV, "text/csv; charset=utf-8", query="?dry_run=true").json()
    wrapped = site.post("/fleet/import?dry_run=true", {"form": "csv", "text": CSV}).json()
    assert bare == wrapped
    assert [one["name"] for one in bare["added"]] == ["south", UID]


def test_what_was_written_out_can_be_taken_in_again(site: AdminSite, ledger: Ledger) -> None:
    imported(site, TOML)
    entries = ledger.inventory.snapshot().entries
    for text, media_type in ((export_toml(entries), "application/toml"), (export_csv(entries), "text/csv")):
        assert imported(site, text, media_type, query="?prune=true").json()["unchanged"] == 4


def test_every_fault_of_a_document_is_told_with_its_line(site: AdminSite, ledger: Ledger) -> None:
    faults = problem(imported(site, TOML.replace("+999", "x").replace("north", "North")), 422)["faults"]
    assert "line 4" in faults[0]["detail"]
    problem(imported(site, "not toml ["), 422)
    problem(imported(site, "\0"), 422)
    problem(imported(site, "x", "text/plain"), 415)
    problem(site.call("POST", "/fleet/import", content=b"\xff\xfe", headers={"Content-Type": "text/csv"}), 422)
    assert ledger.inventory.revision() == 0


def test_prune_takes_away_what_the_document_does_not_name(site: AdminSite, ledger: Ledger) -> None:
    imported(site, TOML)
    once = {"Idempotency-Key": "a-1"}
    first = imported(site, CSV, "text/csv", query="?prune=true", **once)
    assert [one["name"] for one in first.json()["removed"]] == ["north", SERIAL, "alice/sms"]
    assert imported(site, CSV, "text/csv", query="?prune=true", **once).content == first.content
    problem(imported(site, CSV, "text/csv", **once), 422)
    assert ledger.secrets.names() == []


def test_the_list_goes_on_behind_its_cursor_whatever_comes_meanwhile(site: AdminSite) -> None:
    imported(site, TOML)
    whole = [(one["kind"], one["key"]) for one in site.get("/fleet").json()["items"]]
    seen, following = [], ""
    while following is not None:
        page = site.get(f"/fleet?limit=1{following and '&cursor=' + following}").json()
        seen += [(one["kind"], one["key"]) for one in page["items"]]
        following = page["next"]
        put(site, "site/a-new-one", headers=NEW)
    assert [one for one in seen if one != ("site", "a-new-one")] == whole
    assert [one["key"] for one in site.get("/fleet?kind=2n&site=north").json()["items"]] == [SERIAL]
    assert site.get("/fleet?site=south").json()["items"] == []
    problem(site.get("/fleet?cursor=AAAA"), 422)


def test_without_a_vault_a_secret_cannot_be_kept(ledger: Ledger, clock: Clock) -> None:
    site = AdminSite(ledger, clock)
    assert "KEYTURN_VAULT_KEYS" in problem(imported(site, TOML), 409)["detail"]
    assert imported(site, CSV, "text/csv").status_code == 200

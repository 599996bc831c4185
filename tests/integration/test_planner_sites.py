"""From a bootstrap notice to jobs in every system that the device's site has things in, by the ledger's inventory."""

import json
from pathlib import Path

from structlog.testing import capture_logs

from infra.ledger import Entry, EntryId, InventoryChange, Ledger
from schemas.events import EventType
from services.operations import PARAMETERS
from services.planner import Planner
from services.playbook import default_text, load_playbook
from tests.conftest import Clock
from tests.support.inventory import stock
from tests.support.ledger import arrival, event_row, rows
from tests.support.works import Bell

EXAMPLE = Path(__file__).resolve().parents[2] / "infra" / "deploy" / "examples" / "fleet.toml"
UID = "135700008928c093"


def bootstrap(ledger: Ledger, clock: Clock, uid: str) -> int:
    clock.forward(seconds=1)
    body = {"EventType": EventType.BOOTSTRAP, "ROTPublicUID": uid, "Timestamp": clock().isoformat()}
    content = json.dumps({**body, "Payload": {"IsBlacklisted": False}}).encode()
    (event,) = ledger.inbox.accept([arrival(clock(), body=content)])
    return event


def wishes(ledger: Ledger) -> list[tuple[str, str]]:
    found = rows(ledger, "SELECT operation, target FROM jobs ORDER BY id")
    return [(row["operation"], row["target"]) for row in found]


def test_a_new_device_has_work_done_for_everything_of_its_site(ledger: Ledger, clock: Clock) -> None:
    playbook = load_playbook(default_text(), operations=PARAMETERS)
    planner = Planner(ledger, playbook, ring=Bell(), clock=clock)
    early = bootstrap(ledger, clock, UID)
    planner.plan_waiting()
    assert wishes(ledger) == [("ublox.rotate_e2e_key", UID)]
    assert event_row(ledger, early)["verdict"].endswith("the inventory has no sites")
    stock(ledger, EXAMPLE)
    bootstrap(ledger, clock, UID)
    bootstrap(ledger, clock, "0002000089282245")  # of the same site: its wishes are served by the same jobs
    planner.plan_waiting()
    assert wishes(ledger)[1:] == [
        ("tap.reconfigure", "IOTZ00000000000042"),
        ("tap.reconfigure", "IOTZ00000000000043"),
        ("twon.rotate_mobile_key", "location:Lobby"),
        ("centagate.register_token", "alice/otp"),
        ("centagate.register_token", "alice/sms"),
        ("ublox.rotate_e2e_key", "0002000089282245"),
    ]


def test_an_entry_that_cannot_be_read_stops_nobody_else_and_is_told_once_a_revision(
    ledger: Ledger, clock: Clock
) -> None:
    stock(ledger, EXAMPLE)
    entry = Entry(id=EntryId("tap", "A1"), site="lyon", fields={"serial": "A1", "colour": "of a newer version"})
    ledger.inventory.store(InventoryChange(based_on=1, upserts=[entry]), clock())
    playbook = load_playbook(default_text(), operations=PARAMETERS)
    planner = Planner(ledger, playbook, ring=Bell(), clock=clock)
    other, near = bootstrap(ledger, clock, "00000000000000a1"), bootstrap(ledger, clock, UID)
    with capture_logs() as logs:
        planner.plan_waiting()
        bootstrap(ledger, clock, "0002000089282245")
        planner.plan_waiting()
    (error,) = (log for log in logs if log["log_level"] == "error")
    assert error["fault"].startswith("the inventory's tap A1 cannot be read (")
    assert ("tap.reconfigure", "IOTZ00000000000042") in wishes(ledger)
    assert ("tap.reconfigure", "A1") not in wishes(ledger)
    assert "left out: the inventory's tap A1 cannot be read" in event_row(ledger, near)["verdict"]
    assert "cannot be read" not in event_row(ledger, other)["verdict"]


def test_a_slip_in_skip_rules_is_told_in_the_verdict(ledger: Ledger, clock: Clock, tmp_path: Path) -> None:
    document = tmp_path / "fleet.toml"
    document.write_text(
        f'version = 1\n[[sites]]\nname = "lyon"\ndevices = ["{UID}"]\n'
        'skip_rules = ["rotate-key-of-new-device", "rotate-key-of-new-devices"]\n'
    )
    stock(ledger, document)
    playbook = load_playbook(default_text(), operations=PARAMETERS)
    event = bootstrap(ledger, clock, UID)
    Planner(ledger, playbook, ring=Bell(), clock=clock).plan_waiting()
    verdict = event_row(ledger, event)["verdict"].split("; ")
    assert "rule rotate-key-of-new-device: the site lyon skips it" in verdict
    assert verdict[-1] == ("the site lyon skips the rule rotate-key-of-new-devices, which the playbook does not have")


def test_a_device_of_no_site_is_told_in_its_verdict(ledger: Ledger, clock: Clock) -> None:
    stock(ledger, EXAMPLE)
    playbook = load_playbook(default_text(), operations=PARAMETERS)
    event = bootstrap(ledger, clock, "0000000000000abc")
    Planner(ledger, playbook, ring=Bell(), clock=clock).plan_waiting()
    assert "0000000000000abc belongs to no site of the inventory" in event_row(ledger, event)["verdict"]
    assert wishes(ledger) == [("ublox.rotate_e2e_key", "0000000000000abc")]

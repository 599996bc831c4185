"""A certificate that would end before the window opens does not wait for it, whoever asks for its renewal."""

import json
from datetime import time, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from infra.ledger import Ledger, Plan, SeenCertificate
from schemas.fleet import Fleet
from schemas.jobs import NewJob
from schemas.limits import Limits, Window
from tests.conftest import Clock
from tests.support.admin import AdminSite
from tests.support.ledger import DEVICE, RENEW, ROTATE, device, rows
from tests.support.rounds import housed
from tests.support.triggers import begin, body, jobs, make, triggering

NIGHT: Final = {"opens": "02:00:00", "closes": "05:00:00", "timezone": "UTC"}
"""It opens in fourteen hours."""

HELD: Final = "window opens 02:00 UTC on 11 May"
AHEAD: Final = f"goes ahead of its window: the certificate expires 10 May 15:00 UTC, before the {HELD}"

DAILY: Final = """
version = 1

[[rules]]
name = "daily"
on = { schedule = "0 13 * * *" }
window = { opens = 02:00:00, closes = 05:00:00, timezone = "UTC" }
do = [{ operation = "ublox.renew_certificate" }]
"""


@pytest.fixture
def site(ledger: Ledger, clock: Clock, tmp_path: Path) -> AdminSite:
    return triggering(ledger, clock, tmp_path)


def ends(ledger: Ledger, clock: Clock, uid: str, **later: float) -> None:
    """A device was seen, and when its certificate ends."""
    end = clock() + timedelta(**later)
    ledger.certificates.store([SeenCertificate(uid=uid, serial="a0", expires_at=end, seen_at=clock())])


def test_a_person_s_wish_goes_ahead_and_the_dry_run_says_so(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    ends(ledger, clock, device(1), hours=3)
    ends(ledger, clock, device(2), days=30)
    asked = body(1, 2, 3, operation=RENEW, window=NIGHT)
    told = site.post("/triggers", {**asked, "dry_run": True}).json()["targets"]
    begin(site, asked)
    make(site, clock)
    assert jobs(ledger) == [
        (device(1), "due", AHEAD),
        (device(2), "held", HELD),
        (device(3), "held", HELD),
    ], "the third was never seen"
    assert [(one["target"], one["then"], one["why"]) for one in told] == jobs(ledger)


def test_a_wish_that_waits_for_approval_goes_ahead_when_it_is_approved(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    ends(ledger, clock, device(1), hours=3)
    name = begin(site, body(1, operation=RENEW, window=NIGHT, approval={"role": "operator"}))
    make(site, clock)
    clock.forward(hours=1)
    assert site.post(f"/triggers/{name}/approve").status_code == 202
    make(site, clock)
    assert jobs(ledger) == [(device(1), "due", AHEAD)]


def test_a_certificate_that_was_renewed_meanwhile_opens_no_window(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    ends(ledger, clock, device(1), hours=3)
    name = begin(site, body(1, operation=RENEW, window=NIGHT, approval={"role": "operator"}))
    make(site, clock)
    clock.forward(hours=1)
    ends(ledger, clock, device(1), days=365)
    site.post(f"/triggers/{name}/approve")
    make(site, clock)
    ((_, state, reason),) = jobs(ledger)
    assert (state, reason.endswith(HELD)) == ("held", True)


def test_what_renews_no_certificate_waits_for_its_window(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    ends(ledger, clock, device(1), hours=3)
    begin(site, body(1, operation=ROTATE, window=NIGHT))
    make(site, clock)
    assert jobs(ledger) == [(device(1), "held", HELD)]


def test_a_rule_with_a_schedule_goes_ahead_too(ledger: Ledger, clock: Clock) -> None:
    clock.forward(minutes=30)
    site = {"name": "lyon", "devices": [device(1), device(2)]}
    fleet = Fleet.model_validate({"version": 1, "sites": [site]})
    ends(ledger, clock, device(1), hours=2, minutes=30)
    with housed(ledger, clock, playbook=DAILY) as house:
        house.sweep()
        clock.forward(minutes=31)
        house.sweep()
        house.performer(fleet=lambda: fleet).perform("playbook.rule")
    assert jobs(ledger) == [(device(1), "due", AHEAD), (device(2), "held", HELD)]


@pytest.mark.parametrize(
    ("evidence", "state"),
    [({}, "due"), ({"expires": None}, "due"), ({"expires": "soon"}, "due"), ({"expires": "2026-06-09T19:39Z"}, "held")],
)
def test_what_an_event_tells_stands_and_what_it_leaves_out_is_known(
    ledger: Ledger, clock: Clock, evidence: dict[str, Any], state: str
) -> None:
    ends(ledger, clock, DEVICE, hours=3)
    window = Window(opens=time(2), closes=time(5), timezone="UTC")
    wished = NewJob(operation=RENEW, target=DEVICE, limits=Limits(window=window))
    with ledger.database.writing() as connection:
        ledger.planning.add(connection, [Plan(event_id=None, verdict="", jobs=[wished], evidence=evidence)], clock())
    (row,) = rows(ledger, "SELECT state, evidence FROM jobs")
    assert row["state"] == state
    known = {"due": "2026-05-10T15:00:00+00:00", "held": evidence.get("expires")}
    assert json.loads(row["evidence"]) == {"expires": known[state]}

"""What a dry run says of a u-blox account is what the job then does, and saying it changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from infra.ledger import Ledger
from schemas.diffs import Change, Diff
from schemas.jobs import Job, NewJob
from schemas.ublox import Provisioning, Selector
from services.operations import PARAMETERS
from services.operations.previews import PREVIEWS
from services.triggers import Looker
from tests.conftest import Clock
from tests.support.admin import AdminSite
from tests.support.ledger import RENEW, ask, device, rows, wish
from tests.support.rounds import House, housed

OLD, NEXT = "sandbox-ca.example", "next-ca.example"
UPDATE, REVOKE = "ublox.replace_certificate", "ublox.revoke_certificate"
DELETE, TRANSFER = "ublox.delete_certificate", "ublox.transfer_root_ca"
PROVISION, LIST, TAG = "ublox.set_provisioning", "ublox.set_whitelist", "ublox.tag"
ROLL, CLONES = "ublox.roll_root_ca", "ublox.check_clones"
COMPROMISED = "certificate-compromised"

VERBS: Final[list[tuple[str, dict[str, Any]]]] = [
    (UPDATE, {}),
    (REVOKE, {}),
    (DELETE, {}),
    (TRANSFER, {"from_ca": OLD, "to_ca": NEXT}),
    (PROVISION, {"authorizations": {"LocalDPR": "DISABLED", "LocalC2C": "ENABLED"}, "heartbeat_seconds": 7200}),
    (PROVISION, {"authorizations": {"LocalC2C": "DISABLED"}}),
    (LIST, {"listed": True}),
    (LIST, {"listed": False}),
    (TAG, {"add": ["new", "roof"]}),
    (TAG, {"add": ["new"], "remove": ["roof"]}),
    (CLONES, {}),
]


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        house.twin.fleet.authority(NEXT)
        yield house


def traces(house: House, uid: str) -> tuple[Any, ...]:
    """What was ever asked of the twin for a device, and what it bears."""
    fleet = house.twin.fleet
    acts = {name: counter[uid] for name, counter in house.twin.tally.actions.items() if counter[uid]}
    machine = fleet.devices.get(uid)
    listed = uid in fleet.whitelist.uids, machine and machine.imei in fleet.whitelist.imeis
    return acts, machine and machine.tags, listed


def everything(house: House) -> tuple[Any, ...]:
    """What a dry run must leave as it is."""
    fleet = house.twin.fleet
    queries = "SELECT * FROM jobs", "SELECT * FROM certificates", "SELECT * FROM audit"
    kept = [rows(house.ledger, query) for query in queries]
    known = [*fleet.authorities], [*fleet.tags.known]
    return [traces(house, uid) for uid in fleet.devices], dict(house.twin.tally.billed), known, kept


def looked(house: House, operation: str, *targets: str, **parameters: Any) -> list[Diff]:
    """A dry run's looks, which write nothing and send nothing but what reads."""
    before = everything(house)
    house.twin.tally.answers.clear()
    given = PARAMETERS[operation].model_validate(parameters).model_dump(mode="json", exclude_none=True)
    wishes = [NewJob(operation=operation, target=target, parameters=given) for target in targets]
    diffs = Looker(lambda _: house.tools, clock=house.clock).look(wishes)
    assert everything(house) == before
    assert [path for path in house.twin.tally.answers if not path.endswith("/get")] in ([], ["/authenticate"])
    assert [(diff.target, diff.operation) for diff in diffs] == [(target, operation) for target in targets]
    return diffs


def do(house: House, operation: str, *targets: str, **parameters: Any) -> None:
    ask(house.ledger, house.clock(), *(wish(target, operation, **parameters) for target in targets))
    house.runner.perform(operation)


def beat(house: House, operation: str) -> None:
    """Two heartbeats of each device, each followed by a look."""
    for _ in range(2):
        for machine in house.twin.fleet.devices.values():
            house.twin.beat(machine)
        house.clock.forward(days=3)
        house.sweep()
        house.runner.perform(operation)


def a_motley_fleet(house: House) -> list[str]:
    """One of each kind: usual, updating, without certificate, not listed, renewing, tagged, and some to refuse."""
    uids = house.recruit(5)
    uids += house.recruit(1, tags=frozenset({"roof"}))
    uids += house.recruit(1, blacklisted=True)
    uids += house.recruit(1, ca_name=NEXT)
    house.tools.ublox.certificates.update([uids[1]], OLD)
    house.tools.ublox.certificates.delete([uids[2]])
    house.twin.beat(house.twin.fleet.devices[uids[2]])
    house.twin.fleet.whitelist.remove([uids[3]], [])
    house.twin.fleet.whitelist.add([], [house.twin.fleet.devices[uids[5]].imei], house.clock())
    house.tools.ublox.certificates.renew([uids[4]], OLD, 365)
    return [*uids, device(77)]


@pytest.mark.parametrize(("operation", "parameters"), VERBS)
def test_of_any_device_a_change_is_told_when_and_only_when_the_job_makes_one(
    house: House, operation: str, parameters: dict[str, Any]
) -> None:
    uids = a_motley_fleet(house)
    if operation == TAG:  # who bears a tag is read by tag: that u-blox knows no such device is seen when it refuses
        uids.pop()
    diffs = looked(house, operation, *uids, **parameters)
    before = {uid: traces(house, uid) for uid in uids}
    do(house, operation, *uids, **parameters)
    acted = {uid for uid in uids if traces(house, uid) != before[uid]}
    assert {diff.target for diff in diffs if diff.then == "change"} == acted
    assert all(diff.changes for diff in diffs if diff.then == "change")
    stands = {row["target"]: (row["state"], row["reason"]) for row in rows(house.ledger, "SELECT * FROM jobs")}
    for diff in diffs:
        if diff.then != "change":
            state, reason = stands[diff.target]
            assert (diff.then, state) in {
                ("nothing", "succeeded"),
                ("nothing", "awaiting"),
                ("stop", "parked"),
                ("unknown", "due"),
            }, diff
            assert reason.startswith(diff.why), diff


@pytest.mark.parametrize(
    ("operation", "parameters", "told"),
    [
        (UPDATE, {}, [(f"certificate of {OLD}", "serial", "a new key pair, with a new serial")]),
        (REVOKE, {}, [(f"certificate of {OLD}", "serial", "revoked")]),
        (DELETE, {}, [("certificate and key pair", "serial", "none")]),
        (TRANSFER, {"from_ca": OLD, "to_ca": NEXT}, [(f"certificate of {OLD}", "serial", f"a new serial, of {NEXT}")]),
        (
            PROVISION,
            {"authorizations": {"LocalC2C": "ENABLED"}, "heartbeat_seconds": 7200},
            [("LocalC2C", "DISABLED", "ENABLED"), ("security heartbeat", "172800 s", "7200 s")],
        ),
        (LIST, {"listed": False}, [("whitelist", "the device is on it", "the device is not on it")]),
        (TAG, {"add": ["new"], "remove": ["roof"]}, [("tag new", "not borne", "borne"), ("tag roof", "borne", "not")]),
    ],
)
def test_what_would_change_is_told_and_when_it_has_there_is_nothing_more_to_do(
    house: House, operation: str, parameters: dict[str, Any], told: list[tuple[str, str, str]]
) -> None:
    (uid,) = house.recruit(1, tags=frozenset({"roof"}), heartbeat_seconds=172_800)
    (diff,) = looked(house, operation, uid, **parameters)
    assert diff.then == "change", diff
    assert diff.why.startswith("would be ")
    for change, (what, now, then) in zip(diff.changes, told, strict=True):
        assert (change.what, change.now.startswith(now), change.then.startswith(then)) == (what, True, True), change
    do(house, operation, uid, **parameters)
    beat(house, operation)
    assert [row["state"] for row in rows(house.ledger, "SELECT state FROM jobs")] == ["succeeded"]
    if operation != UPDATE:  # whoever asks for new keys once more gets new keys once more
        assert looked(house, operation, uid, **parameters)[0].then == "nothing"


def test_a_device_that_is_listed_by_both_its_ids_is_told_once(house: House) -> None:
    (uid,) = house.recruit(1)
    house.twin.fleet.whitelist.add([uid], [house.twin.fleet.devices[uid].imei], house.clock())
    (diff,) = looked(house, LIST, uid, listed=False)
    assert [change.what for change in diff.changes] == ["whitelist"]


def test_a_dry_run_raises_no_alarm(house: House) -> None:
    (uid,) = house.recruit(1)
    certificate = house.twin.fleet.devices[uid].certificate
    assert certificate is not None
    house.tools.ublox.certificates.revoke(OLD, serial=f"{certificate.serial:x}")
    house.tools.ublox.certificates.renew([uid], OLD, 365)
    alerts = []
    for act in (looked, do):
        with capture_logs() as logs:
            act(house, REVOKE, uid)
        alerts.append([log["alert"] for log in logs if log["event"] == "alert"])
    assert alerts[0] == []
    assert [f"device {uid}: serial" in alert for alert in alerts[1]] == [True]


def test_a_heartbeat_that_somebody_else_is_about_to_change_is_set_back_and_told_so(house: House) -> None:
    (uid,) = house.recruit(1, heartbeat_seconds=7200)
    house.tools.ublox.provisioning.set(Selector(uids=(uid,)), Provisioning(heartbeat_seconds=86_400))
    (diff,) = looked(house, PROVISION, uid, heartbeat_seconds=7200)
    told = Change(what="security heartbeat", now="7200 s; 86400 s waits for the device", then="7200 s")
    assert (diff.then, diff.changes) == ("change", [told])
    do(house, PROVISION, uid, heartbeat_seconds=7200)
    beat(house, PROVISION)
    assert [row["state"] for row in rows(house.ledger, "SELECT state FROM jobs")] == ["succeeded"]
    assert house.twin.fleet.devices[uid].current.heartbeat == 7200


@pytest.mark.parametrize(("verb", "given"), [*VERBS, (ROLL, {"new_ca": "later.example"})])
def test_when_time_is_up_nothing_more_is_asked(house: House, verb: str, given: dict[str, Any]) -> None:
    target, now = f"rootca:{OLD}" if verb == ROLL else device(1), house.clock()
    known = PARAMETERS[verb].model_validate(given).model_dump()
    job = Job(
        id=-1, operation=verb, target=target, parameters=known, fence=0, attempt=1, claimed_at=now, created_at=now
    )
    (diff,) = PREVIEWS[verb]([job], replace(house.tools, note=lambda _: set())).values()
    assert (diff.then, "there was no time to look" in diff.why) == ("unknown", True), diff
    assert house.twin.tally.answers == {}


def test_a_device_that_u_blox_doubts_stops_the_check_of_it(house: House) -> None:
    clean, cloned = house.recruit(2)
    house.turn(cloned_devices=[cloned])
    first, second = looked(house, CLONES, clean, cloned)
    assert (first.then, second.then) == ("nothing", "stop")
    assert "a person must decide" in second.why


def test_a_root_ca_that_would_be_rolled_is_told_as_far_as_somebody_is_asked(house: House) -> None:
    house.recruit(3)
    old = house.twin.fleet.authorities[OLD]
    old.device_validity_days, old.renew_before_days = 90, 20
    wanted = {"new_ca": "later.example", "ca_validity_days": 1825, "registration_code": "93078374627345905846"}
    diff, unknown = looked(house, ROLL, f"rootca:{OLD}", "rootca:nowhere", **wanted)
    assert [(change.what, change.now, change.then) for change in diff.changes] == [
        (
            "root CA later.example",
            "none",
            "created, for 1825 days; its device certificates for 90, renewed 20 days before their end",
        ),
        ("proof of possession", "none", "made for the registration code"),
        (f"certificates of {OLD}", "3 devices", "transferred to later.example, once a person agreed; billed"),
        (f"root CA {OLD}", "there", "deleted, once a person agreed and nobody needs it"),
    ]
    assert (unknown.then, unknown.why) == ("stop", "the account has no root CA nowhere")
    do(house, ROLL, f"rootca:{OLD}", **wanted)
    (job,) = rows(house.ledger, "SELECT * FROM jobs")
    assert job["state"] == "held"
    assert "3 devices would be transferred to it" in job["reason"]
    assert diff.why.removeprefix("the job would come to this: ") in job["reason"]
    new = house.twin.fleet.authorities["later.example"]
    assert (new.device_validity_days, new.renew_before_days) == (90, 20)


def test_a_root_ca_that_nobody_needs_is_told_to_be_deleted(house: House) -> None:
    house.recruit(1, ca_name=OLD)
    (diff,) = looked(house, ROLL, f"rootca:{NEXT}", new_ca="later.example")
    assert [change.then.split(",")[0] for change in diff.changes] == ["created", "deleted"]
    assert "it would be deleted" in diff.why


def test_a_renewal_in_time_is_told_with_its_day(house: House) -> None:
    (uid,) = house.recruit(1, heartbeat_seconds=3600)
    house.twin.beat(house.twin.fleet.devices[uid])
    (diff,) = looked(house, RENEW, uid, when="in time")
    assert diff.then == "change"
    assert "to be renewed from " in diff.why
    do(house, RENEW, uid, when="in time")
    (job,) = rows(house.ledger, "SELECT * FROM jobs")
    assert (job["state"], diff.why) == ("awaiting", f"{job['reason']}; billed")


def test_a_device_whose_key_has_leaked_is_told_in_the_order_of_the_rule(
    house: House, ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = house.recruit(2)
    tools: Callable[..., Any] = lambda *_given, **_named: house.tools  # noqa: E731 - it stands for a function
    monkeypatch.setattr("services.wiring.parts.make_tools", tools)
    site, before = AdminSite(ledger, clock), everything(house)
    asked = {"rule": COMPROMISED, "targets": {"devices": uids}, "dry_run": True, "diffs": 4}
    diffs = [Diff.model_validate(diff) for diff in site.post("/triggers", asked).json()["diffs"]]
    assert everything(house)[:3] == before[:3]
    assert rows(ledger, "SELECT * FROM jobs") == []
    assert [(diff.target, diff.operation, diff.then) for diff in diffs] == [
        (uid, operation, "change") for uid in uids for operation in (REVOKE, UPDATE)
    ]
    assert diffs[1].why.startswith("not replaced before it is revoked: ")
    assert diffs[1].changes[0].then == "a new key pair, with a new serial"
    site.post("/triggers", {**asked, "dry_run": False, "diffs": 0})
    house.planner.plan_waiting()
    for operation in (UPDATE, REVOKE, UPDATE):
        house.runner.perform(operation)
    acts = house.twin.tally.actions
    assert {uid: acts["revocations"][uid] for uid in uids} == dict.fromkeys(uids, 1)
    clock.forward(hours=1)
    house.sweep()
    house.runner.perform(UPDATE)
    assert {uid: acts["updates"][uid] for uid in uids} == dict.fromkeys(uids, 1)

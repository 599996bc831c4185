"""Four hundred days of many devices: none that beats loses its certificate, and it costs little.

`make year` tells it of five thousand devices, and shows the figures.
"""

from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Final

import pytest

from infra.ledger import Ledger
from services.sandbox.ublox.devices import Device
from tests.support.least import Given, Least, Life, Move, batches, least_of
from tests.support.ledger import rows
from tests.support.years import START, STEP, Year, lived, regular

DAY: Final = timedelta(days=1)
WHOLE: Final = 400
VALIDITY: Final = timedelta(days=365)
OLD, LASTING = "expiring-ca.example", "lasting-ca.example"
OLD_ENDS: Final = START + timedelta(days=260)
SILENT_SHARE: Final = 0.02
SILENCE: Final = timedelta(days=30)
ENOUGH: Final = 1.2
"""How much more than the least possible it may cost."""
MANY, ENOUGH_OF_FEW = 5_000, 1.3
"""Fewer devices fill the calls that take a hundred less; the least possible knows no such rounding."""

SCAN, CATCH_UP, CLONES, PRUNE = DAY, 56 * DAY, 56 * DAY, 28 * DAY
LIST_AGAIN, LOOK_AGAIN = 28 * DAY, 180 * DAY

PLAYBOOK: Final = f"""
version = 1

[[rules]]
name = "renew-in-time"
on = {{ event = "DEVICE_CERTIFICATE_EXPIRATION_EVENT" }}

[[rules.do]]
operation = "ublox.renew_certificate"
with = {{ validity_days = {VALIDITY.days}, when = "in time" }}
unless_under_way = true

[[rules]]
name = "renewed"
on = {{ event = "DEVICE_CERTIFICATE_RENEWAL_EVENT" }}
confirm = "ublox.renew_certificate"

[[rules]]
name = "moved"
on = {{ event = "DEVICE_PROPERTIES_CHANGE_EVENT" }}
confirm = "ublox.transfer_root_ca"

[[rules]]
name = "roll-expiring-root-ca"
on = {{ event = "ROOTCA_EXPIRATION_EVENT" }}
targets = "event.ca"
approval = {{ role = "admin" }}

[[rules.do]]
operation = "ublox.roll_root_ca"
with = {{ device_validity_days = {VALIDITY.days} }}
unless_under_way = true
"""


def people(year: Year, count: int) -> None:
    """Found the account: half of the devices on a CA that ends, some that will be silent, and post that gets lost."""
    for name, ends in ((OLD, OLD_ENDS), (LASTING, START + timedelta(days=3_000))):
        year.caller.control("/authorities", name=name, expires_at=ends.isoformat())
        year.caller.devices(
            count // 2,
            ca_name=name,
            heartbeat_range=[3_600, 14 * 86_400],
            certificate_days_range=[30, 365],
            seed=len(name),
        )
    dice = Random(2)
    silent = dice.sample(year.devices, round(SILENT_SHARE * count))
    starts = [
        _just_before_the_end(one, dice) if number % 2 else dice.uniform(10, 360) for number, one in enumerate(silent)
    ]
    silences = [
        {
            "uid": one.uid,
            "from": (START + after * DAY).isoformat(),
            "until": (START + after * DAY + SILENCE).isoformat(),
        }
        for one, after in zip(silent, starts, strict=True)
    ]
    year.caller.turn(lost_webhooks=0.05, silences=silences)
    regular(
        year.house,
        scan=(
            "ublox.scan_certificates",
            SCAN,
            {
                "rule": "in time",
                "validity_days": VALIDITY.days,
                "look_again_days": LOOK_AGAIN.days,
                "list_again_days": LIST_AGAIN.days,
            },
        ),
        catch_up=("ublox.catch_up", CATCH_UP, {"first_days": 56}),
        clones=("ublox.check_clones", CLONES, {}),
        prune=("ledger.prune", PRUNE, {}),
    )
    year.begin()


def _just_before_the_end(device: Device, dice: Random) -> float:
    """A silence that will hide the end of the first certificate, in days from the start."""
    assert device.certificate is not None
    return max(1.0, (device.certificate.expires_at - START) / DAY - dice.uniform(5, 25))


def least(year: Year, days: int) -> Least:
    """The least possible, the checks included."""
    end = START + days * DAY
    move = Move(from_ca=OLD, ends=OLD_ENDS, at=year.agreed.get("transfer", end))
    given = Given(start=START, end=end, step=STEP, validity=VALIDITY, move=move)
    lives = [
        Life(uid=one.uid, rhythm=one.rhythm, ends=year.begins[one.uid][0], ca_name=year.begins[one.uid][1])
        for one in year.devices
    ]
    found = least_of(given, lives)
    found.calls.update(checks(year, days))
    return found


def checks(year: Year, days: int) -> Counter[str]:
    """What the scheduled checks and the roll of the CA cannot do without."""
    pages = batches(len(year.devices))

    fired = year.fired
    lists = days * DAY // LIST_AGAIN + 1
    calls = Counter(
        {
            "/authenticate": days + 1,  # a token lives for a day
            "/device/list/get": pages * (lists + fired["ublox.catch_up"] + fired["ublox.check_clones"]),
            "/device/info/get": pages * (days * DAY // LOOK_AGAIN + 1),
            "/ztp/rootca/get": fired["ublox.scan_certificates"],
            "/notification/get": pages * fired["ublox.catch_up"],
            "/device/clone/get": pages * fired["ublox.check_clones"],
            "/device/suspicious/get": pages * fired["ublox.check_clones"],
        }
    )
    return calls + roll(year, pages)


def roll(year: Year, pages: int) -> Counter[str]:
    """The roll's own calls, besides asking its devices and looking at them."""
    calls: Counter[str] = Counter()
    if "transfer" in year.agreed:
        held = batches(sum(name == OLD for _, name in year.begins.values()))  # to ask the person, and once more after
        calls += Counter({"/ztp/rootca/get": 3, "/ztp/rootca/create": 1, "/ztp/rootca/device/get": 2 * held})
    if "delete" in year.agreed:  # everything is looked at before a person is asked, and again before it is done
        look = Counter({"/device/list/get": pages, "/device/info/get": pages, "/deviceprofile/get": 1})
        calls += look + look + Counter({"/ztp/rootca/device/get": 2, "/ztp/rootca/get": 3, "/ztp/rootca/delete": 1})
    return calls


def spent(year: Year) -> Counter[str]:
    """The calls that the twin answered."""
    return Counter({path: counts.total() for path, counts in year.house.twin.tally.answers.items()})


def billed(year: Year) -> int:
    """The actions that are billed: certificates that were renewed, or came from another CA."""
    actions = year.house.twin.tally.actions
    return actions["renewals_done"].total() + actions["transfers"].total()


def told(year: Year, cost: Least, days: int) -> str:
    """What it cost, as a table."""
    calls = spent(year)
    lines = [(path, calls[path], cost.calls[path]) for path in sorted(calls.keys() | cost.calls.keys())]
    lines += [("calls", calls.total(), cost.calls.total()), ("billed actions", billed(year), cost.billed)]
    title = f"{len(year.devices)} devices, {days} days"
    return "\n".join(
        [f"{title:45} {'spent':>7} {'least':>7}"]
        + [f"{name:45} {own:7} {least:7} {own / max(1, least):6.2f}" for name, own, least in lines]
        + [f"certificates that ended in a silence: {len(year.expired)}; said yes: {list(year.agreed)}"]
    )


def lead_of(device: Device) -> timedelta:
    """A device that has beaten in this time before the end of its certificate could have been helped."""
    return timedelta(days=2) + 2.5 * device.rhythm.interval


def was_silent(device: Device, end: datetime) -> bool:
    """Whether a silence touches the last days of a certificate."""
    return any(one.start <= end and end - lead_of(device) <= (one.end or end) for one in device.rhythm.silences)


def nobody_that_beats_has_lost_its_certificate(year: Year) -> None:
    """By the twin's own count, day by day."""
    devices = year.house.twin.fleet.devices
    lost = [(uid, end) for uid, end, _ in year.expired if not was_silent(devices[uid], end)]
    assert not lost, lost


def the_silent_were_told_of_and_served_when_they_were_back(year: Year) -> None:
    """Parked with an alarm before the end; and with a certificate that lives once they have called in for a while."""
    assert year.expired, "no certificate ended in a silence: the story shows nothing"
    devices, now = year.house.twin.fleet.devices, year.clock()
    for uid, end, _ in year.expired:
        assert year.parked[uid] < end, (uid, end)
        assert year.alarms[uid] < end, (uid, end)
        (silence,) = devices[uid].rhythm.silences
        assert silence.end is not None
        if now - silence.end > 2 * devices[uid].rhythm.interval + 3 * DAY:
            certificate = devices[uid].certificate
            assert certificate is not None
            assert certificate.expires_at > now, (uid, end)
    stand = rows(year.house.ledger, "SELECT target, reason FROM jobs WHERE state = 'parked'")
    left = [row for row in stand if not devices[row["target"]].rhythm.silent_at(now)]
    assert len(left) <= len(year.parked) // 10, left  # some came back only yesterday


def nobody_is_left_on_the_ca_that_ends(year: Year) -> None:
    """A person agreed to both steps, and the CA was deleted before its end."""
    assert list(year.agreed) == ["begin", "transfer", "delete"]
    assert OLD not in year.house.twin.fleet.authorities
    assert year.left_on == {}
    assert year.agreed["delete"] < OLD_ENDS
    assert not [one.uid for one in year.devices if one.certificate and one.certificate.authority.name == OLD]


def test_four_hundred_days_of_many_devices(ledger: Ledger, pytestconfig: pytest.Config) -> None:
    """On PostgreSQL the first sixty of them: what differs there is the ledger, not the year."""
    devices = int(pytestconfig.getoption("devices"))
    days = WHOLE if ledger.database.is_sqlite else 60
    with lived(ledger, playbook=PLAYBOOK) as year:
        people(year, devices)
        year.pass_by(days)
        cost = least(year, days)
        print(told(year, cost, days))  # the figures are what this story is for
        nobody_that_beats_has_lost_its_certificate(year)
        the_silent_were_told_of_and_served_when_they_were_back(year)
        assert year.house.twin.tally.deliveries.counts["lost"] > 0
        if days == WHOLE:
            nobody_is_left_on_the_ca_that_ends(year)
            assert spent(year).total() <= (ENOUGH if devices >= MANY else ENOUGH_OF_FEW) * cost.calls.total()
            assert billed(year) <= ENOUGH * cost.billed

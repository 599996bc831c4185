"""``ublox.scan_certificates``: has certificates renewed in time, and tells of root CAs that run out.

Source: Security Services REST APIs 1.1.29, ``/device/info/get`` (CORE, PROVISIONING, ZTP): `/notification/get` has no
word for certificates, so a lost notice is found here. When a renewal is due `services.operations.renewal_lead` says.

What is seen is remembered, so that a day costs few calls: u-blox is asked of a device that is not known yet, whose
certificate comes near its lead, whose renewal was given up, or that was not looked at for long.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from infra.ledger import Effects
from infra.ledger.tables import from_us, to_us
from schemas.ublox import Detail, DeviceLook
from services.schedules.devices import Devices
from services.schedules.let_end import let_end
from services.schedules.renewals import (
    RENEW,
    Pace,
    alarmed,
    due_now,
    evidence_of,
    to_look_at,
    try_again,
    wishes,
)
from services.schedules.root_cas import look_at_root_cas
from services.schedules.seen_devices import as_seen
from services.schedules.turn import Found, Turn

NEAREST: Final = "certificates.nearest_expiry"
"""The mark that holds which certificate ends first, as JSON."""

LISTED: Final = "certificates.listed"
"""The mark that holds when the account's devices were listed: microseconds since 1970 UTC."""

MOST_NAMED: Final = 200

_DETAILS: Final = (Detail.CORE, Detail.PROVISIONING, Detail.ZTP)


class ScanParameters(BaseModel):
    """What the scan asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    renew: bool = Field(default=True, description="false: only tell; every renewal is billed")
    validity_days: int = Field(default=365, ge=30, le=3650, description="of the new certificates")
    days_left: int = Field(
        default=30, ge=1, le=3650, description="a third of a certificate's life where u-blox does not tell it"
    )
    rule: Literal["two thirds", "in time"] = Field(
        default="two thirds",
        description='when renewals are asked for: after two thirds of the life, or "in time" for the heartbeats',
    )
    look_again_days: int = Field(default=30, ge=1, le=365, description="how often a device is looked at in any case")
    list_again_days: int = Field(default=7, ge=1, le=90, description="how often the account's devices are listed")


def work(turn: Turn) -> Found:
    """Look at the devices that may need something, and at every root CA of the account."""
    wanted = ScanParameters.model_validate(turn.spec.parameters)
    pace = Pace(
        life_unless_told=3 * timedelta(days=wanted.days_left),
        look_again=timedelta(days=wanted.look_again_days),
        in_time=wanted.rule == "in time",
    )
    now, ledger = turn.means.clock(), turn.means.ledger
    given_up = ledger.certificates.given_up()
    listed = _listed(turn, timedelta(days=wanted.list_again_days), now)
    devices = Devices(turn.means.ublox)
    asked_of = to_look_at(listed, turn, given_up, pace)
    looks = {
        uid: look
        for answer in devices.asked(lambda some: turn.means.ublox.information.look(some, _DETAILS), asked_of)
        for uid, look in answer.items()
    }
    again = try_again(given_up, looks, turn) if wanted.renew else []
    waiting = [one for one in given_up if not one.refused and one.job not in again]
    for_person = {one.target for one in waiting if one.operation == RENEW}
    due = [look for look in due_now(looks.values(), now, pace) if look.uid not in for_person]
    left = let_end(turn, due)
    due = [look for look in due if look.uid not in left.uids]
    asked = turn.ask(list(wishes(turn, due, wanted.validity_days, pace)), evidence_of(due)) if wanted.renew else 0
    _remember(turn, looks, for_person)
    if listed is not None:
        ledger.certificates.forget(ledger.certificates.uids().difference(listed))
    totals = ledger.certificates.totals()
    roots = look_at_root_cas(turn, totals.by_ca)
    nearest, count = _nearest(totals.nearest, roots.ends), totals.devices if listed is None else len(listed)
    marks = {**roots.marks, **left.marks, NEAREST: json.dumps(nearest)} | (
        {} if listed is None else {LISTED: str(to_us(now))}
    )
    return Found(
        reason=f"{count} devices, {devices.met} looked at; {len(due)} certificates due, {asked} renewals asked for;"
        f" {len(roots.ends)} root CAs, {len(roots.told)} run out",
        attention=bool(roots.told or devices.refused or left.marks) or (bool(due) and not wanted.renew),
        detail={
            **devices.told(),
            "devices": count,
            "looked_at": devices.met,
            "without_certificate": totals.without,
            "due": len(due),
            "due_devices": sorted(look.uid for look in due)[:MOST_NAMED],
            "let_end": sorted(left.uids)[:MOST_NAMED],
            "asked": asked,
            "tried_again": again[:MOST_NAMED],
            "root_cas": roots.told,
            "nearest_expiry": nearest,
        },
        effects=Effects(marks=marks),
    )


def _listed(turn: Turn, every: timedelta, now: datetime) -> list[str] | None:
    """The devices of the account, where it is time to list them."""
    mark = turn.means.ledger.firings.marks(LISTED).get(LISTED)
    if mark is not None and now - from_us(int(mark)) < every:
        return None
    return list(turn.means.ublox.devices.walk())


def _remember(turn: Turn, looks: Mapping[str, DeviceLook], for_person: Iterable[str]) -> None:
    """Write what was seen, and raise an alarm for what comes too late; a person was told of some already."""
    now, ledger, told = turn.means.clock(), turn.means.ledger, set(for_person)
    before = ledger.certificates.some(looks)
    fresh = {uid: as_seen(look, now) for uid, look in looks.items()}
    ledger.certificates.store(
        [seen if uid in told else alarmed(seen, before.get(uid), looks[uid], now) for uid, seen in fresh.items()]
    )


def _nearest(certificate: tuple[str, datetime] | None, roots: Mapping[str, datetime | None]) -> dict[str, str] | None:
    ends = [] if certificate is None else [(certificate[1], certificate[0])]
    ends += [(at, f"root CA {name}") for name, at in roots.items() if at is not None]
    if not ends:
        return None
    at, of = min(ends)
    return {"of": of, "at": at.isoformat()}

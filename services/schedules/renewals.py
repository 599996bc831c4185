"""What the certificate scan makes of what it sees: renewals that are due, that may go on, and that nobody can help."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from infra.broker import PREFIX
from infra.ledger import GivenUp, Reach, SeenCertificate
from schemas.jobs import NewJob, State
from schemas.ublox import DeviceLook, read_serial
from services.operations import PARAMETERS
from services.operations.certificate_progress import one_more_round
from services.operations.renewal_lead import BEATS, LEAST, MARGIN, ends_with_ca, lead_of, renewal_due_at
from services.operations.renewal_progress import REDRIVEN, SCANNED
from services.playbook.checks import complete_parameters
from services.schedules.let_end import told_root_cas
from services.schedules.turn import Turn

RENEW: Final = "ublox.renew_certificate"

TOO_LATE: Final = timedelta(days=2)
"""A certificate that ends so soon should have been renewed: the lead is longer for every device that calls in."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How often the scan asks about what it knows.

    Attributes:
        life_unless_told: the whole life of a certificate where u-blox does not tell it.
        look_again: a device that was not looked at for so long is.
        in_time: renewals wait until the device needs them; else they are asked for from the last third of the life on.
    """

    life_unless_told: timedelta
    look_again: timedelta
    in_time: bool


def to_look_at(listed: Sequence[str] | None, turn: Turn, given_up: Sequence[GivenUp], pace: Pace) -> list[str]:
    """The devices of which something may have changed that matters; the others cost no call.

    Args:
        listed: the devices of the account, where they were listed just now.
        turn: of the scan.
        given_up: renewals and moves whose devices may be back, or may have another certificate.
        pace: how often the scan asks.
    """
    now, seen = turn.means.clock(), turn.means.ledger.certificates
    under_way = {one.target for one in turn.means.ledger.ages.renewals() if one.state is not State.PARKED}
    last = seen.some({one.target for one in given_up})
    wanted = {one.target for one in given_up if one.target in last and _is_worth_a_look(one, last[one.target])}
    told = told_root_cas(turn)
    for uid, one in seen.near(_reach(now, pace)).items():
        if now - one.seen_at >= pace.look_again or (uid not in under_way and _comes_near(one, now, pace, told)):
            wanted.add(uid)
    if listed is not None:
        wanted = wanted.intersection(listed) | set(listed).difference(seen.uids())
    return sorted(wanted)


def _is_worth_a_look(one: GivenUp, last: SeenCertificate) -> bool:
    """What was refused stays so until somebody else's look has shown another certificate: it costs no call."""
    return not one.refused or read_serial(last.serial) not in {None, _asked_for(one)}


def _reach(now: datetime, pace: Pace) -> Reach:
    """No lead is longer than this."""
    return Reach(
        now=now,
        margin=max(MARGIN, LEAST),
        beats=BEATS,
        life_unless_told=pace.life_unless_told,
        from_last_third=not pace.in_time,
        seen_before=now - pace.look_again,
    )


def _comes_near(seen: SeenCertificate, now: datetime, pace: Pace, told: Mapping[str, datetime]) -> bool:
    """Whether there is something to do; one that ends with its root CA, as was told, only comes near its alarm."""
    if seen.expires_at is None:
        return False
    if ends_with_ca(seen.expires_at, told.get(seen.ca_name or "")):
        return seen.expires_at - now <= TOO_LATE and seen.alarmed != seen.serial
    life = timedelta(days=seen.validity_days) if seen.validity_days else pace.life_unless_told
    heartbeat = seen.heartbeat if seen.last_seen else None
    return now >= seen.expires_at - lead_of(life, heartbeat, from_last_third=not pace.in_time)


def due_now(looks: Iterable[DeviceLook], now: datetime, pace: Pace) -> list[DeviceLook]:
    """The devices whose renewal should stand at u-blox by now."""
    return [look for look in looks if not look.blacklisted and _is_due(look, now, pace)]


def _is_due(look: DeviceLook, now: datetime, pace: Pace) -> bool:
    at = renewal_due_at(look, now, life_unless_told=pace.life_unless_told, from_last_third=not pace.in_time)
    return at is not None and now >= at


def try_again(given_up: Sequence[GivenUp], looks: Mapping[str, DeviceLook], turn: Turn) -> list[int]:
    """Let what was given up go on where its device has called in since, or has a new certificate.

    One that is given up a second time stays for a person: its device calls in, and yet it does not renew. One that was
    refused stays while its device has the certificate that must not be renewed.
    """
    now = turn.means.clock()
    again = {
        one.job: replace(one, progress=_kept(one, now))
        for one in given_up
        if (look := looks.get(one.target)) is not None and _may_go_on(one, look)
    }
    if not again:
        return []
    why = "its device has called in again; looking"
    moved, released = turn.means.ledger.certificates.try_again(again, now, reason=why)
    for operation, jobs in released.due.items():
        turn.means.ring(PREFIX + operation, jobs)
    return moved


def _may_go_on(one: GivenUp, look: DeviceLook) -> bool:
    if look.certificate is not None and _asked_for(one) not in {None, look.certificate.serial}:
        return True
    if one.refused or REDRIVEN in one.progress:
        return False
    return _asked_for(one) is None or (look.last_seen is not None and look.last_seen > one.parked_at)


def _asked_for(one: GivenUp) -> int | None:
    return read_serial(one.progress.get("serial"))


def _kept(one: GivenUp, now: datetime) -> dict[str, Any]:
    """What it must still know: a move, all of its request; a renewal, which certificate it was to replace.

    A renewal asks again, also where its certificate is about to end: the device has called in, and has not renewed.
    """
    if one.operation != RENEW and "asked" in one.progress:
        return {**one_more_round(one.progress), REDRIVEN: now.isoformat()}
    return {**{name: one.progress[name] for name in ("serial",) if name in one.progress}, REDRIVEN: now.isoformat()}


def wishes(turn: Turn, due: Sequence[DeviceLook], validity_days: int, pace: Pace) -> Iterator[NewJob]:
    """Renewals; all may begin together, because a hundred of them are one call."""
    when = "in time" if pace.in_time else "now"
    parameters = complete_parameters(PARAMETERS[RENEW], {"validity_days": validity_days, "when": when})
    fleet = turn.means.fleet()
    for look in due:
        site = fleet.site_of(look.uid)
        yield replace(turn.wish(RENEW, look.uid, parameters, site=None if site is None else site.name), not_before=None)


def evidence_of(due: Sequence[DeviceLook]) -> Any:
    """What a renewal should know of why it was asked for; the expiry lets it go ahead of a window."""
    of = {look.uid: look.certificate for look in due}

    def evidence(job: NewJob) -> Mapping[str, Any]:
        certificate = of[job.target]
        ends = certificate and certificate.expires_at
        serial = f"{certificate.serial:x}" if certificate else None
        return {"type": SCANNED, "serial": serial, "expires": ends and ends.isoformat()}

    return evidence


def alarmed(seen: SeenCertificate, before: SeenCertificate | None, look: DeviceLook, now: datetime) -> SeenCertificate:
    """Tell once of a certificate that ends although its device should have renewed it."""
    late = seen.expires_at is not None and seen.expires_at - now <= TOO_LATE and not look.blacklisted
    if not late or (before is not None and before.alarmed == seen.serial):
        return seen
    when = "has no last sign of life" if look.last_seen is None else f"called in last on {look.last_seen:%d %b %Y}"
    words = f"the certificate of device {seen.uid} ends {seen.expires_at:%d %b %Y} and is not renewed; it {when}"
    log.error("alert", alert=words)
    return replace(seen, alarmed=seen.serial)

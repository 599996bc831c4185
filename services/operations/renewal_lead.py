"""When a certificate is to be renewed: so late that it costs little, so early that its device calls in twice before.

A renewal waits at u-blox for the device's next security heartbeat (Security Services REST APIs 1.1.29,
``/ztp/devicecertificate/renew``). The document names no default heartbeat; where none is told, or not when the device
was seen last, the last third of the certificate's life is time enough for any device that the life was made for.
"""

from datetime import datetime, timedelta
from typing import Final

from schemas.ublox import DeviceLook

BEATS: Final = 2.5
"""Heartbeats between the request and the end: two whole ones, wherever the first of them falls."""

MARGIN: Final = timedelta(days=2)
"""Time beside the heartbeats: a schedule fires once a day, and a day before the end somebody must be told."""

LEAST: Final = timedelta(days=3)

SILENT_AFTER: Final = 2
"""Heartbeats that a device has let pass when it counts as silent."""

LIFE_UNLESS_TOLD: Final = timedelta(days=90)

_DAY: Final = timedelta(days=1)

WITH_ITS_CA: Final = _DAY
"""A certificate that ends so shortly before its root CA is bounded by it."""


def lead_of(life: timedelta | None, heartbeat: timedelta | None, *, from_last_third: bool = False) -> timedelta:
    """How long before its end a certificate is to be renewed.

    Args:
        life: the whole life of the certificate, where it is told.
        heartbeat: how often the device calls in, where that is known.
        from_last_third: renew from the last third of the life on, also where less would do.
    """
    third = (life or LIFE_UNLESS_TOLD) / 3
    if not heartbeat:
        return third
    beats = BEATS * heartbeat
    most = max(third, beats)
    return most if from_last_third else min(max(MARGIN + beats, LEAST), most)


def ends_with_ca(expires_at: datetime | None, ca_ends: datetime | None) -> bool:
    """Whether a certificate ends with its root CA: a renewal, which cannot live longer either, would be in vain.

    Source: ``/ztp/devicecertificate/renew``, its second note.
    """
    return expires_at is not None and ca_ends is not None and expires_at >= ca_ends - WITH_ITS_CA


def is_silent(look: DeviceLook, now: datetime) -> bool:
    """Whether a device has let more than two heartbeats pass; False where it is not known."""
    if not look.heartbeat or look.last_seen is None:
        return False
    return now - look.last_seen > SILENT_AFTER * look.heartbeat


def renewal_due_at(
    look: DeviceLook, now: datetime, *, life_unless_told: timedelta | None = None, from_last_third: bool = False
) -> datetime | None:
    """From when a renewal should stand at u-blox; None where it is not told when the certificate ends.

    A silent device has the last third of the life, as one of which nothing is known: it is asked for while there is
    time for it to come back, not at once when a certificate of years is new.

    Args:
        look: what u-blox says of the device.
        now: the time.
        life_unless_told: the whole life of the certificate where the look does not tell it.
        from_last_third: renew from the last third of the life on, also where less would do.
    """
    certificate = look.certificate
    if certificate is None or certificate.expires_at is None:
        return None
    days = certificate.validity_days
    life = timedelta(days=days) if days else life_unless_told
    lead = lead_of(life, look.heartbeat if look.last_seen else None, from_last_third=from_last_third)
    if is_silent(look, now):
        lead = max(lead, lead_of(life, None))
    return certificate.expires_at - lead


def next_look(look: DeviceLook, now: datetime, every: timedelta) -> datetime:
    """When it is worth to look again at what the device is to do: a little after it is expected to call in."""
    if not look.heartbeat:
        return now + every
    if look.last_seen is None or is_silent(look, now):
        return now + max(every, min(look.heartbeat, _DAY))
    beats = (now - look.last_seen) // look.heartbeat + 1
    return max(now, look.last_seen + beats * look.heartbeat) + every

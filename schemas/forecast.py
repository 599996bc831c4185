"""What comes of certificates: which end when, what their renewals cost, and whether the budget is enough."""

import datetime as dt
from typing import Final

from pydantic import Field

from schemas.admin import Shape
from schemas.limits import Budget

LONGEST: Final = 1_100
"""Days that a forecast goes ahead: three years."""


class ForecastQuery(Shape):
    """How far to look ahead."""

    days: int = Field(default=90, ge=1, le=LONGEST, description="days to look ahead")


class CertificateEnd(Shape):
    """The certificate of a device.

    Attributes:
        renew_from: from when its renewal is to stand at u-blox; null where none is, because it ends with its root CA.
        renewal: how its renewal stands: null where none is under way, waiting, asked, or parked for a person.
    """

    device: str
    ca: str | None
    expires_at: dt.datetime
    renew_from: dt.datetime | None
    renewal: str | None


class AuthorityEnd(Shape):
    """A root CA.

    Attributes:
        devices: how many have a certificate of it.
        move_by: when the last transfer is to be asked for, so that each device calls in twice before the end.
        transfer_calls: what moving its devices takes.
    """

    name: str
    expires_at: dt.datetime | None
    days_left: int | None
    devices: int
    move_by: dt.datetime | None
    transfer_calls: int


class ForecastDay(Shape):
    """One day of UTC.

    Attributes:
        ends: certificates that end on it, as they are now.
        due: renewals whose time comes.
        asked: renewals that are asked for within the budget; each is billed.
        waiting: renewals that wait for the budget at its end.
        calls: calls of u-blox that it takes, those of the certificate scan among them.
    """

    day: dt.date
    ends: int
    due: int
    asked: int
    waiting: int
    calls: int


class RenewalsUnderWay(Shape):
    """Renewals that are not finished: they wait for their time, were asked for, or wait for a person."""

    waiting: int
    asked: int
    parked: int


class Forecast(Shape):
    """A forecast from what was seen last.

    Attributes:
        known: devices with a certificate whose end is known; `certificates` has the first thousand that end or are to
            be renewed in time, the nearest end first.
        unknown: devices of which no certificate, or no end of it, is known.
        seen_since: when the oldest of what is known was seen; null where nothing is known.
        budget: the playbook's for renewals; null where it sets none.
        spent: of the budget, in the running day or month.
        billed: renewals that will be asked for.
        too_late: certificates that end before their device can act, by the budget or because it is late already;
            `too_late_devices` has the first thousand.
        series: one entry for each day.
    """

    at: dt.datetime
    days: int
    known: int
    unknown: int
    seen_since: dt.datetime | None
    certificates: list[CertificateEnd]
    authorities: list[AuthorityEnd]
    under_way: RenewalsUnderWay
    budget: Budget | None
    spent: int
    billed: int
    calls: int
    too_late: int
    too_late_devices: list[str]
    series: list[ForecastDay]

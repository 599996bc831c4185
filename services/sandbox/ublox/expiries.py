"""What comes to its end: notices some days before, and a count of the certificates that nobody renewed.

Source: ``/notification/webhook/create``: device certificates are told of 60, 30 and 7 days before, root CAs 180, 90,
60, 30, 7 and 0 days before. A moment that is over when a certificate is installed is not told of any more.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from services.sandbox.ublox.authorities import Authority
from services.sandbox.ublox.certificates import Certificate
from services.sandbox.ublox.clock import Clock
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.timeline import Timeline

CERTIFICATE_DAYS: Final = (60, 30, 7, 0)
"""The last one has no notice; it is only counted."""

AUTHORITY_DAYS: Final = (180, 90, 60, 30, 7, 0)


class Expiries:
    """Watches certificates and root CAs.

    Args:
        tell_certificate: is given the device, its certificate, and the days before the end.
        tell_authority: is given the root CA.
    """

    def __init__(
        self,
        timeline: Timeline,
        clock: Clock,
        *,
        tell_certificate: Callable[[Device, Certificate, int], object],
        tell_authority: Callable[[Authority], object],
    ) -> None:
        self._timeline = timeline
        self._clock = clock
        self._tell_certificate = tell_certificate
        self._tell_authority = tell_authority

    def watch(self, device: Device) -> None:
        """Watch the certificate that the device has now; only as long as it has it."""
        certificate = device.certificate
        if certificate and (coming := _next(certificate.expires_at, CERTIFICATE_DAYS, self._clock())):
            moment, days = coming
            self._timeline.at(moment, partial(self._certificate_ends, device, certificate, days))

    def watch_authority(self, authority: Authority) -> None:
        """Watch a root CA."""
        if coming := _next(authority.expires_at, AUTHORITY_DAYS, self._clock()):
            self._timeline.at(coming[0], partial(self._authority_ends, authority))

    def _certificate_ends(self, device: Device, certificate: Certificate, days: int) -> None:
        if device.certificate is certificate:
            self._tell_certificate(device, certificate, days)
            self.watch(device)

    def _authority_ends(self, authority: Authority) -> None:
        self._tell_authority(authority)
        self.watch_authority(authority)


def _next(end: datetime, days: Sequence[int], now: datetime) -> tuple[datetime, int] | None:
    """The first of so many days before the end that is still to come."""
    moments = ((end - timedelta(days=number), number) for number in days)
    return next(((moment, number) for moment, number in moments if moment > now), None)

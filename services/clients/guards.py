"""Makes the guards of one process from the settings."""

from datetime import UTC, datetime
from typing import Any

from infra.circuits import Circuits
from infra.coordination import Coordination
from infra.meters import Meters
from infra.rates import Rate
from infra.settings import Settings
from services.clients.guard import Guard, GuardedTransport


class Guards:
    """The guards of every outside system: what they share in a process, and through Redis with all others.

    Attributes:
        coordination: the way to Redis.
        meters: what they count.
    """

    def __init__(self, settings: Settings) -> None:
        self.coordination = Coordination(settings.redis_url.get_secret_value())
        self.meters = Meters(self.coordination)
        self._circuits = Circuits(self.coordination, lambda: datetime.now(UTC))
        self._settings = settings
        self._transports: list[GuardedTransport] = []

    def of(self, system: str, label: str) -> Guard:
        """Make the guard of a system; `label` names it, or each of its devices, for a person."""
        text: str | None = getattr(self._settings, f"{system}_rate")
        rate = None if text is None else Rate(text, system, self.coordination)
        return Guard(system=system, label=label, circuits=self._circuits, meters=self.meters, rate=rate)

    def transport(self, system: str, label: str, url: str, **terms: Any) -> GuardedTransport:
        """Make the transport of a cloud, behind its guard; `terms` are those of `Transport`."""
        transport = GuardedTransport(self.of(system, label), url, **terms)
        self._transports.append(transport)
        return transport

    def close(self) -> None:
        """Close what was made here."""
        for transport in self._transports:
            transport.close()
        self.coordination.close()

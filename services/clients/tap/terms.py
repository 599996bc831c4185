"""On what terms a Tap is spoken to, and what its clients remember together."""

from dataclasses import dataclass, field

from services.clients.tap.attempts import Attempts
from services.clients.tap.verifiers import Verifiers
from services.clients.tap.wire import Bounds


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On what terms a Tap is spoken to.

    Attributes:
        serial: the serial number that it must have, or None where any will do.
        clear: whether it may be spoken to in clear where it has no SCRAM; passwords then travel in clear too.
        period: after how many calls the IVs change: 1 within every call, N by an exchange of their own, 0 never (§9.5).
            Firmware without IVs falls back to 0.
        bounds: how long to wait.
    """

    serial: str | None = None
    clear: bool = False
    period: int = 1
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What clients of one process share: verifiers computed before, and logins that were refused."""

    verifiers: Verifiers = field(default_factory=Verifiers)
    attempts: Attempts = field(default_factory=Attempts)

"""What the reconfiguration of a Tap needs from outside: where the Tap is, what it should be, a line to it, secrets."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from schemas.references import SecretReference
from schemas.tap import TapConfiguration
from services.clients.tap import Request, Response


@dataclass(frozen=True, kw_only=True, slots=True)
class TapOrder:
    """One Tap and what is wished of it.

    Attributes:
        serial: as the Tap must tell it.
        user: who logs in.
        password: where the password for that stands.
        wanted: how the Tap should be.
    """

    serial: str
    user: str
    password: SecretReference
    wanted: TapConfiguration


class TapSession(Protocol):
    """A line to one Tap."""

    @property
    def serial(self) -> str:
        """The serial number that the Tap has told when the line was opened."""

    def exchange(self, request: Request) -> Response:
        """Carry one request over, whatever the status of its response.

        Raises:
            UpstreamError: no answer that can be trusted.
        """

    def log_in(self, user: str, password: SecretStr) -> bool:
        """Log in and encrypt from now on; False where the Tap refuses this password.

        Raises:
            TryAgain: the Tap is locked after too many failures, or no answer came.
            UpstreamError: it refuses for another reason.
        """


class TapAccess(Protocol):
    """The way to every Tap of the inventory."""

    def order(self, serial: str) -> TapOrder:
        """Give what is wished of a Tap, as it is written down now.

        Raises:
            InputError: the inventory does not know it, or its configuration has faults.
        """

    def open(self, serial: str) -> AbstractContextManager[TapSession]:
        """Open a line; leaving it logs out.

        Raises:
            TryAgain: the Tap cannot be reached now.
        """

    def reveal(self, reference: SecretReference) -> SecretStr:
        """Fetch a secret.

        Raises:
            InputError: it is not where the reference says.
        """

    def forgive(self, serial: str, user: str) -> None:
        """Forget which passwords of a user were refused: the user has a new one."""

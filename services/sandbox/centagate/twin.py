"""The twin itself: its parts, and what it begins with.

Everything that changes state runs on the one event loop and without an await, so each call takes effect whole or not
at all, and is counted before its answer leaves.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final

from services.sandbox.centagate.dials import Dials
from services.sandbox.centagate.directory import Directory, Token, TokenStatus, TokenType, User
from services.sandbox.centagate.sessions import Administrator, Sessions
from services.sandbox.centagate.tally import Tally
from services.sandbox.centagate.upsets import Upsets
from services.sandbox.turning import turned

ADMIN_USERNAME: Final = "sandbox-admin"
ADMIN_PASSWORD: Final = "sandbox-password"  # noqa: S105 - made up; it opens nothing but the twin
INTEGRATION_KEY: Final = "sandbox-integration-key"
SECRET_KEY: Final = "sandbox-secret-key"  # noqa: S105 - made up; it opens nothing but the twin

COMPANY_ID: Final = "1"


def utc_now() -> datetime:
    """The clock of a twin that runs in real time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """A Web API app of the admin console: its pair of keys signs the logins."""

    integration_key: str = INTEGRATION_KEY
    secret_key: str = field(default=SECRET_KEY, repr=False)


class Twin:
    """One simulated CENTAGATE server with one company.

    Args:
        administrators: who may log in; the made-up one of this module when not given.
        app: the pair of keys that signs the logins.
        users: how many users to begin with; see `people`.
        dials: how it behaves at the start.
        clock: the true time; the server's own clock may be wrong by a dial.
    """

    def __init__(
        self,
        *,
        administrators: Iterable[Administrator] = (),
        app: App | None = None,
        users: int = 0,
        dials: Dials | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.clock = clock
        staff = tuple(administrators) or (Administrator(username=ADMIN_USERNAME, password=ADMIN_PASSWORD),)
        self.administrators = {admin.username: admin for admin in staff}
        self.app = app or App()
        self._first_dials = dials or Dials()
        self._first_users = users
        self.dials = self._first_dials
        self._random = Random(self.dials.seed)  # noqa: S311 - decides which faults strike; a run must be repeatable
        self.directory = people(users)
        self.sessions = Sessions(clock=clock)
        self.tally = Tally()
        self.upsets = Upsets(random=self._random)

    def server_time(self) -> float:
        """What the server's clock says, in seconds since 1970."""
        return self.clock().timestamp() + self.dials.clock_skew_seconds

    def turn(self, changes: object) -> None:
        """Turn some dials and start the random generator afresh.

        Raises:
            InputError: a change is wrong; nothing was turned.
        """
        self.dials = turned(self.dials, changes)
        self._random.seed(self.dials.seed)

    def reset(self) -> None:
        """Begin again: the first users, no session, no count, nothing ordered, every dial turned back."""
        self.directory = people(self._first_users)
        self.sessions.end_all()
        self.dials = self._first_dials
        self._random.seed(self.dials.seed)
        self.upsets.clear()
        self.tally.clear()


def people(count: int) -> Directory:
    """Make active users ``user-0001``, …, with a phone number each, and as many hardware tokens that may be bound.

    User 1 has the phone number +999000000001, hardware token 1 the serial number SN00000001; neither is registered.
    """
    directory = Directory()
    for number in range(1, count + 1):
        directory.add(User(username=f"user-{number:04}", phone=f"+999{number:09}"))
        serial = f"SN{number:08}"
        directory.hardware[serial] = Token(type=TokenType.OTP, number=serial, status=TokenStatus.DEACTIVATED)
    return directory

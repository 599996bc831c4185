"""A small CENTAGATE in memory, and a desk at which a registration is run again and again as after a crash."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from pydantic import SecretStr

from schemas.centagate import CODES, ReturnCode, StatusType, TokenLook, TokenStatus, TokenType
from schemas.errors import InputError, Refused
from schemas.jobs import Again, Job, Outcome
from services.operations import Tools
from services.operations.centagate_access import TokenOrder
from services.operations.register_token import RegisterToken
from tests.conftest import Clock

PHONE: Final = SecretStr("+999555010123")
OTHER_PHONE: Final = SecretStr("+999555010999")
SERIAL: Final = SecretStr("GX00421789")

Key = tuple[str, TokenType]


class Killed(Exception):
    """The worker died here."""


@dataclass
class Held:
    """A token of a user."""

    number: SecretStr
    status: TokenStatus = TokenStatus.VALID


@dataclass
class Service:
    """CENTAGATE as `CentagateAccess` shows it.

    Attributes:
        shows: what the list tells: ``number``, ``status``, ``type``; nothing at all: it tells of no tokens.
        spoken: makes what is shown of a number.
        fails: errors and codes of the next registrations; True: it takes effect all the same.
        looks: errors of the next looks.
    """

    orders: dict[str, TokenOrder]
    tokens: dict[Key, Held] = field(default_factory=dict)
    shows: set[str] = field(default_factory=lambda: {"number", "status", "type"})
    spoken: Callable[[str], str] = str
    fails: list[tuple[Exception | int, bool]] = field(default_factory=list)
    looks: list[Exception | None] = field(default_factory=list)
    drops: bool = False
    calls: int = 0

    def order(self, target: str) -> TokenOrder:
        """Find the token."""
        if target not in self.orders:
            raise InputError([f"the inventory has no CENTAGATE token {target}"])
        return self.orders[target]

    def register_active_token(self, username: str, token_sn: SecretStr, token_type: TokenType) -> ReturnCode:
        """Register, refuse, or fail as ordered."""
        self.calls += 1
        failure, acts = self.fails.pop(0) if self.fails else (0, True)
        code = self._register((username, token_type), token_sn) if acts else 0
        if isinstance(failure, Exception):
            raise failure
        return CODES[failure or code]

    def get_status(self, username: str, status_type: StatusType) -> TokenLook | None:
        """Tell of one token as far as it is shown."""
        held = {kind.status_type: self.tokens.get((username, kind)) for kind in TokenType}.get(status_type)
        if held is None:
            return TokenLook() if not self.shows else None
        return TokenLook(status=held.status if "status" in self.shows else None)

    def tokens_of(self, username: str) -> tuple[TokenLook, ...] | None:
        """Tell of every token as far as it is shown."""
        if self.looks and (failure := self.looks.pop(0)) is not None:
            raise failure
        if username == "nobody":
            raise Refused(CODES[22002].text, call="/user/auth/list", status=200)
        if not self.shows & {"number", "type"}:
            return None
        return tuple(self._shown(kind, held) for (name, kind), held in self.tokens.items() if name == username)

    def _shown(self, kind: TokenType, held: Held) -> TokenLook:
        number = SecretStr(self.spoken(held.number.get_secret_value()))
        return TokenLook(
            type=kind.status_type if "type" in self.shows else None,
            number=number if "number" in self.shows else None,
            status=held.status if "status" in self.shows else None,
        )

    def _register(self, key: Key, number: SecretStr) -> int:
        if any(held.number == number for held in self.tokens.values()) and key[1] is TokenType.SMS:
            return 29004
        if key in self.tokens:
            return 29008 if key[1] is TokenType.OTP else 22027
        if not self.drops:
            self.tokens[key] = Held(number)
        return 0


class Desk:
    """Runs a job as the runner does, and keeps what the ledger would keep."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self.service = service
        self.progress: Mapping[str, Any] = {}
        self.lost = False
        self.dies_before_settling = False
        self._clock = clock
        self._tools = Tools(
            centagate=service,
            note=self._note,
            clock=clock,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
        )

    def run(self, target: str = "alice/sms") -> Outcome:
        """One attempt."""
        now = self._clock()
        job = Job(
            id=1,
            operation=RegisterToken.name,
            target=target,
            parameters={},
            fence=1,
            attempt=1,
            claimed_at=now,
            created_at=now,
        )
        outcome = RegisterToken().perform([replace(job, progress=self.progress)], self._tools)[1]
        if self.dies_before_settling:
            self.dies_before_settling = False
            raise Killed
        if isinstance(outcome, Again) and outcome.progress is not None:
            self.progress = outcome.progress
        return outcome

    def _note(self, noted: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
        if self.lost:
            return set()
        self.progress = noted[0][1]
        return {1}

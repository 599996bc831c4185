"""How a Tap judges logins: SCRAM and plain, failures counted, users locked out (Tap protocol notes §7)."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from services.clients.tap.channel import KEY_SIZE
from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.errors import ProtocolError
from services.clients.tap.events import Nonces, Request, Response
from services.clients.tap.layouts import LoginCredential, LoginCredentialHashed, SecurityOptions
from services.clients.tap.scram import SALT_SIZE, DeviceLogin, LoginParams, Verifier, hash_password
from services.clients.tap.state import ITERATION_PATH, SECURITY_PATH
from services.clients.tap.status import Status
from services.sandbox.tap.dials import Dials
from services.sandbox.tap.factory import ANONYMOUS
from services.sandbox.tap.memory import Group, Memory
from services.sandbox.tap.tally import Tally

_MOST_NAMES: Final = 256
"""Of how many names failures are counted, known or not; the oldest is forgotten."""


@dataclass(slots=True)
class Visitor:
    """Who is at the other end of a line.

    Attributes:
        number: of the line, within its Tap.
        host: the way by which the line came in.
        group: who is logged in.
        sealed: whether the request under way came through the encrypted channel.
        last: when the last request came, by the twin's clock.
        user: the name given at the last challenge.
        key: the session key of a login whose answer is under way.
    """

    number: int
    host: HostProtocol
    group: int = ANONYMOUS
    sealed: bool = False
    last: float = 0
    user: str = ""
    key: bytes | None = field(default=None, repr=False)
    login: DeviceLogin = field(default_factory=DeviceLogin, repr=False)

    def leave(self) -> None:
        """Be nobody again."""
        self.group, self.user, self.key = ANONYMOUS, "", None
        self.login = DeviceLogin()


@dataclass(slots=True)
class Failures:
    """The failed logins of one user in a row."""

    count: int = 0
    locked_until: float = 0


class Doorkeeper:
    """Judges the logins of one Tap."""

    def __init__(
        self, memory: Memory, tally: Tally, *, dials: Callable[[], Dials], nonces: Nonces, clock: Callable[[], float]
    ) -> None:
        self.memory = memory
        self.tally = tally
        self._dials = dials
        self._nonces = nonces
        self._clock = clock
        self._failures: dict[str, Failures] = {}
        self._secret = secrets.token_bytes(KEY_SIZE)

    @property
    def locks(self) -> SecurityOptions:
        """The lock bits (notes §11.2)."""
        return SecurityOptions.decode(self.memory.stored[SECURITY_PATH])

    def challenge(self, visitor: Visitor, request: Request) -> Response:
        """Answer ``GET /1024//40``. An unknown user gets a made-up salt and fails at the proof (§7.6)."""
        if not self.locks.scram_activated:
            return Response(Status.RESOURCE_LOCKED)
        try:
            params = LoginParams.decode(request.body)
        except ProtocolError:
            return Response(Status.BAD_REQUEST)
        if self._is_locked(params.user):
            return self._refused(Status.SERVICE_UNAVAILABLE, "locked out")
        visitor.user = params.user
        verifier, iterations = self._verifier_of(params.user)
        challenge = visitor.login.challenge(params, verifier, iterations=iterations, nonce=self._nonces.nonce())
        return Response(Status.CONTENT, challenge.encode())

    def prove(self, visitor: Visitor, request: Request) -> Response:
        """Answer ``GET /1024//41``; the session starts when the answer has gone out."""
        admission = visitor.login.admit(request.body)
        user, visitor.user = visitor.user, ""
        found = self.memory.named(user)
        if admission is None or found is None:
            return self._failed(user)
        visitor.key = admission.key
        self._welcome(visitor, found[0], user)
        return Response(Status.CONTENT, admission.proof)

    def plain(self, visitor: Visitor, request: Request) -> Response:
        """Answer ``POST /1024//0``, in the one way that the lock bits leave (§7.7)."""
        if self.locks.scram_activated:
            return Response(Status.RESOURCE_LOCKED)
        try:
            user, hashed = self._credential(request.body)
        except ProtocolError:
            return Response(Status.BAD_REQUEST)
        if self._is_locked(user):
            return self._refused(Status.SERVICE_UNAVAILABLE, "locked out")
        found = self.memory.named(user)
        if found is None or not _matches(found[1], hashed):
            return self._failed(user)
        self._welcome(visitor, found[0], user)
        return Response(Status.CHANGED)

    def password(self, group: Group, body: bytes) -> Response:
        """Answer ``POST /1025/{g}/2``: a verifier, a hash or a text, as the lock bits say (§10.2)."""
        verifier = self._new_verifier(body)
        if verifier is None:
            return Response(Status.NOT_ACCEPTABLE)
        group.verifier, group.iterations = verifier, self._iterations()
        return Response(Status.CHANGED)

    def forgive(self) -> None:
        """Forget all failures, as a restart does."""
        self._failures.clear()

    def _new_verifier(self, body: bytes) -> Verifier | None:
        if self.locks.scram_activated:
            return Verifier.decode(body) if len(body) == 2 * KEY_SIZE + SALT_SIZE else None
        salt, iterations = self._nonces.salt(), self._iterations()
        if self.locks.hash_password:
            return Verifier.from_hash(body, salt=salt, iterations=iterations) if len(body) == KEY_SIZE else None
        fits = len(body) <= KEY_SIZE
        return Verifier.make(body.decode("latin-1"), salt=salt, iterations=iterations) if fits else None

    def _credential(self, body: bytes) -> tuple[str, bytes]:
        if self.locks.hash_password:
            hashed = LoginCredentialHashed.decode(body)
            return hashed.user, hashed.key
        clear = LoginCredential.decode(body)
        return clear.user, hash_password(clear.password)

    def _verifier_of(self, user: str) -> tuple[Verifier, int]:
        found = self.memory.named(user)
        if found is not None and found[1].verifier is not None:
            return found[1].verifier, found[1].iterations
        made_up = hmac.digest(self._secret, user.encode("latin-1"), "sha256")
        salt = b"\x01" + made_up[: SALT_SIZE - 1]
        return Verifier(made_up[:KEY_SIZE], made_up[KEY_SIZE:], salt), self._iterations()

    def _iterations(self) -> int:
        return self.memory.number(ITERATION_PATH, 1)

    def _failures_of(self, user: str) -> Failures:
        if len(self._failures) >= _MOST_NAMES and user not in self._failures:
            self._failures.pop(next(iter(self._failures)))
        return self._failures.setdefault(user, Failures())

    def _is_locked(self, user: str) -> bool:
        return self._dials().locked_out or self._failures_of(user).locked_until > self._clock()

    def _failed(self, user: str) -> Response:
        failures, dials = self._failures_of(user), self._dials()
        failures.count += 1
        if dials.lockout_after and failures.count >= dials.lockout_after:
            failures.count, failures.locked_until = 0, self._clock() + dials.lockout_seconds
        return self._refused(Status.UNAUTHORIZED, "refused")

    def _refused(self, status: Status, outcome: str) -> Response:
        self.tally.logins[outcome] += 1
        return Response(status)

    def _welcome(self, visitor: Visitor, group: int, user: str) -> None:
        self._failures.pop(user, None)
        self.tally.logins["admitted"] += 1
        visitor.group = group


def _matches(group: Group, hashed: bytes) -> bool:
    """Compare a hashed password with a verifier in constant time."""
    if group.verifier is None:
        return False
    salt = group.verifier.salt
    offered = Verifier.from_hash(hashed, salt=salt, iterations=group.iterations)
    return any(salt) and hmac.compare_digest(group.verifier.stored, offered.stored)

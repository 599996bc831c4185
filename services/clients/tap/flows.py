"""The verbs that take several exchanges, as generators: each yields a request and is sent its response.

So a login is the same ten lines over every transport, in a test, and inside an encrypted channel. ``run`` drives a flow
with any function that carries a request to the device.
"""

from collections.abc import Callable, Generator
from typing import Final, TypeVar

from services.clients.tap.channel import BLOCK
from services.clients.tap.errors import (
    DeviceRefusal,
    LocalProtocolError,
    LoginRefused,
    RemoteProtocolError,
    UnprovenDevice,
)
from services.clients.tap.events import Method, Request, Response
from services.clients.tap.paths import Path
from services.clients.tap.scram import (
    MAX_ITERATIONS,
    Challenge,
    LoginParams,
    Verifier,
    encode_name,
    hash_password,
    proves_device,
)
from services.clients.tap.state import ITERATION_PATH, LOGIN_PATH, PROOF_PATH, SET_IV_PATH

T = TypeVar("T")

Flow = Generator[Request, Response, T]
"""Yields requests, is sent their responses, ends with a value."""

PLAIN_LOGIN_PATH: Final = Path(1024, None, 0)

APPEND_CHUNK: Final = 209
"""Bytes of one write of a long value. The vendor takes 220, which overflows a frame that brings its IV (§3.5); this is
the most that fits in every form."""

ITERATION_SIZE: Final = 4
"""Bytes of the iteration count as it is read (§8.4)."""


def run(flow: Flow[T], exchange: Callable[[Request], Response]) -> T:
    """Carry out a flow and give its value."""
    try:
        request = next(flow)
        while True:
            request = flow.send(exchange(request))
    except StopIteration as end:
        value: T = end.value
        return value


def login(user: str, password: str, *, nonce: int) -> Flow[bytes]:
    """Log in by SCRAM and give the session key, 16 bytes, once the device has proved itself too (§7.3, §7.4).

    Args:
        user: at most 16 characters of Latin-1.
        password: any text.
        nonce: fresh, unsigned 32 bits.

    Raises:
        LoginRefused: the device says no.
        UnprovenDevice: it does not know the verifier of this user.
        RemoteProtocolError: its answers are malformed.
    """

    def derive(challenge: Challenge) -> Verifier:
        return Verifier.make(password, salt=challenge.salt, iterations=challenge.iterations)

    return (yield from login_with(user, derive, nonce=nonce))


def login_with(user: str, derive: Callable[[Challenge], Verifier], *, nonce: int) -> Flow[bytes]:
    """Log in like ``login``, by a verifier that the caller computes for the challenge, or remembers."""
    answer = yield Request(Method.GET, LOGIN_PATH, LoginParams(user, nonce).encode())
    challenge = Challenge.decode(_admitted(answer, LOGIN_PATH).body)
    verifier = derive(challenge)
    answer = yield Request(Method.GET, PROOF_PATH, verifier.client_proof(nonce, challenge.nonce))
    proof = _admitted(answer, PROOF_PATH).body
    if not proves_device(verifier, proof, client_nonce=nonce, server_nonce=challenge.nonce):
        raise UnprovenDevice("the device has not proved that it knows this user")
    return verifier.session_key(nonce, challenge.nonce)


def plain_login(user: str, password: str, *, hashed: bool) -> Flow[None]:
    """Log in where SCRAM is off; no session key comes of it (§7.7). Use it only where the line itself is safe.

    Raises:
        LocalProtocolError: the name, or a password in clear, does not fit 16 characters of Latin-1.
        LoginRefused: the device says no.
    """
    secret = hash_password(password) if hashed else encode_name(password)
    answer = yield Request(Method.POST, PLAIN_LOGIN_PATH, encode_name(user) + secret)
    _admitted(answer, PLAIN_LOGIN_PATH)


def refresh(request: Request) -> Flow[None]:
    """Change both IVs by a ``Connection.refresh_request()`` and see that the device took part (§9.4).

    Raises:
        DeviceRefusal: this firmware has no IVs, or there is no session.
        RemoteProtocolError: the answer is no IV, as with firmware before 1.83, where the path meant something else.
    """
    answer = yield request
    if not answer.done:
        raise DeviceRefusal(f"GET {SET_IV_PATH}", answer.status)
    if len(answer.body) != BLOCK:
        raise RemoteProtocolError(f"an IV has {BLOCK} bytes, not {len(answer.body)}")


def change_password(group: int, password: str, *, salt: bytes) -> Flow[None]:
    """Give a group a new password where SCRAM is on; to be run inside the encrypted channel (§10.2).

    Args:
        group: 0 … 65535; 65535 is the administrator, 65534 the supervisor.
        password: any text.
        salt: four fresh bytes, not all zero, for that disables the login.

    Raises:
        LocalProtocolError: the salt will not do.
        DeviceRefusal: the device says no.
        RemoteProtocolError: its iteration count is malformed.
    """
    if not any(salt):
        raise LocalProtocolError("an all-zero salt disables the login of a user")
    answer = yield Request(Method.GET, ITERATION_PATH)
    if not answer.done:
        raise DeviceRefusal(f"GET {ITERATION_PATH}", answer.status)
    verifier = Verifier.make(password, salt=salt, iterations=_iterations(answer.body))
    path = Path(1025, group, 2)
    answer = yield Request(Method.POST, path, verifier.encode())
    if not answer.done:
        raise DeviceRefusal(f"POST {path}", answer.status)


def append(path: Path, data: bytes, *, chunk: int = APPEND_CHUNK) -> Flow[None]:
    """Write a long value as a series of writes to one path, in order, without offsets (§6.2).

    Args:
        path: a resource that appends: a certificate, script code.
        data: the whole value; empty gives one empty write, which erases script code.
        chunk: bytes of each write but the last.

    Raises:
        DeviceRefusal: the device says no; it may keep what came before.
    """
    for start in range(0, len(data) or 1, chunk):
        answer = yield Request(Method.PUT, path, data[start : start + chunk])
        if not answer.done:
            raise DeviceRefusal(f"PUT {path} at byte {start} of {len(data)}", answer.status)


def _admitted(answer: Response, path: Path) -> Response:
    if not answer.done:
        raise LoginRefused(f"login at {path}", answer.status)
    return answer


def _iterations(body: bytes) -> int:
    """Read the count: four bytes back, though two are written (§8.4)."""
    count = int.from_bytes(body[:ITERATION_SIZE], "big")
    if len(body) < ITERATION_SIZE or not 1 <= count <= MAX_ITERATIONS:
        raise RemoteProtocolError(f"{body[:ITERATION_SIZE].hex() or 'nothing'} is no iteration count")
    return count

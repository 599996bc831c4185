"""How we get into a Tap, and make sure that it is the right one: serial number, lock bits, login, IVs.

A login never repeats itself: what a Tap has refused is remembered in ``Attempts``, and a Tap that could not prove
itself is a matter for a person (Tap protocol notes §7.3, §7.6).
"""

from typing import Final

from pydantic import SecretStr

from schemas.errors import OurFault, Refused, TryAgain, UpstreamError
from services.clients.tap.attempts import CALL, WrongCredentials
from services.clients.tap.conversation import Conversation
from services.clients.tap.errors import (
    LocalProtocolError,
    LoginFault,
    LoginRefused,
    RemoteProtocolError,
    UnprovenDevice,
)
from services.clients.tap.events import Method, Nonces, Refusal, Request, Response
from services.clients.tap.faults import refusal, upstream_error
from services.clients.tap.flows import login_with, plain_login, run
from services.clients.tap.layouts import SecurityOptions
from services.clients.tap.paths import Path
from services.clients.tap.state import SECURITY_PATH
from services.clients.tap.status import describe
from services.clients.tap.terms import Memory, Terms

SERIAL: Final = Request(Method.GET, Path(3, None, 2))
"""What a Tap is called; every Tap tells it in clear (§2)."""

SECURITY: Final = Request(Method.GET, SECURITY_PATH)
"""Which login a Tap wants (§7.1)."""

LONGEST_SERIAL: Final = 64


def ask_serial(talk: Conversation, expected: str | None, *, where: str) -> str:
    """Give the serial number of the Tap, and see that it is the one expected.

    Raises:
        OurFault: it is another Tap.
        Refused: it does not tell.
        TryAgain: no answer, or not a Tap's.
    """
    sizes = None if expected is None else frozenset({len(expected)})
    answer = _done(talk.carry(SERIAL, sizes=sizes), SERIAL)
    serial = _printable(answer.body)
    if expected is not None and serial != expected:
        text = f"{where} is Tap {serial}, not {expected}: check the address in the inventory"
        raise OurFault(text, call=str(SERIAL), sent=False)
    return serial


class Admittance:
    """One login over one connection.

    Args:
        talk: a connection on which the serial number has been compared.
        terms: on what terms we speak to this Tap.
        memory: verifiers computed before, logins refused before.
        nonces: where fresh numbers come from.
        serial: of the Tap.
    """

    def __init__(self, talk: Conversation, terms: Terms, memory: Memory, nonces: Nonces, serial: str) -> None:
        self._talk = talk
        self._terms = terms
        self._memory = memory
        self._nonces = nonces
        self._serial = serial

    def log_in(self, user: str, password: SecretStr) -> None:
        """Log in by the best way that the Tap has and the terms allow.

        Raises:
            WrongCredentials: user or password are wrong, or were refused a short while ago and have not been sent.
            TryAgain: no answer, or the Tap is locked for ``retry_after`` seconds.
            Refused: no SCRAM and the terms want it, or the Tap could not prove itself.
        """
        self._memory.attempts.check(self._serial, user, password)
        options = self._lock_bits()
        if not (options.scram_activated or self._terms.clear):
            text = "has no SCRAM, so the password and everything else would travel in clear"
            hint = "switch SCRAM on, or allow clear text for this Tap in the inventory"
            raise Refused(f"Tap {self._serial} {text}: {hint}", call=CALL, sent=False)
        try:
            self._carry_out(options, user, password)
        except LoginRefused as error:
            raise self._refused(error, user, password) from None
        self._memory.attempts.forget(self._serial, user)

    def _carry_out(self, options: SecurityOptions, user: str, password: SecretStr) -> None:
        try:
            if options.scram_activated:
                self._by_scram(user, password)
            else:
                flow = plain_login(user, password.get_secret_value(), hashed=options.hash_password)
                run(flow, self._talk.ask)
        except UnprovenDevice:
            text = (
                f"Tap {self._serial} could not prove that it knows {user!r}: perhaps it is not the Tap it claims to be"
            )
            raise Refused(text, call=CALL) from None
        except RemoteProtocolError as error:
            raise TryAgain(f"login at Tap {self._serial}: {error}", call=CALL) from None
        except LocalProtocolError as error:
            raise upstream_error(error, CALL) from None

    def _by_scram(self, user: str, password: SecretStr) -> None:
        verifiers = self._memory.verifiers
        flow = login_with(user, lambda challenge: verifiers.derive(password, challenge), nonce=self._nonces.nonce())
        key = run(flow, self._talk.ask)
        self._talk.line.start_session(key)
        answer = _done(self._talk.settle_ivs(SERIAL), SERIAL)
        if _printable(answer.body) != self._serial:
            text = f"inside the channel the Tap calls itself {_printable(answer.body)}, outside {self._serial}"
            raise Refused(text, call=str(SERIAL))

    def _lock_bits(self) -> SecurityOptions:
        answer = _done(self._talk.ask(SECURITY), SECURITY)
        if len(answer.body) != SecurityOptions.size():
            raise TryAgain(f"{SECURITY}: lock bits of {len(answer.body)} bytes", call=str(SECURITY))
        return SecurityOptions.decode(answer.body)

    def _refused(self, error: LoginRefused, user: str, password: SecretStr) -> UpstreamError:
        pause = self._memory.attempts.refused(self._serial, user, password, error.fault)
        told = f"Tap {self._serial} refused the login of {user!r}"
        match error.fault:
            case LoginFault.WRONG_CREDENTIALS:
                text = f"{told}: wrong user or password; it is not tried again, so as not to lock the user out"
                return WrongCredentials(text, call=CALL, status=error.status)
            case LoginFault.TOO_MANY_ATTEMPTS:
                text = f"{told}: locked after too many failures; the next try is in {pause:.0f} s"
                return TryAgain(text, call=CALL, status=error.status, retry_after=pause)
            case _:
                return refusal(f"{told}: {describe(error.status)}", error.status, call=CALL)


def _done(event: Response | Refusal, request: Request) -> Response:
    if isinstance(event, Response) and event.done:
        return event
    raise refusal(f"{request}: {describe(event.status)}", event.status, call=str(request))


def _printable(body: bytes) -> str:
    """Read a serial number, which is short ASCII.

    Raises:
        TryAgain: it is something else, such as a late answer to something else.
    """
    text = body.split(b"\x00", 1)[0].decode("latin-1")
    if not (text.isascii() and text.isprintable() and 0 < len(text) <= LONGEST_SERIAL):
        raise TryAgain(f"{SERIAL}: {len(body)} bytes that are no serial number", call=str(SERIAL))
    return text

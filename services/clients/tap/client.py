"""The client of one Tap: connect, log in, make calls inside the encrypted channel, log out.

::

    with TapClient(TcpAddress("192.0.2.7"), terms=Terms(serial="IOTZ00000000000042")) as client:
        client.login("admin", password)
        client.write("/1024//9", "gate-3")
        Tap(client).wifi.put_ssid("plant-7")

What it insists on: the serial number is compared before anything else, and again inside the channel; a Tap without
SCRAM is refused unless the terms say that it may be spoken to in clear; without a session nothing is written and no
secret is read. A timeout ends the session (Tap protocol notes §14.2): ``connect`` and ``login`` begin another one,
under a new key whose frames count from 0.
"""

import contextlib
from typing import Any, Final, Self

from pydantic import SecretStr

from schemas.errors import OurFault, TryAgain, UpstreamError
from services.clients.tap.admittance import Admittance, ask_serial
from services.clients.tap.attempts import WrongCredentials
from services.clients.tap.calls import Tap
from services.clients.tap.conversation import Conversation
from services.clients.tap.errors import LocalProtocolError
from services.clients.tap.events import Method, Nonces, Request, Response, Role
from services.clients.tap.faults import refusal, told_as_upstream, upstream_error
from services.clients.tap.flows import change_password, run
from services.clients.tap.nonces import SecureNonces
from services.clients.tap.paths import GROUP_OBJECT, Path
from services.clients.tap.protocol import Connection
from services.clients.tap.registry import calls_at
from services.clients.tap.state import INITIALIZE_PATH, LOGOUT_PATH, MULTI_PATH, Form
from services.clients.tap.status import describe
from services.clients.tap.terms import Memory, Terms
from services.clients.tap.wire import Address

LOGOUT: Final = Request(Method.POST, LOGOUT_PATH)

NEVER_IN_CLEAR: Final = frozenset({INITIALIZE_PATH, MULTI_PATH})
"""Reads that give the session key away (§8.2), or hide writes (§6.4)."""


class TapClient:
    """One Tap, in one thread; ``exchange`` carries requests for ``Tap``, ``read`` and the rest speak in our errors.

    Args:
        address: where the Tap is reached.
        terms: on what terms it is spoken to.
        memory: what the clients of this process share; without it this client remembers for itself.
        nonces: where fresh numbers come from.
    """

    def __init__(
        self,
        address: Address,
        *,
        terms: Terms | None = None,
        memory: Memory | None = None,
        nonces: Nonces | None = None,
    ) -> None:
        self._address = address
        self._terms = terms or Terms()
        self._memory = memory or Memory()
        self._nonces = nonces or SecureNonces()
        self._talk: Conversation | None = None
        self._serial = ""
        self._logged_in = False

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<TapClient {self._address} {self._serial or 'not connected'}>"

    @property
    def serial(self) -> str:
        """The serial number that the Tap has told, empty before ``connect``."""
        return self._serial

    @property
    def in_session(self) -> bool:
        """Whether the next request is sealed."""
        return self._talk is not None and self._talk.stands and self._talk.line.form is not Form.CLEAR

    @property
    def period(self) -> int:
        """After how many calls the IVs change on this connection; 0 also where the firmware has none."""
        return self._terms.period if self._talk is None else self._talk.line.refresh_period

    def connect(self) -> str:
        """Open a connection, ask the Tap for its serial number in clear, and give it.

        Raises:
            TryAgain: nobody answers, or not as a Tap does; ``sent`` is False.
            OurFault: it is another Tap, or the broker does not let us in.
            Refused: it does not tell its serial number.
        """
        self.close()
        bounds = self._terms.bounds
        line = Connection(Role.CLIENT, nonces=self._nonces, refresh_period=self._terms.period)
        self._talk = Conversation(self._address.dial(bounds), line, bounds)
        try:
            self._serial = ask_serial(self._talk, self._terms.serial, where=str(self._address))
        except TryAgain as error:
            self._abandon("the Tap did not answer")
            raise TryAgain(f"{self._address}: {error}", call=error.call, sent=False) from None
        except UpstreamError:
            self._abandon("it is not the Tap that we want")
            raise
        return self._serial

    def login(self, user: str, password: SecretStr) -> None:
        """Log in, by SCRAM wherever the Tap has it, and go on inside the encrypted channel (§7).

        After ``WrongCredentials`` the connection stands, after any other failure it does not.

        Args:
            user: at most 16 characters of Latin-1.
            password: any text.

        Raises:
            WrongCredentials: user or password are wrong, or have been refused a short while ago and were not sent.
            TryAgain: no answer, or the Tap is locked for ``retry_after`` seconds.
            Refused: the Tap has no SCRAM and may not be spoken to in clear, or it could not prove itself.
        """
        admittance = Admittance(self._open(), self._terms, self._memory, self._nonces, self._serial)
        try:
            admittance.log_in(user, password)
        except WrongCredentials:
            raise
        except UpstreamError:
            self._abandon("the login failed")
            raise
        self._logged_in = True

    def exchange(self, request: Request) -> Response:
        """Send one request, sealed where there is a session, and give the response, whatever its status.

        Raises:
            OurFault: it is too large, or it would write or touch a secret in clear; nothing was sent.
            TryAgain: no answer that can be trusted; the session is over, ``sent`` says whether the Tap may have acted.
        """
        talk = self._open()
        if talk.line.form is Form.CLEAR and talk.stands and not self._terms.clear:
            _refuse_in_clear(request)
        try:
            return talk.ask(request)
        except LocalProtocolError as error:
            raise upstream_error(error, str(request)) from None

    def read(self, path: str | Path, *, as_type: str | None = None) -> Any:
        """Read a resource like ``Tap.read``.

        Raises:
            TryAgain: passing trouble.
            Refused: the Tap says no for good.
            OurFault: the path is none, or this user may not read it.
        """
        with told_as_upstream(f"GET {path}"):
            return Tap(self).read(path, as_type=as_type)

    def write(self, path: str | Path, value: Any, *, as_type: str | None = None, method: Method = Method.PUT) -> None:
        """Write a resource like ``Tap.write``; raises like ``read``."""
        with told_as_upstream(f"{method.name} {path}"):
            Tap(self).write(path, value, as_type=as_type, method=method)

    def call(self, name: str, *arguments: Any) -> Any:
        """Make a call of the registry, such as ``group.put_session_lifetime``; raises like ``read``."""
        service, _, verb = name.partition(".")
        with told_as_upstream(name):
            try:
                bound = getattr(getattr(Tap(self), service), verb)
            except AttributeError as error:
                raise OurFault(str(error), call=name, sent=False) from None
            return bound(*arguments)

    def change_password(self, group: int, password: SecretStr) -> None:
        """Give a group a new password; only its verifier travels, inside the channel (§10.2). Raises like ``read``."""
        if not self.in_session:
            raise OurFault(
                "a password is changed inside the encrypted channel: log in first", call="change password", sent=False
            )
        flow = change_password(group, password.get_secret_value(), salt=self._nonces.salt())
        with told_as_upstream(f"POST {Path(GROUP_OBJECT, group, 2)}"):
            run(flow, self.exchange)

    def logout(self) -> None:
        """Log out; the session stands until the answer has been read (§7.8). The connection stays.

        Raises:
            TryAgain: no answer that can be trusted.
            Refused: the Tap says no.
        """
        response = self._open().ask(LOGOUT)
        if not response.done:
            raise refusal(f"{LOGOUT}: {describe(response.status)}", response.status, call=str(LOGOUT))
        self._logged_in = False

    def close(self) -> None:
        """Log out if somebody is logged in, and close the connection; what goes wrong now changes nothing."""
        if self._logged_in and self._talk is not None and self._talk.stands:
            with contextlib.suppress(UpstreamError):
                self.logout()
        self._abandon("it was closed")

    def _open(self) -> Conversation:
        if self._talk is None:
            raise TryAgain(f"{self._address}: not connected", call="connect", sent=False)
        return self._talk

    def _abandon(self, why: str) -> None:
        self._logged_in = False
        if self._talk is not None:
            self._talk.end(why)


def _refuse_in_clear(request: Request) -> None:
    secret = any(call.secret for call in calls_at(request.method, request.path))
    if request.method is not Method.GET or secret or request.path in NEVER_IN_CLEAR:
        text = f"{request} would travel in clear: log in first"
        raise OurFault(text, call=str(request), sent=False)

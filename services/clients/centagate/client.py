"""CENTAGATE in our verbs. Sources: CENTAGATE "Token Registration API" and its siblings in "System Management".

The cenToken is the same for every call of a session and protects no body, so TLS does; it is always verified.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic import SecretStr

from infra.coordination import Coordination
from schemas.centagate import (
    CODES,
    Reaction,
    ReturnCode,
    StatusType,
    TokenLook,
    TokenStatus,
    TokenType,
    read_object,
    read_status,
    read_tokens,
)
from schemas.errors import OurFault, UpstreamError
from services.clients.answers import Answer
from services.clients.centagate.faults import code_of, fault, without_numbers
from services.clients.centagate.session import LOGIN, Administrator, Keys, open_shared
from services.clients.transport import Transport

ROOT: Final = "/CentagateWS/webresources"

REGISTER: Final = "/token/registerActiveToken"
UNREGISTER: Final = "/token/unregisterActiveToken"
GET_STATUS: Final = "/token/getStatus"
UPDATE_STATUS: Final = "/token/update/token/status"
LIST: Final = "/user/auth/list"

_UNSETTLED: Final = frozenset(number for number, code in CODES.items() if code.reaction is Reaction.ASK)
_NO_TOKEN: Final = frozenset({29001, 29013})
_NOT_ACTIVE: Final = 29002
"""What getStatus and the list may answer instead of a status; "not active" is taken for "deactivated"."""


class Centagate:
    """One administrator of one CENTAGATE; safe to share between threads.

    Every verb raises one of the upstream errors of `schemas.errors`. A call that is answered with 23018, 23022 or 10001
    is repeated once, in one new session.

    Args:
        base_url: tells this account's shared session from that of another service; requests go where `transport` goes.
        transport: built for the base URL.
        prefix: stands before ``/CentagateWS`` in management calls; the document shows none, one sample shows ``/v2``.
        auth_prefix: the same in the log-in.
        coordination: shares the session between processes; without it each process has its own.
        clock: the time now, with its zone.
    """

    def __init__(
        self,
        base_url: str,
        *,
        administrator: Administrator,
        transport: Transport,
        prefix: str = "",
        auth_prefix: str = "/v2",
        coordination: Coordination | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = transport
        self._admin = administrator
        self._prefix, self._auth_prefix = prefix, auth_prefix
        self._session = open_shared(
            administrator,
            account=f"{base_url} {administrator.username} {administrator.integration_key.get_secret_value()}",
            log_in=self._log_in,
            coordination=coordination,
            clock=lambda: clock().timestamp(),
        )

    def register_active_token(self, username: str, token_sn: SecretStr, token_type: TokenType) -> ReturnCode:
        """Register a phone number or the serial number of an OTP token for a user, active at once.

        Returns:
            Success, or a code that only a look can settle (`Reaction.ASK`): it may tell of our own earlier success.
        """
        body = {"username": username, "tokenSn": token_sn.get_secret_value(), **token_type.fields()}
        _, code = self._call(REGISTER, body, conceal=_spellings(token_sn), lawful=_UNSETTLED)
        return code

    def unregister_active_token(self, username: str, status_type: StatusType) -> None:
        """Take a user's token of a kind away."""
        self._call(UNREGISTER, {"username": username, **status_type.fields()})

    def get_status(self, username: str, status_type: StatusType) -> TokenLook | None:
        """Ask for the status of a user's token of a kind; None if the user has none."""
        lawful = _NO_TOKEN | {_NOT_ACTIVE}
        answer, code = self._call(GET_STATUS, {"username": username, **status_type.fields()}, lawful=lawful)
        if code.number == _NOT_ACTIVE:
            return TokenLook(status=TokenStatus.DEACTIVATED)
        return None if code.number in _NO_TOKEN else read_status(read_object(answer.document))

    def update_status(self, username: str, status_type: StatusType, status: TokenStatus) -> None:
        """Give a user's token of a kind another status."""
        self._call(UPDATE_STATUS, {"username": username, **status_type.fields(), **status.fields()})

    def tokens_of(self, username: str) -> tuple[TokenLook, ...] | None:
        """List the tokens that are bound to a user; None if the answer does not tell of tokens."""
        answer, code = self._call(LIST, {"username": username}, lawful=_NO_TOKEN)
        return () if code.number in _NO_TOKEN else read_tokens(read_object(answer.document))

    def _call(
        self,
        call: str,
        body: Mapping[str, str],
        *,
        conceal: tuple[str, ...] = (),
        lawful: Collection[int] = (),
    ) -> tuple[Answer, ReturnCode]:
        """Make a call, once more in a new session where this one is refused; `lawful` codes are no errors."""
        if not all(body.values()):
            empty = ", ".join(name for name, value in body.items() if not value)
            raise OurFault(f"{call} needs {empty}", call=call, sent=False)
        keys = self._session.current()
        answer, code = self._put(call, body, keys, conceal)
        if code.reaction is Reaction.RELOGIN and (fresh := self._session.replace(keys.auth)) is not None:
            answer, code = self._put(call, body, fresh, conceal)
            if code.reaction is Reaction.RELOGIN:
                self._session.in_vain(fresh.auth)
        if code.reaction is Reaction.DONE or code.number in lawful:
            return answer, code
        raise fault(code, call, answer.status)

    def _put(
        self, call: str, body: Mapping[str, str], keys: Keys, conceal: tuple[str, ...]
    ) -> tuple[Answer, ReturnCode]:
        cen_token = keys.cen_token(self._admin.username)
        path = f"{self._prefix}{ROOT}{call}/{quote(self._admin.username, safe='')}"
        secrets = (*conceal, cen_token, keys.auth, keys.secret_code)
        answer = self._send("PUT", path, call, {**body, "cenToken": cen_token}, secrets)
        return answer, code_of(answer, call)

    def _log_in(self, body: Mapping[str, str]) -> Answer:
        return self._send("POST", f"{self._auth_prefix}{ROOT}{LOGIN}", LOGIN, body, (body["hmac"],))

    def _send(self, method: str, path: str, call: str, body: Mapping[str, Any], conceal: tuple[str, ...]) -> Answer:
        try:
            return self._transport.request(method, path, body=body, conceal=(*conceal, *self._admin.secrets()))
        except UpstreamError as error:
            error.call = call
            error.args = (without_numbers(str(error).replace(path, call)),)  # it may quote what the service said
            raise


def _spellings(number: SecretStr) -> tuple[str, ...]:
    """A number as it is sent, and as a message may repeat it."""
    text = number.get_secret_value()
    return text, text.removeprefix("+")

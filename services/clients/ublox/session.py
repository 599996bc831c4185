"""The session with u-blox of every thread and process of an account: logged in once, refreshed ahead of its end."""

from collections.abc import Callable

import structlog
from pydantic import SecretStr

from infra.coordination import Coordination
from services.clients.answers import Answer
from services.clients.shared_session import SharedSession, session_name
from services.clients.ublox.tokens import Seal, Step, Tokens, obtaining

_log = structlog.get_logger(__name__)


class Session:
    """Gives the AuthToken, and replaces one that was refused.

    Args:
        send: sends a step of the flow and gives its answer.
        account: what tells this account's session from others, without secrets being readable from it.
    """

    def __init__(
        self,
        api_key: SecretStr,
        api_secret: SecretStr,
        *,
        account: str,
        send: Callable[[Step], Answer],
        coordination: Coordination | None,
        clock: Callable[[], float],
    ) -> None:
        self._api_key, self._api_secret = api_key, api_secret
        self._send = send
        self._clock = clock
        name = session_name("ublox", account)
        self._session = SharedSession(
            "ublox",
            name=name,
            seal=Seal(api_secret, name=name),
            obtain=self._obtain,
            coordination=coordination,
            clock=clock,
        )

    def token(self) -> str:
        """Give a token that should work.

        Raises:
            TryAgain: u-blox could not be asked for one.
            OurFault: it refuses our credentials.
        """
        return self._session.current().auth

    def replace(self, refused: str) -> str:
        """Give another token for one that was answered 401, or the same when another has just been tried in vain.

        Raises:
            TryAgain: u-blox could not be asked for one.
            OurFault: it refuses our credentials.
        """
        fresh = self._session.replace(refused)
        return refused if fresh is None else fresh.auth

    def in_vain(self, token: str) -> None:
        """Note that a fresh token was refused as well."""
        self._session.in_vain(token)

    def _obtain(self, held: Tokens | None) -> Tokens:
        now = self._clock()
        flow = obtaining(self._api_key, self._api_secret, held=held, now=now)
        step = next(flow)
        while True:
            try:
                step = flow.send(self._send(step))
            except StopIteration as end:
                tokens: Tokens = end.value
                break
        _log.info("ublox.session_opened", call=step.request.path, usable_for=round(tokens.usable_until - now))
        return tokens

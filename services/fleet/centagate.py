"""The way from the inventory's tokens to CENTAGATE."""

from collections.abc import Callable
from typing import Final

from pydantic import SecretStr

from schemas.centagate import ReturnCode, StatusType, TokenLook, TokenType
from schemas.errors import InputError
from schemas.fleet import Fleet
from schemas.references import SecretReference
from services.clients.centagate import Centagate
from services.operations.centagate_access import TokenOrder

_TYPES: Final = {kind.label: kind for kind in TokenType}


class FleetCentagate:
    """Finds tokens in the inventory and speaks to CENTAGATE; all threads of a process share it.

    Args:
        fleet: gives the inventory as it is now.
        client: speaks to CENTAGATE.
        reveal: fetches a secret from where a reference says; raises `InputError` where it is not there.
    """

    def __init__(
        self, fleet: Callable[[], Fleet], client: Centagate, *, reveal: Callable[[SecretReference], SecretStr]
    ) -> None:
        self._fleet = fleet
        self._client = client
        self._reveal = reveal

    def order(self, target: str) -> TokenOrder:
        """Give the token that a target names, such as ``alice/sms``.

        Raises:
            InputError: the inventory has no such token, or its number is not where the inventory says.
        """
        token = self._fleet().tokens.get(target)
        if token is None:
            raise InputError(
                [f"the inventory has no CENTAGATE token {target}; expected user name/sms or user name/otp"]
            )
        return TokenOrder(username=token.username, type=_TYPES[token.type], number=self._reveal(token.number))

    def register_active_token(self, username: str, token_sn: SecretStr, token_type: TokenType) -> ReturnCode:
        """As `Centagate.register_active_token`."""
        return self._client.register_active_token(username, token_sn, token_type)

    def get_status(self, username: str, status_type: StatusType) -> TokenLook | None:
        """As `Centagate.get_status`."""
        return self._client.get_status(username, status_type)

    def tokens_of(self, username: str) -> tuple[TokenLook, ...] | None:
        """As `Centagate.tokens_of`."""
        return self._client.tokens_of(username)

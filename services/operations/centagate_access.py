"""What the registration of a token needs from outside: which token is wished for, and CENTAGATE's calls."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from schemas.centagate import ReturnCode, StatusType, TokenLook, TokenType


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenOrder:
    """One token of one user, as the inventory has it.

    Attributes:
        number: the phone number of an SMS token, the serial number of an OTP token.
    """

    username: str
    type: TokenType
    number: SecretStr


class CentagateAccess(Protocol):
    """The inventory's tokens, and CENTAGATE. Every call raises an upstream error where it gets no answer of use."""

    def order(self, target: str) -> TokenOrder:
        """Give the token that a job's target names, such as ``alice/sms``.

        Raises:
            InputError: the inventory has no such token, or its number is not where the inventory says.
        """

    def register_active_token(self, username: str, token_sn: SecretStr, token_type: TokenType) -> ReturnCode:
        """Register a token; gives success or a code that only a look can settle."""

    def get_status(self, username: str, status_type: StatusType) -> TokenLook | None:
        """Ask for the status of a user's token of a kind; None if the user has none."""

    def tokens_of(self, username: str) -> tuple[TokenLook, ...] | None:
        """List the tokens of a user; None if the answer does not tell of tokens."""

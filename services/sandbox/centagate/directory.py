"""Users, their SMS tokens, and hardware tokens: the state of the server and every change of it.

Source: Token Registration API and its siblings under System Management; `invented` says which code is given for which
reason where the document names the code alone.
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from services.sandbox.centagate.codes import Code, Refusal

DEFAULT_GROUP: Final = "default"
"""The example of ``userGroup``."""


class TokenType(StrEnum):
    """What a token is, whatever number a call gives it."""

    SMS = "sms"
    OTP = "otp"


class TokenStatus(IntEnum):
    """``status`` of Update Token Status API."""

    PENDING = 1
    VALID = 2
    TEMPORARILY_DEACTIVATED = 3
    DEACTIVATED = 4


@dataclass(kw_only=True, slots=True)
class Token:
    """A token; `number` is a phone number or a serial number, `user` the username that it is bound to, or none."""

    type: TokenType
    number: str
    status: TokenStatus
    user: str = ""
    challenge_response: bool = False


@dataclass(kw_only=True, slots=True)
class User:
    """A user; `cr_otp_allowed` says whether a challenge-response OTP token may be bound."""

    username: str
    phone: str = ""
    email: str = ""
    group: str = DEFAULT_GROUP
    role: int = 3
    active: bool = True
    cr_otp_allowed: bool = True


@dataclass(kw_only=True, slots=True)
class Directory:
    """One company's users and tokens."""

    groups: set[str] = field(default_factory=lambda: {DEFAULT_GROUP})
    users: dict[str, User] = field(default_factory=dict)
    hardware: dict[str, Token] = field(default_factory=dict)
    phones: dict[str, Token] = field(default_factory=dict)

    def user(self, username: str) -> User:
        """Find a user.

        Raises:
            Refusal: 22002, there is none.
        """
        user = self.users.get(username)
        if user is None:
            raise Refusal(Code.USER_NOT_FOUND)
        return user

    def tokens_of(self, user: User) -> list[Token]:
        """The tokens that are bound to a user."""
        everything = (*self.phones.values(), *self.hardware.values())
        return [token for token in everything if token.user == user.username]

    def token_of(self, user: User, kind: TokenType | None) -> Token | None:
        """The user's token of a type; a user has at most one of each."""
        return next((token for token in self.tokens_of(user) if token.type is kind), None)

    def add(self, user: User) -> None:
        """Make a user.

        Raises:
            Refusal: 22025, 22001 or 21001: the name or the e-mail address is taken, or the group is unknown.
        """
        if user.username in self.users:
            raise Refusal(Code.DUPLICATE_USERNAME)
        if user.email and any(user.email == other.email for other in self.users.values()):
            raise Refusal(Code.DUPLICATE_EMAIL)
        if user.group not in self.groups:
            raise Refusal(Code.GROUP_NOT_FOUND)
        self.users[user.username] = user

    def register_sms(self, user: User, phone: str) -> Token:
        """Bind a phone number to a user.

        Raises:
            Refusal: 22004, 29004 or 22027.
        """
        self._check_active(user)
        key = phone.lstrip("+")
        if key in self.phones:
            raise Refusal(Code.PHONE_NUMBER_USED)
        if self.token_of(user, TokenType.SMS):
            raise Refusal(Code.USER_BOUND_WITH_TOKEN)
        token = Token(type=TokenType.SMS, number=phone, status=TokenStatus.VALID, user=user.username)
        self.phones[key] = token
        return token

    def register_otp(self, user: User, serial: str) -> Token:
        """Bind a hardware token to a user.

        Raises:
            Refusal: 22004, 29008, 29001, 6007, 29002, 29017 or 6002.
        """
        self._check_active(user)
        if self.token_of(user, TokenType.OTP):
            raise Refusal(Code.OTP_TOKEN_REGISTERED)
        token = self.hardware.get(serial)
        if token is None:
            raise Refusal(Code.TOKEN_NOT_FOUND)
        _check_bindable(token, user)
        token.user, token.status = user.username, TokenStatus.VALID
        return token

    def unbind(self, token: Token) -> None:
        """Take a token from its user; a hardware token may be bound again."""
        if token.type is TokenType.SMS:
            del self.phones[token.number.lstrip("+")]
        else:
            token.user, token.status = "", TokenStatus.DEACTIVATED

    def remove(self, user: User) -> None:
        """Forget a user whose tokens are unbound."""
        del self.users[user.username]

    @staticmethod
    def _check_active(user: User) -> None:
        if not user.active:
            raise Refusal(Code.USER_NOT_ACTIVE)


def _check_bindable(token: Token, user: User) -> None:
    if token.challenge_response and not user.cr_otp_allowed:
        raise Refusal(Code.CR_OTP_NOT_ALLOWED)
    if token.status is TokenStatus.PENDING:
        raise Refusal(Code.TOKEN_NOT_ACTIVE)
    if token.status is not TokenStatus.DEACTIVATED:
        raise Refusal(Code.INVALID_TOKEN_STATUS)
    if token.user:
        raise Refusal(Code.TOKEN_REGISTRATION_FAILED)

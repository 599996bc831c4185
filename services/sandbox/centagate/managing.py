"""The management calls.

Source: System Management. Each is handed a body that its session has been checked for, and gives ``object``.
"""

from typing import Final

from services.sandbox.centagate.bodies import (
    NewUser,
    OfToken,
    OfUser,
    Registration,
    TokenStatusWish,
    UserStatusWish,
)
from services.sandbox.centagate.codes import Code, Refusal
from services.sandbox.centagate.directory import Token, TokenStatus, TokenType, User
from services.sandbox.centagate.invented import (
    NOTHING,
    PHONE_NUMBER,
    STATUS_NUMBERS,
    UNLOCKABLE,
    token_list,
    token_status,
)
from services.sandbox.centagate.tally import key_of
from services.sandbox.centagate.twin import Twin

REGISTRATION_NUMBERS: Final = {"1": TokenType.SMS, "2": TokenType.OTP}
"""``tokenType`` of a registration: not the numbers of ``type`` in every other call."""


def register_token(twin: Twin, wish: Registration) -> str:
    """``token/registerActiveToken``."""
    kind = REGISTRATION_NUMBERS[wish.token_type]
    key = key_of(wish.username, kind)
    twin.tally.asked[key] += 1
    user = twin.directory.user(wish.username)
    if kind is TokenType.SMS:
        if not PHONE_NUMBER.fullmatch(wish.token_sn):
            raise Refusal(Code.INVALID_INPUT)
        twin.directory.register_sms(user, wish.token_sn)
    else:
        if wish.activate_token not in {None, "1"}:
            raise Refusal(Code.INVALID_ACTIVATION_CODE)
        twin.directory.register_otp(user, wish.token_sn)
    twin.tally.registrations[key] += 1
    return NOTHING


def unregister_token(twin: Twin, wish: OfToken) -> str:
    """``token/unregisterActiveToken``."""
    _take_away(twin, _bound(twin, wish.username, STATUS_NUMBERS[wish.type]))
    return NOTHING


def get_status(twin: Twin, wish: OfToken) -> object:
    """``token/getStatus``."""
    token = twin.directory.token_of(twin.directory.user(wish.username), STATUS_NUMBERS[wish.type])
    if token is None:
        raise Refusal(Code.TOKEN_NOT_FOUND)
    return token_status(token, bare=twin.dials.bare_status)


def update_token_status(twin: Twin, wish: TokenStatusWish) -> str:
    """``token/update/token/status``."""
    _bound(twin, wish.username, STATUS_NUMBERS[wish.type]).status = TokenStatus(int(wish.status))
    return NOTHING


def unlock_token(twin: Twin, wish: OfUser) -> str:
    """``token/unlockToken``: of the hardware token, as the document's title says."""
    token = _bound(twin, wish.username, TokenType.OTP)
    if token.status in {TokenStatus.PENDING, TokenStatus.DEACTIVATED}:
        raise Refusal(Code.TOKEN_NOT_ACTIVE)
    if token.status is not UNLOCKABLE:
        raise Refusal(Code.INVALID_TOKEN_STATUS)
    token.status = TokenStatus.VALID
    return NOTHING


def list_tokens(twin: Twin, wish: OfUser) -> object:
    """``user/auth/list``."""
    return token_list(twin.directory.tokens_of(twin.directory.user(wish.username)), twin.dials.numbers)


def register_user(twin: Twin, wish: NewUser) -> str:
    """``user/registerUserActivate``."""
    twin.directory.add(User(username=wish.username, email=wish.user_email, group=wish.user_group, role=int(wish.roles)))
    return NOTHING


def update_user_status(twin: Twin, wish: UserStatusWish) -> str:
    """``user/status/update``."""
    twin.directory.user(wish.username).active = wish.status == "1"
    return NOTHING


def delete_user(twin: Twin, wish: OfUser) -> str:
    """``user/unbindAndDelete``."""
    user = twin.directory.user(wish.username)
    for token in twin.directory.tokens_of(user):
        _take_away(twin, token)
    twin.directory.remove(user)
    return NOTHING


def _bound(twin: Twin, username: str, kind: TokenType | None) -> Token:
    token = twin.directory.token_of(twin.directory.user(username), kind)
    if token is None:
        raise Refusal(Code.TOKEN_OF_NO_USER)
    return token


def _take_away(twin: Twin, token: Token) -> None:
    twin.tally.removals[key_of(token.user, token.type)] += 1
    twin.directory.unbind(token)

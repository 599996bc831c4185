"""The return codes, and the refusal that carries one.

Source: Return Code page, the error code table of Token Registration API, and the error list of the vendor's own
single sign-on client (230xx). Most are documented by their text alone; `invented` says what each is given for here.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """Member ``code`` of an answer; the HTTP status is 200 with each of them."""

    SUCCESS = 0
    TOKEN_REGISTRATION_FAILED = 6002
    CR_OTP_NOT_ALLOWED = 6007
    PERMISSION_NOT_ALLOWED = 10001
    INVALID_INPUT = 10002
    DB_PROTECTION_ERROR = 10003
    DB_ERROR = 10004
    CRYPTO_ERROR = 10011
    GROUP_NOT_FOUND = 21001
    DUPLICATE_EMAIL = 22001
    USER_NOT_FOUND = 22002
    USER_NOT_ACTIVE = 22004
    DUPLICATE_USERNAME = 22025
    USER_BOUND_WITH_TOKEN = 22027
    INVALID_CREDENTIALS = 23001
    AUTHENTICATION_PENDING = 23007
    INVALID_SESSION = 23018
    IP_NOT_TRUSTED = 23020
    GROUP_NOT_ALLOWED = 23021
    INVALID_SIGNATURE = 23022
    REQUEST_EXPIRED = 23023
    API_NOT_FOUND = 23024
    API_ERROR = 23025
    TOKEN_NOT_FOUND = 29001
    TOKEN_NOT_ACTIVE = 29002
    PHONE_NUMBER_USED = 29004
    OTP_TOKEN_REGISTERED = 29008
    INVALID_ACTIVATION_CODE = 29011
    TOKEN_OF_NO_USER = 29013
    INVALID_TOKEN_STATUS = 29017


MESSAGES: Final[Mapping[int, str]] = {
    Code.SUCCESS: "Success",
    Code.TOKEN_REGISTRATION_FAILED: "Token register to user failed",
    Code.CR_OTP_NOT_ALLOWED: "User is not allowed to bind with CR OTP token",
    Code.PERMISSION_NOT_ALLOWED: "Permission not allowed",
    Code.INVALID_INPUT: "Invalid Input",
    Code.DB_PROTECTION_ERROR: "DB protection error",
    Code.DB_ERROR: "DB error",
    Code.CRYPTO_ERROR: "Crypto error",
    Code.GROUP_NOT_FOUND: "Group not found",
    Code.DUPLICATE_EMAIL: "Duplicate user email",
    Code.USER_NOT_FOUND: "User not found",
    Code.USER_NOT_ACTIVE: "User is not active",
    Code.DUPLICATE_USERNAME: "Duplicate username",
    Code.USER_BOUND_WITH_TOKEN: "User already bound with a token",
    Code.INVALID_CREDENTIALS: "Invalid credentials",
    Code.AUTHENTICATION_PENDING: "Authentication pending",
    Code.INVALID_SESSION: "Invalid user session",
    Code.IP_NOT_TRUSTED: "IP address is not trusted",
    Code.GROUP_NOT_ALLOWED: "Group is not allowed",
    Code.INVALID_SIGNATURE: "Invalid API signature",
    Code.REQUEST_EXPIRED: "Request expired",
    Code.API_NOT_FOUND: "API not found",
    Code.API_ERROR: "Web API error",
    Code.TOKEN_NOT_FOUND: "Token not found",
    Code.TOKEN_NOT_ACTIVE: "Token not active",
    Code.PHONE_NUMBER_USED: "Phone number had been used",
    Code.OTP_TOKEN_REGISTERED: "An OTP token already registered to this user",
    Code.INVALID_ACTIVATION_CODE: "Invalid token activation code",
    Code.TOKEN_OF_NO_USER: "Token doesn't belong to a user",
    Code.INVALID_TOKEN_STATUS: "Invalid token status",
}

UNKNOWN_MESSAGE: Final = "Error"
"""Text of a code that only a dial gives."""


def message_of(code: int) -> str:
    """Give the text that stands beside a code."""
    return MESSAGES.get(code, UNKNOWN_MESSAGE)


class Refusal(Exception):
    """The call is refused: nothing was changed.

    Attributes:
        code: what stands under ``code``.
    """

    def __init__(self, code: Code) -> None:
        super().__init__(MESSAGES[code])
        self.code = code

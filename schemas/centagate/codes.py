"""Every return code of CENTAGATE that our calls can meet, and what to do about it.

Sources: "Token Registration API", table "Error Code" (0, 6002, 6007, 10002 to 10004, 22002, 29001, 29002, 29004, 29008,
29011, 29017); the others from the vendor's list of return codes. A code that is not here is nobody's guess: a person
decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Reaction(Enum):
    """What to do next."""

    DONE = "done"
    RETRY = "retry"  # passing trouble there
    PERMANENT = "permanent"  # a person must decide
    CONFIGURATION = "configuration"  # our settings or our rights are wrong
    RELOGIN = "re-login"  # one new session and one repeat, then as CONFIGURATION
    CLOCK = "clock"  # this machine's time is wrong
    ASK = "ask"  # it may be our own earlier success: look, then decide


@dataclass(frozen=True, slots=True)
class ReturnCode:
    """A return code.

    Attributes:
        number: as the service says it.
        meaning: as its document says it, or nearly.
        advice: what a person can do about it; may be empty.
    """

    number: int
    reaction: Reaction
    meaning: str
    advice: str = ""

    @property
    def text(self) -> str:
        """For a person."""
        told = f"{self.number}, {self.meaning}"
        return f"{told} ({self.advice})" if self.advice else told


_OTP_READY: Final = "an OTP token must be unbound from every user and have the status deactivated (4) beforehand"
_RIGHTS: Final = "check what the administrator may do"

_ALL: Final = (
    ReturnCode(0, Reaction.DONE, "success"),
    ReturnCode(6002, Reaction.ASK, "the token could not be bound to the user", _OTP_READY),
    ReturnCode(6007, Reaction.PERMANENT, "the user may not have a challenge-response OTP token"),
    ReturnCode(10001, Reaction.RELOGIN, "permission not allowed", _RIGHTS),
    ReturnCode(10002, Reaction.PERMANENT, "invalid input", "check user name and number in the inventory"),
    ReturnCode(10003, Reaction.RETRY, "database protection error"),
    ReturnCode(10004, Reaction.RETRY, "database error"),
    ReturnCode(10011, Reaction.PERMANENT, "cryptography error"),
    ReturnCode(22002, Reaction.PERMANENT, "user not found", "create the user, or correct the inventory"),
    ReturnCode(22004, Reaction.PERMANENT, "user not active", "activate the user"),
    ReturnCode(22027, Reaction.ASK, "the user already has a token", "unregister that token first, then try again"),
    ReturnCode(23001, Reaction.CONFIGURATION, "invalid credentials", "check user name, password and the two keys"),
    ReturnCode(23007, Reaction.RETRY, "authentication pending"),
    ReturnCode(23018, Reaction.RELOGIN, "invalid user session", "also after a fresh log-in"),
    ReturnCode(
        23020, Reaction.CONFIGURATION, "the caller's IP address is not trusted", "add it to the app's allowed IPs"
    ),
    ReturnCode(23021, Reaction.CONFIGURATION, "the user's group is not allowed", "let the administrator use the app"),
    ReturnCode(23022, Reaction.RELOGIN, "wrong API signature", "check the integration key and the secret key"),
    ReturnCode(23023, Reaction.CLOCK, "the request has expired", "check the clock of this machine"),
    ReturnCode(23024, Reaction.CONFIGURATION, "API not found", "check the address and the prefixes in the settings"),
    ReturnCode(23025, Reaction.RETRY, "API error"),
    ReturnCode(29001, Reaction.PERMANENT, "token not found", "an OTP token must have been imported from its seed file"),
    ReturnCode(29002, Reaction.PERMANENT, "token not active"),
    ReturnCode(
        29004,
        Reaction.ASK,
        "the phone number is already used",
        "unregister it from the user that has it, or correct the inventory, then try again",
    ),
    ReturnCode(
        29008,
        Reaction.ASK,
        "the user already has an OTP token",
        "unregister that token first, or correct the inventory, then try again",
    ),
    ReturnCode(29011, Reaction.PERMANENT, "invalid token activation code"),
    ReturnCode(29013, Reaction.PERMANENT, "the token is not one of this user", _OTP_READY),
    ReturnCode(29017, Reaction.PERMANENT, "wrong token status", _OTP_READY),
    ReturnCode(54002, Reaction.PERMANENT, "the token could not be synchronised"),
)

CODES: Final[Mapping[int, ReturnCode]] = {code.number: code for code in _ALL}
"""Every known return code."""

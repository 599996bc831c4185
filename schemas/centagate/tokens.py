"""Kinds, states and numbers of CENTAGATE tokens.

Sources: CENTAGATE "Token Registration API" (TokenType) and "Check Token Status API", "Update Token Status API" (type,
status). The two calls count differently: 2 is OTP when a token is registered and SMS when its status is asked for.
"""

import re
from enum import Enum
from typing import Final

from pydantic import SecretStr


class TokenType(Enum):
    """``tokenType`` of registerActiveToken, and of nothing else."""

    SMS = 1
    OTP = 2

    @property
    def label(self) -> str:
        """The word of our inventory."""
        return self.name.lower()

    @property
    def status_type(self) -> "StatusType":
        """The same kind where statuses are asked for; a registered OTP token is taken to be their type 1."""
        return {TokenType.SMS: StatusType.SMS, TokenType.OTP: StatusType.MOBILE_OTP}[self]

    def fields(self) -> dict[str, str]:
        """Give the member of the request. Its name differs from the other numbering's: a mix-up sends none at all."""
        return {"tokenType": str(self.value)}


class StatusType(Enum):
    """``type`` of unregisterActiveToken, getStatus and update/token/status."""

    MOBILE_OTP = 1
    SMS = 2
    CHALLENGE_RESPONSE = 3
    PKI = 4

    def fields(self) -> dict[str, str]:
        """Give the member of the request."""
        return {"type": str(self.value)}


class TokenStatus(Enum):
    """``status`` of a token."""

    PENDING = 1
    VALID = 2
    TEMPORARILY_DEACTIVATED = 3
    DEACTIVATED = 4

    @property
    def label(self) -> str:
        """In words."""
        return self.name.lower().replace("_", " ")

    def fields(self) -> dict[str, str]:
        """Give the member of the request."""
        return {"status": str(self.value)}


class Match(Enum):
    """How a number that the service shows relates to ours."""

    SAME = "same"
    FITS = "fits"  # masked or without country code, and what is shown agrees with ours
    OTHER = "other"
    HIDDEN = "hidden"  # nothing is shown, or too little


_MASK: Final = re.compile(r"[*•#]+")
_SEPARATORS: Final = re.compile(r"[\s().\-/]+")

_SHORTEST_TAIL: Final = 6
_FEWEST_OPEN: Final = 4
"""Characters by which a number without its beginning, or a masked one, can agree with ours; fewer say nothing."""


def compare(shown: SecretStr | None, ours: SecretStr) -> Match:
    """Compare a phone number or serial number as shown with ours.

    No document says how numbers are shown, so separators, the ``+`` or ``00`` before a country code and case do not
    count. A number that is masked, or shown without its beginning, can agree with ours and proves nothing.
    """
    theirs, wanted = _normal(shown), _normal(ours)
    if not theirs:
        return Match.HIDDEN
    if theirs == wanted:
        return Match.SAME
    if _MASK.search(theirs):
        pattern = ".*".join(re.escape(part) for part in _MASK.split(theirs))
        agrees, enough = re.fullmatch(pattern, wanted) is not None, len(_MASK.sub("", theirs)) >= _FEWEST_OPEN
    else:
        tail = theirs.lstrip("0")
        agrees, enough = wanted.endswith(tail), len(tail) >= _SHORTEST_TAIL
    if not agrees:
        return Match.OTHER
    return Match.FITS if enough else Match.HIDDEN


def _normal(number: SecretStr | None) -> str:
    text = "" if number is None else _SEPARATORS.sub("", number.get_secret_value()).casefold()
    return text.removeprefix("+") if text.startswith("+") else re.sub(r"^00(?=[1-9])", "", text)

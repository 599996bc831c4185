"""What we read out of the answers of CENTAGATE.

Every answer is ``{code, message, object}``. `code` comes as "0", 0 or 0.0, and `object` is often JSON inside a JSON
string. No document shows the `object` of ``user/auth/list`` and ``token/getStatus``. This is the one place that says
what we take it to be: a token is a mapping wherever it stands; a number stands under a key that names one; a kind or a
status stands under the name and in the numbers that the requests use for it, or in words. What cannot be read is None:
"the answer does not say".
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from schemas.centagate.tokens import StatusType, TokenStatus, TokenType

_NESTED: Final = 3
"""How often JSON inside a JSON string is unwrapped."""

_DEEPEST: Final = 8
_LARGEST_CODE: Final = 10**9

_NUMBER_KEYS: Final = frozenset(
    {"tokensn", "sn", "serial", "serialno", "serialnumber", "tokenserial", "tokenserialnumber"}
    | {"phone", "phoneno", "phonenumber", "mobile", "mobileno", "mobilenumber", "tokennumber"}
)
_STATUS_KEYS: Final = ("tokenstatus", "status")
_PROFILE_KEYS: Final = frozenset({"email", "useremail", "firstname", "lastname"})
"""A mapping with one of these and no kind is the user, whose phone number is not yet a token."""

_KIND_WORDS: Final = (
    (re.compile(r"sms"), StatusType.SMS),
    (re.compile(r"^(cr|challenge)"), StatusType.CHALLENGE_RESPONSE),
    (re.compile(r"pki"), StatusType.PKI),
    (re.compile(r"^mobile$|^(mobile|hard(ware)?|soft(ware)?)?[ _-]*(otp|token)([ _-]*token)?$"), StatusType.MOBILE_OTP),
)
_STATUS_WORDS: Final[Mapping[str, TokenStatus]] = {
    "pending": TokenStatus.PENDING,
    "valid": TokenStatus.VALID,
    "active": TokenStatus.VALID,
    "activated": TokenStatus.VALID,
    "temporarilydeactivated": TokenStatus.TEMPORARILY_DEACTIVATED,
    "temporarydeactivated": TokenStatus.TEMPORARILY_DEACTIVATED,
    "suspended": TokenStatus.TEMPORARILY_DEACTIVATED,
    "deactivated": TokenStatus.DEACTIVATED,
    "deactivate": TokenStatus.DEACTIVATED,
    "inactive": TokenStatus.DEACTIVATED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLook:
    """What an answer says of one token; None where it does not say."""

    type: StatusType | None = None
    number: SecretStr | None = None
    status: TokenStatus | None = None


def read_code(document: object) -> int | None:
    """Read the return code of an answer; None if there is none."""
    return _whole(_own(document).get("code"))


def read_object(document: object) -> Any:
    """Give what the answer carries, with JSON inside strings unwrapped; a text that is no JSON is given as it is."""
    value = _own(document).get("object")
    for _ in range(_NESTED):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value


def read_text(document: object, key: str) -> str | None:
    """Read a text of a mapping by its key, in any case; a number counts as text."""
    return _text(_own(document).get(key.lower()))


def read_tokens(value: object) -> tuple[TokenLook, ...] | None:
    """Read the tokens of a user out of the object of ``user/auth/list``; None if it does not tell of tokens."""
    if isinstance(value, str):
        value = [word for word in re.split(r"[,;|]", value) if word.strip()] or None
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(TokenLook(type=kind) for entry in value if (kind := _kind_in_words(entry)) is not None)
    if not isinstance(value, dict | list):
        return None
    found = [look for mapping in _mappings(value) if (look := _look(mapping)) is not None]
    return tuple(found) if found or _is_empty(value) else None


def read_status(value: object) -> TokenLook:
    """Read the object of ``token/getStatus``: a bare status, or a mapping with one in it."""
    if isinstance(value, dict | list):
        looks = [look for mapping in _mappings(value) if (look := _look(mapping)) is not None]
        return next((look for look in looks if look.status is not None), looks[0] if looks else TokenLook())
    return TokenLook(status=_status(value))


def _look(mapping: Mapping[str, Any]) -> TokenLook | None:
    own = _own(mapping)
    number = next((text for key, value in own.items() if key in _NUMBER_KEYS and (text := _text(value))), None)
    status = next((found for key in _STATUS_KEYS if (found := _status(own.get(key))) is not None), None)
    kind = _kind(own)
    if kind is None and ((number is None and status is None) or _PROFILE_KEYS & own.keys()):
        return None
    return TokenLook(type=kind, number=SecretStr(number) if number else None, status=status)


def _kind(own: Mapping[str, Any]) -> StatusType | None:
    for key, value in own.items():
        if (key == "name" or key.endswith(("type", "method"))) and isinstance(value, str):
            kind = _kind_in_words(value)
            if kind is not None:
                return kind
    registered, asked = _whole(own.get("tokentype")), _whole(own.get("type"))
    if registered in {kind.value for kind in TokenType}:
        return TokenType(registered).status_type
    return StatusType(asked) if asked in {kind.value for kind in StatusType} else None


def _kind_in_words(text: str) -> StatusType | None:
    word = text.strip().lower()
    return next((kind for pattern, kind in _KIND_WORDS if pattern.search(word)), None)


def _status(value: object) -> TokenStatus | None:
    number = _whole(value)
    if number in {status.value for status in TokenStatus}:
        return TokenStatus(number)
    return _STATUS_WORDS.get(re.sub(r"[\s_-]", "", value).lower()) if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    """Read a whole number that may come as text or with a fraction of zero, as Java's Gson makes of it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return int(float(value)) if re.fullmatch(r"\s*-?[0-9]{1,9}(\.0{1,9})?\s*", value) else None
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return None
    return int(value) if abs(value) < _LARGEST_CODE else None


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**40 else None
    return value.strip() or None if isinstance(value, str) else None


def _own(document: object) -> Mapping[str, Any]:
    """The members of a mapping, by their names in lower case."""
    return {str(name).lower(): value for name, value in document.items()} if isinstance(document, dict) else {}


def _mappings(value: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(inner, depth + 1)


def _is_empty(value: dict[str, Any] | list[Any]) -> bool:
    """Whether there are lists and nothing is in them: then the user has no token."""
    lists = [value] if isinstance(value, list) else [one for one in value.values() if isinstance(one, list)]
    return bool(lists) and not any(lists)

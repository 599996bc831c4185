"""What an answer of a 2N device means: `{success, result}` or `{success, error}`, and never by the HTTP status alone.

Source: 2N HTTP API manual, chapter 2.3: a success is HTTP 200, a failure 200 or 401.
"""

import re
from http import HTTPStatus
from typing import Any, Final

from schemas.errors import OurFault, TryAgain, UpstreamError
from schemas.twon import ERROR_CODES, UNLISTED
from services.clients.answers import Answer, cleaned

_WHERE: Final = "check the address; it should be that of a 2N device with its HTTP API switched on"
_LOGIN: Final = "check user and password of the device's API account"
_CONTENT_TYPE: Final = re.compile(r"(?i)content[- ]?type")
_KEY: Final = re.compile(r"[A-Za-z0-9+/_=-]{40,}", re.ASCII)
"""What may be a part of a key that the device repeats."""

_LONGEST: Final = 4096
_INVALID_VALUE: Final = 12
_PROCESSING_ERROR: Final = 14

LOG_PULL: Final = "/api/log/pull"


class SubscriptionEnded(TryAgain):
    """The device no longer knows the log subscription: subscribe again."""


def read_result(answer: Answer, conceal: tuple[str, ...] = ()) -> Any:
    """Give the `result` of a success; it is empty where the device sent none.

    Args:
        answer: came with any status below 500.
        conceal: secrets that the device may repeat in its description.

    Raises:
        TryAgain: the answer broke off, or the device says that it may go later.
        Refused: the device says no.
        OurFault: the request or the credentials are wrong, or this is no 2N device.
    """
    if answer.status not in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}:
        raise _stranger(answer, "")
    told = answer.content_type.partition(";")[0].strip().lower()
    if told and not told.endswith("json"):
        raise _stranger(answer, f" with {cleaned(told, ())[:60]}")
    # A 401 without JSON is a login that failed, not an answer that broke off: repeating it may lock the account.
    document = answer.document if answer.status == HTTPStatus.UNAUTHORIZED else answer.json()
    success = document.get("success") if isinstance(document, dict) else None
    if success is False:
        raise _failure(answer, document.get("error"), conceal)
    if success is not True:
        raise _stranger(answer, " without saying success or failure")
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise _stranger(answer, " and calls it a success")
    return document.get("result", {})


def _stranger(answer: Answer, how: str) -> OurFault:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        text = f"{_told(answer)}{how}: {_LOGIN}"
    else:
        text = f"{_told(answer)}{how}: this is not the 2N API; {_WHERE}"
    return OurFault(text, call=answer.path, status=answer.status)


def _failure(answer: Answer, error: object, conceal: tuple[str, ...]) -> UpstreamError:
    parts = error if isinstance(error, dict) else {}
    number = parts.get("code")
    code = (ERROR_CODES.get(number) if type(number) is int else None) or UNLISTED
    param, description = _clean(parts.get("param"), conceal), _clean(parts.get("description"), conceal)
    text = f"{_told(answer)}: error {_clean(str(number), conceal)[:20]}, {code.meaning}"
    text += f" ({param})" if param else ""
    text += f": {description}" if description.lower() not in {"", code.meaning.lower()} else ""
    text += f"; {code.advice}" if code.advice else ""
    kind = code.kind
    if number == _INVALID_VALUE and answer.path == LOG_PULL and param in {"", "id"}:
        kind, text = SubscriptionEnded, f"{text}; the subscription has ended, subscribe again"
    elif number == _PROCESSING_ERROR and _CONTENT_TYPE.search(description):
        kind = OurFault
    return kind(text, call=answer.path, status=answer.status)


def _told(answer: Answer) -> str:
    return f"{answer.method} {answer.path} answered {answer.status}"


def _clean(value: object, conceal: tuple[str, ...]) -> str:
    """Strike out our secrets, and what looks like a part of a key, which the device may have cut short."""
    return cleaned(_KEY.sub("•••", value[:_LONGEST]), conceal) if isinstance(value, str) else ""

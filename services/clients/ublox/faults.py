"""What an answer of u-blox means for whoever asked: the status decides, the text only splits 400 and 403.

The document shows no statuses and only two texts, "Not Authorized." and "Bad Request. ...", so the texts are matched
leniently. Source: Security Services REST APIs 1.1.29.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from schemas.errors import Busy, OurFault, Refused, UpstreamError
from schemas.ublox import CertificateRenew
from services.clients.answers import Answer

GUARDED: Final = frozenset({CertificateRenew.path})
"""Calls that are refused while a certificate update "is still on-going": a matter of hours, not a refusal for good."""

_UNDER_WAY: Final = re.compile(r"(?i)on[ -]?going|in[ -]?progress|under[ -]?way|pending|still (being|running|updating)")
_ABOUT_ACCESS: Final = re.compile(r"(?i)auth|forbidden|permi|access|denied|credential|token|signature|expired")
_GONE: Final = "the call is unknown there: check the base URL, or the service has been retired"

_Meaning = tuple[type[UpstreamError], str]

_MEANINGS: Final[Mapping[int, _Meaning]] = {
    HTTPStatus.BAD_REQUEST: (Refused, ""),
    HTTPStatus.UNAUTHORIZED: (OurFault, "after a fresh log-in: check the API key and what it may do"),
    HTTPStatus.FORBIDDEN: (OurFault, "check what the API key may do"),
    HTTPStatus.NOT_FOUND: (OurFault, _GONE),
    HTTPStatus.CONFLICT: (Busy, ""),
    HTTPStatus.GONE: (OurFault, _GONE),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (Refused, ""),
    HTTPStatus.UNPROCESSABLE_ENTITY: (Refused, ""),
}
"""Any other status means that we do not speak as the service expects."""


def fault(answer: Answer) -> UpstreamError | None:
    """Name what to do about an answer, or None when it is a success."""
    if answer.ok:
        return None
    kind, hint = _meaning(answer)
    text = f"{answer.text} ({hint})" if hint else answer.text
    return kind(text, call=answer.path, status=answer.status)


def _meaning(answer: Answer) -> _Meaning:
    splits = answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN}
    if splits and answer.path in GUARDED and _UNDER_WAY.search(answer.message):
        return Busy, "an earlier certificate update is still under way"
    if answer.status == HTTPStatus.FORBIDDEN and answer.message and not _ABOUT_ACCESS.search(answer.message):
        return Refused, "perhaps a missing subscription or a spent quota"
    return _MEANINGS.get(answer.status, (OurFault, ""))

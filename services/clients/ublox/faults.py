"""What an answer of u-blox means for whoever asked: the status decides, the text only splits some of them.

The document shows no statuses and four texts of refusal: "Bad Request", "Bad Request. Invalid ROTPublicUIDs",
"Not Authorized." and "Request aborted. This tag is currently assigned to ROTPublicUID(s)". For the other refusals that
its prose tells of there is no text, so texts are matched leniently. Source: Security Services REST APIs 1.1.29.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from schemas.errors import Busy, OurFault, Refused, UpstreamError
from schemas.ublox import RootCaDelete, TagDelete
from services.clients.answers import Answer

GUARDED: Final = "/ztp/devicecertificate/"
"""Calls below are refused while a certificate update "is still on-going": a matter of hours, not a refusal for good.

The document lists all but the update itself; a second one is taken for busy as well, should it be refused.
"""

IN_USE: Final[Mapping[str, str]] = {
    TagDelete.path: "devices still bear the tag: remove it from them first",
    RootCaDelete.path: "devices or profiles still refer to the root CA: transfer them first",
}
"""What a conflict means where something is to be deleted."""

_UNDER_WAY: Final = re.compile(r"(?i)on[ -]?going|in[ -]?progress|under[ -]?way|pending|still (being|running|updating)")
_USED: Final = re.compile(r"(?i)assigned|in use|still used|linked|is set|(refer|provision)(s|red|red to|ed)?\b")
_ABOUT_ACCESS: Final = re.compile(r"(?i)auth|forbidden|permi|access|denied|credential|token|signature|expired")
_NOT_AUTHORIZED: Final = re.compile(r"(?i)^not authori[sz]ed\.?$")
_GONE: Final = "the call is unknown there: check the base URL, or the service has been retired"
_ACCESS: Final = "check what the API key may do"

_REASONS: Final = (
    (re.compile(r"(?i)subscription"), "an active Device Certificate Management subscription is needed"),
    (re.compile(r"(?i)quota"), "the quota of the subscription is spent"),
    (re.compile(r"(?i)invalid ROTPublicUID"), "the account does not know a device that was named"),
    (re.compile(r"(?i)invalid (device)?serialnumber"), "the account does not know a serial number that was named"),
    (re.compile(r"(?i)invalid tagname"), "the account does not know a tag that was named"),
    (re.compile(r"(?i)invalid (ca|from|to)"), "the account does not know a root CA that was named"),
)
"""What a refusal means, where its text tells."""

_Meaning = tuple[type[UpstreamError], str]

_MEANINGS: Final[Mapping[int, _Meaning]] = {
    HTTPStatus.BAD_REQUEST: (Refused, ""),
    HTTPStatus.UNAUTHORIZED: (OurFault, "after a fresh log-in: check the API key and what it may do"),
    HTTPStatus.FORBIDDEN: (OurFault, _ACCESS),
    HTTPStatus.NOT_FOUND: (OurFault, _GONE),
    HTTPStatus.CONFLICT: (Busy, ""),
    HTTPStatus.GONE: (OurFault, _GONE),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (Refused, ""),
    HTTPStatus.UNPROCESSABLE_ENTITY: (Refused, ""),
}
"""Any other status means that we do not speak as the service expects."""

_SPLIT: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT})
"""Statuses of which the text says more."""


def fault(answer: Answer) -> UpstreamError | None:
    """Name what to do about an answer, or None when it is a success."""
    if answer.ok:
        return None
    kind, hint = _meaning(answer)
    text = f"{answer.text} ({hint})" if hint else answer.text
    return kind(text, call=answer.path, status=answer.status)


def _meaning(answer: Answer) -> _Meaning:
    return (_told(answer) if answer.status in _SPLIT else None) or _MEANINGS.get(answer.status, (OurFault, ""))


def _told(answer: Answer) -> _Meaning | None:
    """What the text says; None where it says no more than the status."""
    path, message = answer.path, answer.message
    if path.startswith(GUARDED) and _UNDER_WAY.search(message):
        return Busy, "an earlier certificate update is still under way"
    if path in IN_USE and (answer.status == HTTPStatus.CONFLICT or _USED.search(message)):
        return Refused, IN_USE[path]
    if reason := next((reason for pattern, reason in _REASONS if pattern.search(message)), None):
        return Refused, reason
    if answer.status == HTTPStatus.BAD_REQUEST and _NOT_AUTHORIZED.match(message):
        return Refused, f"{_ACCESS}, and whose the devices are"  # so that a list is halved until one stands alone
    if answer.status == HTTPStatus.FORBIDDEN and message and not _ABOUT_ACCESS.search(message):
        return Refused, "perhaps a missing subscription or a spent quota"
    return None

"""Everything that the document leaves open and this twin had to decide. A real server may differ in each of these.

Which code for which reason (the document gives a text for each code and no reason):

======  ================================================================================================
6002    the hardware token is deactivated, as it must be, but bound to another user
10001   the caller is not an administrator
22027   the user has an SMS token with another phone number
23001   a login with an unknown username as well as with a wrong password
23024   a login with an unknown integration key, or with none
29001   ``token/getStatus`` of a type that the user does not have; registration of an unknown serial number
29002   the hardware token is pending; ``token/unlockToken`` of one that is pending or deactivated
29004   the phone number is bound, to another user or to this one
29008   the user has a hardware token, also when it is the very one that is registered
29011   ``activateToken`` is sent and is not ``1``
29013   a token that the user does not have is unregistered, unlocked or given a status
29017   the hardware token is valid or temporarily deactivated; a token that is valid is unlocked
======  ================================================================================================

Order of the checks: body, integration key, signature, time, password; for management body, session, role, user, token.
An inactive user (22004) may be looked at and unbound, but gets no token.
"""

import re
from typing import Final

from services.sandbox.centagate.dials import Numbers
from services.sandbox.centagate.directory import Token, TokenStatus, TokenType

NOTHING: Final = ""
"""``object`` of a management call that has nothing to tell, and of every refusal. Not null: the document's Java sample
calls toString() on it."""

PHONE_NUMBER: Final = re.compile(r"\+?[0-9]{6,15}")
"""What is taken as a phone number. The plus sign does not tell two numbers apart."""

TIME_WINDOW: Final = 300
"""Seconds that ``unixTimestamp`` may lie away. The document says so of its PKI call alone."""

HTML: Final = (
    "<!DOCTYPE html><html><head><title>Error report</title></head>"
    "<body><h1>HTTP Status</h1><p>The server is busy.</p></body></html>"
)
"""What a proxy or the application server in front might say."""

STATUS_NUMBERS: Final = {"1": TokenType.OTP, "2": TokenType.SMS, "3": None, "4": None}
"""``type`` of the calls about a registered token. Documented; that a hardware token is "mobile" is invented."""

_LEFT_OPEN: Final = 4
"""How many characters of a masked number can be read."""

_NUMBER_OF: Final = {kind: int(number) for number, kind in STATUS_NUMBERS.items() if kind}


def token_list(tokens: list[Token], numbers: Numbers) -> list[dict[str, object]]:
    """``object`` of ``user/auth/list``: one entry for each token, in the numbers of ``token/getStatus``."""
    return [
        {"method": token.type.name, **_numbered(token, numbers), **_told(token)}
        for token in sorted(tokens, key=lambda token: token.type)
    ]


def token_status(token: Token, *, bare: bool) -> object:
    """``object`` of ``token/getStatus``."""
    return str(int(token.status)) if bare else _told(token)


def _told(token: Token) -> dict[str, object]:
    return {"type": _NUMBER_OF[token.type], "status": int(token.status)}


def _numbered(token: Token, numbers: Numbers) -> dict[str, object]:
    if numbers is Numbers.ABSENT:
        return {}
    end = token.number[-_LEFT_OPEN:]
    masked = end.rjust(len(token.number), "*")
    return {"tokenSn": masked if numbers is Numbers.MASKED else token.number}


UNLOCKABLE: Final = TokenStatus.TEMPORARILY_DEACTIVATED
"""The status that ``token/unlockToken`` turns into valid."""

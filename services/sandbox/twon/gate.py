"""Who may call the HTTP API of a device: no login, Basic, or Digest, as it is set up.

Source: 2N HTTP API manual, 3. HTTP API Services Security; RFC 7617 and RFC 7616.
"""

import base64
import binascii
import secrets
from typing import Final

from services.sandbox.twon.calls import Call
from services.sandbox.twon.device import Device
from services.sandbox.twon.digest import REALM, Verdict
from services.sandbox.twon.envelope import Answer, ApiError, negative

AUTHORIZATION_REQUIRED: Final = 9
WRONG_METHOD: Final = 8


def turned_away(device: Device, call: Call) -> Answer | None:
    """Check the login of a request; give the 401 with which it ends, or None where it may go on."""
    if device.model.auth == "none":
        return None
    scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
    if not scheme:
        return _answer(device, AUTHORIZATION_REQUIRED)
    if scheme.lower() != device.model.auth:
        return _answer(device, WRONG_METHOD)
    if device.model.auth == "basic":
        return None if _is_ours(device, credentials) else _answer(device, AUTHORIZATION_REQUIRED)
    return _judged(device, call, credentials)


def stale(device: Device) -> Answer:
    """Say that a nonce is not good any more, and give a fresh one."""
    return _answer(device, AUTHORIZATION_REQUIRED, stale=True)


def _judged(device: Device, call: Call, credentials: str) -> Answer | None:
    verdict = device.digest.judge(
        credentials,
        call.method,
        call.target,
        device.clock(),
        uses=device.dials.nonce_uses,
        seconds=device.dials.nonce_seconds,
    )
    if verdict is Verdict.GOOD:
        return None
    return stale(device) if verdict is Verdict.STALE else _answer(device, AUTHORIZATION_REQUIRED)


def _is_ours(device: Device, credentials: str) -> bool:
    try:
        said = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return secrets.compare_digest(said, f"{device.model.user}:{device.model.password}".encode())


def _answer(device: Device, code: int, *, stale: bool = False) -> Answer:
    if device.model.auth == "basic":
        challenge = f'Basic realm="{REALM}"'
    else:
        challenge = device.digest.challenge(device.clock(), stale=stale)
    return negative(ApiError(code), challenge)

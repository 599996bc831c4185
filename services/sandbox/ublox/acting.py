"""The calls that change something: logins, key rotation, certificates, webhooks.

Source: Authentication APIs, ``/e2e/key/rotate``, ``/ztp/devicecertificate/renew`` and ``update``, Notification Hook
APIs. Each checks everything first and then changes everything, so a refused call has changed nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.sandbox.ublox import shapes
from services.sandbox.ublox.bodies import (
    NOT_AUTHORIZED,
    Hook,
    HookToken,
    HookUrl,
    Login,
    Refresh,
    Refusal,
    Renew,
    Rotate,
    Update,
    read,
)
from services.sandbox.ublox.certificates import Authority
from services.sandbox.ublox.devices import Action, Device, Rotation
from services.sandbox.ublox.twin import Twin
from services.sandbox.ublox.webhooks import acceptable

SECONDS_PER_DAY: Final = 86_400

Json = dict[str, Any]
Request = Mapping[str, Any]


def authenticate(twin: Twin, body: Request) -> Json:
    """``/authenticate``: an AuthToken and a RefreshToken for a good key and secret."""
    wish = read(Login, body)
    tokens = twin.tokens.log_in(wish.APIKey, wish.APISecret, life=twin.dials.token_life_seconds)
    if tokens is None:
        raise Refusal(401, NOT_AUTHORIZED)
    return dict(zip(("AuthToken", "RefreshToken"), tokens, strict=True))


def refresh(twin: Twin, body: Request) -> Json:
    """``/refreshauthtoken``: a new AuthToken and nothing else."""
    wish = read(Refresh, body)
    token = twin.tokens.refresh(wish.APIKey, wish.RefreshToken, life=twin.dials.token_life_seconds)
    if token is None:
        raise Refusal(401, NOT_AUTHORIZED)
    return {"AuthToken": token}


def rotate(twin: Twin, body: Request) -> Json:
    """``/e2e/key/rotate``: sets the policy, and a shorter heartbeat where the days are fewer than it."""
    wish = read(Rotate, body)
    devices = twin.chosen(wish)
    automatic = wish.Type == "AUTOMATIC"
    rotation = Rotation(type=wish.Type, days=wish.Days if automatic else None)
    longest = wish.Days * SECONDS_PER_DAY if automatic else None
    adjusted = [_wish_rotation(twin, device, rotation, longest) for device in devices]
    twin.tally.action("rotations", (device.uid for device in devices))
    return {"Message": rotation_text(rotation, adjusted=any(adjusted))}


def _wish_rotation(twin: Twin, device: Device, rotation: Rotation, longest: float | None) -> bool:
    wished = device.desired.heartbeat
    adjusted = longest is not None and longest < (twin.dials.heartbeat_seconds if wished is None else wished)
    device.wish_rotation(rotation, heartbeat=longest if adjusted else wished, now=twin.clock())
    return adjusted


def rotation_text(rotation: Rotation, *, adjusted: bool) -> str:
    """The sample's success text; the one for CONTINUOUS is not shown there."""
    if rotation.days is None:
        return shapes.CONTINUOUS_SET
    span = f"{rotation.days} day{'s' * (rotation.days > 1)}"
    text = f"The automatic rotation has been set. The key will be rotated every {span}."
    return f"{text} The Security heartbeat has been adjusted to {span}." if adjusted else text


def renew(twin: Twin, body: Request) -> Json:
    """``/ztp/devicecertificate/renew``: same key, new serial number and expiry, at the next heartbeat."""
    wish = read(Renew, body)
    authority, devices = _guarded(twin, wish)
    if any(device.updating for device in devices):
        raise Refusal(400, shapes.UPDATE_UNDER_WAY)
    days = wish.DeviceCertificateValidity
    begun = _wish_certificates(twin, Action.RENEW, authority, devices=devices, days=days)
    twin.tally.action("renewals", begun)
    twin.tally.action("renewal_requests", (device.uid for device in devices))
    return shapes.DONE


def update(twin: Twin, body: Request) -> Json:
    """``/ztp/devicecertificate/update``: new key too; the first heartbeat removes, the second installs."""
    authority, devices = _guarded(twin, read(Update, body))
    days = authority.device_validity_days
    begun = _wish_certificates(twin, Action.UPDATE, authority, devices=devices, days=days)
    twin.tally.action("updates", begun)
    return shapes.DONE


def _guarded(twin: Twin, wish: Update) -> tuple[Authority, Sequence[Device]]:
    """The CA and the devices of a certificate call, after the guards that both calls have."""
    if not twin.dials.subscription_active:
        raise Refusal(400, shapes.NO_SUBSCRIPTION)
    devices = twin.chosen(wish)
    authority = twin.fleet.authorities.get(wish.CAName)
    if authority is None or authority.expires_at <= twin.clock():
        raise Refusal(400, shapes.INVALID_CA)
    if any(not device.updating and not _signed_by(authority, device) for device in devices):
        raise Refusal(400, shapes.INVALID_CA)
    quota = twin.dials.certificate_quota
    if quota is not None and any(device.actions_begun >= quota for device in devices):
        raise Refusal(400, shapes.NO_QUOTA)
    return authority, devices


def _signed_by(authority: Authority, device: Device) -> bool:
    return device.certificate is not None and device.certificate.authority is authority


def _wish_certificates(
    twin: Twin, action: Action, authority: Authority, *, devices: Sequence[Device], days: int
) -> list[str]:
    now = twin.clock()
    return [d.uid for d in devices if d.wish_certificate(action, authority, validity_days=days, now=now)]


def create_hook(twin: Twin, body: Request) -> Json:
    """``/notification/webhook/create``: one URL for one type."""
    wish = read(Hook, body)
    if not acceptable(wish.NotificationURL):
        raise Refusal
    twin.hooks.register(wish.NotificationType, wish.NotificationURL, wish.AuthorizationToken)
    return shapes.DONE


def update_hook(twin: Twin, body: Request) -> Json:
    """``/notification/webhook/update``: a new token for a URL, whatever its types."""
    wish = read(HookToken, body)
    if not twin.hooks.replace_token(wish.NotificationURL, wish.AuthorizationToken):
        raise Refusal
    return shapes.DONE


def delete_hook(twin: Twin, body: Request) -> Json:
    """``/notification/webhook/delete``: forgets a URL, whatever its types."""
    if not twin.hooks.remove(read(HookUrl, body).NotificationURL):
        raise Refusal
    return shapes.DONE


def list_hooks(twin: Twin, _body: Request) -> list[Json]:
    """``/notification/webhook/get``: a bare array."""
    return shapes.registrations(twin.hooks.listed())

"""Notification Hook APIs."""

from typing import Annotated

from pydantic import Field

from schemas.events import EventType
from services.sandbox.ublox import shapes
from services.sandbox.ublox.bodies import Body, Json, Refusal, Request, read
from services.sandbox.ublox.twin import Twin
from services.sandbox.ublox.webhooks import acceptable


class HookUrl(Body):
    """``/notification/webhook/delete``."""

    NotificationURL: str


class HookToken(HookUrl):
    """``/notification/webhook/update``."""

    AuthorizationToken: Annotated[str, Field(min_length=1, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")]


class Hook(HookToken):
    """``/notification/webhook/create``."""

    NotificationType: Annotated[EventType, Field(strict=False)]


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

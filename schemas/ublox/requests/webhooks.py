"""Requests about the webhooks that u-blox calls."""

from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from schemas.events import EventType
from schemas.ublox.requests.base import UbloxRequest

HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s/]+", max_length=2048)]


class WebhookCreate(UbloxRequest):
    """A URL of ours for one notification type; the token comes back as the whole Authorization header."""

    path: ClassVar[str] = "/notification/webhook/create"

    url: HttpsUrl = Field(alias="NotificationURL")
    token: SecretStr = Field(alias="AuthorizationToken", min_length=1)
    type: EventType = Field(alias="NotificationType")


class WebhookUpdate(UbloxRequest):
    """Another token for a URL; no type is named, so it concerns every registration of that URL."""

    path: ClassVar[str] = "/notification/webhook/update"

    url: HttpsUrl = Field(alias="NotificationURL")
    token: SecretStr = Field(alias="AuthorizationToken", min_length=1)


class WebhookDelete(UbloxRequest):
    """The end of a URL's registrations; the URL is required, although the sample's request is empty."""

    path: ClassVar[str] = "/notification/webhook/delete"

    url: HttpsUrl = Field(alias="NotificationURL")


class WebhookGet(UbloxRequest):
    """The list of registrations, a bare array; the document shows no body for it."""

    path: ClassVar[str] = "/notification/webhook/get"
    listed: ClassVar[str] = "Webhooks"

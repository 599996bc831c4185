"""Where u-blox sends its notifications."""

from pydantic import SecretStr

from schemas.events import EventType
from schemas.ublox import WebhookCreate, WebhookDelete, WebhookGet, WebhookLook, WebhookUpdate, read_webhooks
from services.clients.ublox.caller import Caller


class Webhooks:
    """The calls under ``/notification/webhook``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def walk(self) -> list[WebhookLook]:
        """Give the registered webhooks (``/notification/webhook/get``), which come without pages."""
        return read_webhooks(self._caller.call(self._caller.ask(WebhookGet)).json())

    def create(self, url: str, *, token: SecretStr, event_type: EventType) -> None:
        """Register a URL of ours for one type of notification (``/notification/webhook/create``)."""
        self._caller.write(WebhookCreate, url=url, token=token, type=event_type)

    def change_token(self, url: str, *, token: SecretStr) -> None:
        """Have another token sent to a URL, for every type registered with it (``/notification/webhook/update``)."""
        self._caller.write(WebhookUpdate, url=url, token=token)

    def delete(self, url: str) -> None:
        """End every registration of a URL (``/notification/webhook/delete``)."""
        self._caller.write(WebhookDelete, url=url)

"""An MQTT broker beside the Taps, for whoever has none: anybody may connect, nothing is kept."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from amqtt.broker import Broker

_PLUGINS: Final = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


@asynccontextmanager
async def brokering(host: str, port: int) -> AsyncIterator[None]:
    """Run a broker for as long as the block lasts.

    Raises:
        OSError: the port cannot be had.
    """
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # it warns of every client that goes away
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    listener: dict[str, Any] = {"type": "tcp", "bind": f"{host}:{port}", "max_connections": 0}
    broker = Broker({"listeners": {"default": listener}, "plugins": _PLUGINS})
    await broker.start()
    try:
        yield
    finally:
        await broker.shutdown()

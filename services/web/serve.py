"""Runs the site on uvicorn, with the settings that its speed was measured with."""

import uvicorn

from infra.settings import Settings
from services.web.app import Site
from services.wiring import make_broker, now, open_ledger

GRACE_SECONDS = 10
"""How long requests under way may take to finish when the process is told to stop."""


def serve_site(settings: Settings, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the ledger's schema is not ours.
    """
    site = Site(settings, open_ledger(settings), make_broker(settings), clock=now)
    uvicorn.run(
        site,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=2048,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )

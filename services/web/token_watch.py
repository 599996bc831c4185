"""Keeps the receiver's list of webhook tokens as the ledger has it, so that no request has to ask."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from infra.ledger import Ledger
from schemas.errors import LedgerUnavailable
from services.web.hooks import TokenList

EVERY: Final = 1.0
"""Seconds between two looks: so long after it was made or ended, a token is known or refused."""

log = structlog.get_logger(__name__)


class TokenWatch:
    """Looks at the ledger's webhook tokens from a thread of its own."""

    def __init__(
        self, ledger: Ledger, tokens: TokenList, *, clock: Callable[[], datetime], every: float = EVERY
    ) -> None:
        self._ledger = ledger
        self._tokens = tokens
        self._clock = clock
        self._every = every
        self._stopped = threading.Event()
        self._healthy = True
        self._thread = threading.Thread(target=self._run, name="webhook-tokens", daemon=True)

    def start(self) -> None:
        """Look once, then again and again."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def look(self) -> None:
        """Look once; while the ledger is away, what was known last holds, each token until its end."""
        try:
            self._tokens.know(self._ledger.hook_tokens.living(self._clock()))
        except LedgerUnavailable as error:
            if self._healthy:
                log.warning("webhook tokens could not be read; those known hold", error=str(error))
            self._healthy = False
        except Exception:
            log.exception("webhook tokens could not be read; those known hold")
        else:
            self._healthy = True

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            self.look()

"""What became of a delivery: the status address of a receipt, for whoever may deliver."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from infra.ledger import Ledger, Receipt
from schemas.errors import LedgerUnavailable
from services.web.hooks import RETRY_AFTER, TokenList

_RECEIPT: Final = re.compile(r"evt_[0-9a-f]{32}")
"""Whatever else stands in the address was never given, and need not be a text that a database can take."""


class Receipts:
    """``GET /receipts/{receipt}`` with a webhook token."""

    def __init__(self, ledger: Ledger, tokens: TokenList) -> None:
        self._ledger = ledger
        self._tokens = tokens

    def show(self, request: Request) -> JSONResponse:
        """Answer with the event's state, what the playbook said, and its jobs."""
        if not self._tokens.admits(request.headers.raw):
            return _problem(401, "Not authorized", "the Authorization header is missing or wrong")
        name = request.path_params["receipt"]
        try:
            receipt = self._ledger.inbox.receipt(name) if _RECEIPT.fullmatch(name) else None
        except LedgerUnavailable as error:
            return _problem(503, "The ledger cannot be read", str(error), {"retry-after": str(RETRY_AFTER)})
        if receipt is None:
            return _problem(404, "No such receipt", "it was never given, or what it stood for has been deleted")
        return JSONResponse(_document(receipt))


def _document(receipt: Receipt) -> dict[str, object]:
    return {
        "receipt": receipt.receipt,
        "event_type": receipt.event_type,
        "device": receipt.device,
        "received_at": receipt.received_at.isoformat(),
        "state": receipt.state,
        "verdict": receipt.verdict,
        "jobs": [
            {
                "id": job.id,
                "operation": job.operation,
                "target": job.target,
                "state": job.state,
                "reason": job.reason,
            }
            for job in receipt.jobs
        ],
    }


def _problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    document = {"title": title, "status": status, "detail": detail}
    return JSONResponse(document, status_code=status, headers=headers, media_type="application/problem+json")

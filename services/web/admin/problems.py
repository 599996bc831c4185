"""What goes wrong, as problem details (RFC 9457); nothing of our inside stands in them."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from pydantic import ValidationError
from starlette.responses import Response

from schemas.admin import Fault
from schemas.admin import Problem as Document
from schemas.errors import InputError, LedgerUnavailable, UpstreamError

MEDIA_TYPE: Final = "application/problem+json"

RETRY_AFTER: Final = 5
"""Seconds after which the ledger may be there again."""

log = structlog.get_logger(__name__)


class Problem(Exception):
    """A request that is answered with a problem.

    Attributes:
        faults: every fault of the request, where there are such.
        challenges: each a header of its own (browsers look at the first scheme of each).
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        challenges: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.challenges = tuple(challenges)

    def response(self, request_id: str) -> Response:
        """Write it down."""
        document = Document(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=str(self),
            request_id=request_id,
            faults=list(self.faults) or None,
        )
        content = document.model_dump_json(exclude_none=True)
        response = Response(content, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE)
        for challenge in self.challenges:
            response.headers.append("www-authenticate", challenge)
        return response


def problem_of(error: Exception) -> Problem:
    """Tell of an error what may be told; one that nobody foresaw goes into the log."""
    match error:
        case Problem():
            return error
        case LedgerUnavailable():
            log.warning("the ledger cannot be used", error=str(error))
            detail = "the ledger cannot be used now: nothing was changed"
            return Problem(503, detail, headers={"retry-after": str(RETRY_AFTER)})
        case InputError():
            faults = [Fault(at="body", detail=fault) for fault in error.faults]
            return Problem(422, "the request cannot be done as it stands", faults=faults)
        case UpstreamError():
            return Problem(502, str(error))
        case _:
            log.error("an admin request failed", exc_info=error)
            return Problem(500, "Keyturn failed; the log tells more under the id of this request")


def faults_of(error: ValidationError, place: str) -> list[Fault]:
    """Every fault that pydantic found, with its path below a place; the values themselves are not repeated."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        Fault(at=place + "".join(f"/{_step(step)}" for step in fault["loc"]), detail=fault["msg"]) for fault in found
    ]


def _step(step: int | str) -> str:
    """A step of a JSON pointer (RFC 6901); an unknown field's name is the caller's own and may be long."""
    return str(step).replace("~", "~0").replace("/", "~1")[:100]

"""What a device answers with: success, a result, or an error with code, parameter and description.

Source: 2N HTTP API manual, 2.3 Replies to Requests.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from services.sandbox.twon.open_points import UNAUTHORIZED_CODES

JSON: Final = "application/json"

DESCRIPTIONS: Final = {
    1: "function is not supported",
    2: "invalid request path",
    3: "invalid request method",
    4: "function is disabled",
    7: "invalid connection type",
    8: "invalid authentication method",
    9: "authorization required",
    10: "insufficient user privileges",
    11: "missing mandatory parameter",
    12: "invalid parameter value",
    13: "parameter data too big",
    14: "unspecified processing error",
    15: "no data available",
    17: "parameter shouldn't be present",
    18: "request is rejected",
    19: "file version is not supported",
}
"""Error codes and their texts; 5, 6 and 16 stand in no list."""


class ApiError(Exception):
    """A device refuses a request.

    Args:
        code: one of `DESCRIPTIONS`, or one that nobody knows.
        param: the parameter that is at fault.
        description: where the usual text of the code is not what devices were seen to say.
    """

    def __init__(self, code: int, param: str = "", description: str = "") -> None:
        self.code = code
        self.param = param
        self.description = description or DESCRIPTIONS.get(code, "unknown error")
        super().__init__(f"{code} {self.description} {param}".rstrip())


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP response, and what the counts call it.

    Attributes:
        outcome: ``ok``, the error code, or what a dial made of it.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    challenge: str = ""
    outcome: str = "ok"


def positive(result: dict[str, Any] | None = None) -> Answer:
    """Wrap a result; a function that returns nothing gives none."""
    document: dict[str, Any] = {"success": True}
    return Answer(body=orjson.dumps(document if result is None else document | {"result": result}))


def negative(error: ApiError, challenge: str = "") -> Answer:
    """Wrap an error."""
    document: dict[str, Any] = {"code": error.code, "description": error.description}
    if error.param:
        document = {"code": error.code, "param": error.param, "description": error.description}
    return Answer(
        status=401 if error.code in UNAUTHORIZED_CODES else 200,
        body=orjson.dumps({"success": False, "error": document}),
        challenge=challenge,
        outcome=str(error.code),
    )

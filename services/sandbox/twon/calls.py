"""A request as a device reads it: parameters and JSON bodies.

Source: 2N HTTP API manual, 2.1 HTTP Methods and 2.2 Request Parameters; what 2.50.0.76.2 was seen to refuse.
"""

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from services.sandbox.twon.envelope import JSON, ApiError

MOST_BODY: Final = 65_536
"""Bytes; four keys are 4 kB."""

_FORM: Final = "application/x-www-form-urlencoded"
_UNSUPPORTED: Final = "Unsupported Content-Type"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request.

    Attributes:
        target: path and query as sent.
        headers: by lower-case name; of a repeated one the last.
        secure: whether it came over TLS.
    """

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    secure: bool = False

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def content_type(self) -> str:
        """The media type of the body, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def parameters(self, *, strict: bool) -> dict[str, str]:
        """Read the plain parameters; of a repeated one the last counts.

        Args:
            strict: from 2.50 on a POST says what its body is.

        Raises:
            ApiError: a POST does not (14).
        """
        query = parse_qsl(self.target.partition("?")[2], keep_blank_values=True)
        if self.method == "POST" and self.content_type == _FORM:
            query += parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        elif self.method == "POST" and strict and self.content_type != JSON:
            raise ApiError(14, description=_UNSUPPORTED)
        return dict(query)

    def document(self) -> dict[str, Any]:
        """Read the JSON object of a PUT.

        Raises:
            ApiError: it is too big (13), of another type or no JSON (14), or not an object (12).
        """
        if len(self.body) > MOST_BODY:
            raise ApiError(13)
        if self.content_type != JSON:
            raise ApiError(14, description=_UNSUPPORTED)
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise ApiError(14, description="Invalid JSON") from None
        if not isinstance(document, dict):
            raise ApiError(12)
        return document

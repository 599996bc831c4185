"""The dials of the twin: what a tester may turn to make the server slow, broken or forgetful."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of the calls: 0 is never, 1 is always."""


class CodeFormat(StrEnum):
    """How ``code`` is written in a management answer; authentication always writes a text."""

    NUMBER = "number"
    FLOAT = "float"
    TEXT = "text"


class ObjectFormat(StrEnum):
    """How ``object`` is written in a management answer; authentication always writes a JSON text."""

    OBJECT = "object"
    TEXT = "text"


class Numbers(StrEnum):
    """How ``user/auth/list`` shows a phone number or a serial number."""

    PLAIN = "plain"
    MASKED = "masked"
    ABSENT = "absent"


class Dials(BaseModel):
    """Every dial, with the setting in which the twin behaves as the document and `invented` say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seed: int = 1
    """Start of the random generator; turning any dial starts it afresh, so a run can be repeated."""

    latency_ms: float = Field(default=0, ge=0, le=600_000)
    """Waits so long before a call takes effect."""

    session_seconds: float = Field(default=1800, ge=0, le=31_536_000)
    """Life of a session, of those too that are open already; 0 ends every session."""

    single_session: bool = False
    """True: a login ends the earlier sessions of the same administrator."""

    second_factor: bool = False
    """True: every login lacks a second factor: code 0, an empty ``secretCode``, and ``authMethods``."""

    auth_methods: Annotated[str, Field(max_length=255)] = "OTP,SMS"
    """``authMethods`` of a login that lacks a second factor."""

    error_rate: Share = 0
    """Share of the calls that are answered with `error_status`."""

    error_status: int = Field(default=503, ge=400, le=599)
    retry_after_seconds: int | None = Field(default=1, ge=0)
    """What such an answer says in ``Retry-After``; none: it has no such header."""

    html_rate: Share = 0
    """Share of the calls that are answered 200 with a page of HTML."""

    errors_after_acting: bool = False
    """True: a call that is answered with an error or with HTML took effect all the same."""

    hang_seconds: float = Field(default=0, ge=0, le=86_400)
    """The call takes effect at once and its answer is held back so long."""

    hang_rate: Share = 1
    """Share of the calls whose answer is held back while `hang_seconds` is not 0."""

    close_rate: Share = 0
    """Share of the calls that take effect at once and whose connection is closed instead of an answer."""

    clock_skew_seconds: int = Field(default=0, ge=-31_536_000, le=31_536_000)
    """How far the server's clock is ahead of the true time; negative: behind."""

    code_format: CodeFormat = CodeFormat.NUMBER
    object_format: ObjectFormat = ObjectFormat.OBJECT
    numbers: Numbers = Numbers.PLAIN
    bare_status: bool = False
    """True: ``object`` of ``token/getStatus`` is nothing but the status, as a text."""

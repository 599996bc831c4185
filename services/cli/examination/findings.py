"""What the doctor finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from schemas.errors import KeyturnError


class Verdict(StrEnum):
    """How a part is."""

    OK = "ok"
    UNUSED = "not used"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at.
        told: what was found.
        advice: what to do; empty where nothing is wrong.
    """

    check: str
    verdict: Verdict
    told: str
    advice: str = ""


Check = Callable[[], Iterator[Finding]]


def ok(check: str, told: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, told)


def unused(check: str, told: str) -> Finding:
    """There is nothing to look at."""
    return Finding(check, Verdict.UNUSED, told)


def warning(check: str, told: str, advice: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(check, Verdict.WARNING, told, advice)


def fault(check: str, told: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(check, Verdict.FAULT, told, advice)


def looked(check: str, look: Check, advice: str) -> Iterator[Finding]:
    """Look, and take what we foresaw for a fault: one part that is broken keeps nobody from looking at the next."""
    try:
        yield from look()
    except KeyturnError as error:
        yield fault(check, str(error), advice)

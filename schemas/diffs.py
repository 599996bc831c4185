"""What a job would change of its target, as a dry run tells it."""

from typing import Final, Literal

from pydantic import Field

from schemas.admin import Shape

MOST_DIFFS: Final = 20
"""Targets that a dry run looks at."""


class Change(Shape):
    """One thing that would be written, in words; secrets are masked."""

    what: str
    now: str
    then: str


class Diff(Shape):
    """What is true of one target now, and what its job would make of that.

    Attributes:
        operation: of the job; a rule may have several for a target.
        then: ``change``: what `changes` tell would be written; ``nothing``: it is as wished, or under way already;
            ``stop``: the job would write nothing and wait for a person; ``unknown``: it could not be looked at now.
        why: in the words of the job.
    """

    target: str
    operation: str
    then: Literal["change", "nothing", "stop", "unknown"]
    why: str
    changes: list[Change] = Field(default=[])

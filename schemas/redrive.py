"""Work that stands until a person says so: what is to be redriven, and what became of it."""

from typing import Annotated, Any, Final, Generic, Self, TypeVar

from pydantic import ConfigDict, Field, model_validator

from schemas.admin import Id, Moments, Reason, Shape, Words
from schemas.jobs import ParkedBecause
from schemas.triggers import Sight
from schemas.views import EventLine, Hook

MOST: Final = 1_000
"""Rows that one request redrives."""

Item = TypeVar("Item")

_EXACTLY_ONE: Final[dict[str, Any]] = {
    "oneOf": [
        {"required": ["ids"], "properties": {"ids": {"type": "array"}, "filter": {"type": "null"}}},
        {"required": ["filter"], "properties": {"filter": {"type": "object"}, "ids": {"type": "null"}}},
    ]
}


class ParkedTerms(Shape):
    """Which parked jobs."""

    because: ParkedBecause | None = None
    operation: Words | None = None
    target: Words | None = None
    site: Words | None = None


class ParkedQuery(Moments, ParkedTerms):
    """Which parked jobs to list; `since` and `until` are about when they were made."""


class ParkedFilter(Sight, ParkedTerms):
    """Which parked jobs to redrive; an empty filter means all."""


class FaultTerms(Shape):
    """Which events that could not be planned."""

    type: Words | None = None
    device: Words | None = None
    hook: Hook | None = None


class FaultQuery(Moments, FaultTerms):
    """Which of them to list; `since` and `until` are about when they came."""


class FaultFilter(Sight, FaultTerms):
    """Which of them to redrive; an empty filter means all."""


class Redrive(Shape):
    """What is to be redriven: rows by their numbers, or what a filter finds, the oldest first."""

    model_config = ConfigDict(json_schema_extra=_EXACTLY_ONE)

    ids: Annotated[list[Id], Field(min_length=1, max_length=MOST)] | None = None
    dry_run: Annotated[bool, Field(description="true: tell which it would be, and do nothing")] = False
    limit: Annotated[int, Field(ge=1, le=MOST, description="rows of a filter that one request takes")] = 200
    reason: Reason = ""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.ids is None) == (getattr(self, "filter", None) is None):
            raise ValueError("expected exactly one of ids, filter")
        return self


class RedriveParked(Redrive):
    """Parked jobs to redrive."""

    filter: ParkedFilter | None = None


class RedriveFaults(Redrive):
    """Events that could not be planned, to be planned again."""

    filter: FaultFilter | None = None


class Passed(Shape):
    """A row that was asked for by its number and is not redriven."""

    id: Id
    why: str


class Redriven(Shape, Generic[Item]):
    """What was redriven, or would be.

    Attributes:
        items: as they stand after it; of a dry run, as they stand now.
        more: whether the filter finds more than the limit let through: ask again.
    """

    dry_run: bool
    items: list[Item]
    passed: list[Passed]
    more: bool


class Replayed(Shape):
    """What became of the wish to plan an event again; `changed` is false where it waits for its plan already."""

    changed: bool
    event: EventLine

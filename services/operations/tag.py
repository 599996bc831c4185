"""``ublox.tag``: the device bears some tags and does not bear others.

Source: Security Services REST APIs 1.1.29, Tag APIs. Tags know no case. A tag must be there before it is assigned; one
that is missing is created. The calls take effect at once, cost nothing and may be repeated. Where the document lets
``{*}`` stand for every tag or device, this operation does not.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.errors import Refused
from schemas.jobs import Again, Done, Job, Outcome
from schemas.ublox import BATCH
from schemas.ublox.words import TagName
from services.operations.bulk import Sent, in_halves
from services.operations.contract import Tools, outcome_of

_Tag = Annotated[TagName, AfterValidator(lambda name: name.strip().lower())]


class TagParameters(BaseModel):
    """Which tags come and which go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    add: tuple[_Tag, ...] = Field(default=(), description="tags that the device is to bear; made where missing")
    remove: tuple[_Tag, ...] = Field(default=(), description="tags that the device is not to bear")

    @model_validator(mode="after")
    def _something_and_no_contradiction(self) -> Self:
        if not self.add and not self.remove:
            raise ValueError("name a tag to add or to remove")
        if both := sorted(set(self.add) & set(self.remove)):
            raise ValueError(f"the same tag is to be added and removed: {', '.join(both)}")
        return self


class Tag:
    """Tags up to 100 devices at a time."""

    name: ClassVar = "ublox.tag"
    parameters: ClassVar[type[BaseModel]] = TagParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look, compare, act, look again."""
        wanted = TagParameters.model_validate(jobs[0].parameters)
        there = _existing(tools)
        bearers = _bearers([tag for tag in (*wanted.add, *wanted.remove) if tag in there], tools)
        missing = {job.target: _missing(job.target, wanted, bearers) for job in jobs}
        outcomes: dict[int, Outcome] = {
            job.id: Done(note=f"already {_told(wanted)}") for job in jobs if missing[job.target] == _NOTHING
        }
        to_change = [job for job in jobs if job.id not in outcomes]
        if not to_change:
            return outcomes
        _create({tag for tag in wanted.add if tag not in there}, tools)
        sent = _change({job.target: missing[job.target] for job in to_change}, tools)
        bearers = _bearers([*wanted.add, *(tag for tag in wanted.remove if tag in there)], tools)
        for job in to_change:
            left = _missing(job.target, wanted, bearers)
            if error := sent.errors.get(job.target):
                outcomes[job.id] = outcome_of(error)
            elif left == _NOTHING:
                outcomes[job.id] = Done(note=f"looked again: {_told(wanted)}")
            else:
                outcomes[job.id] = Again(reason=f"asked for, but the device is not {_told(wanted)}")
        return outcomes


_Change = tuple[tuple[str, ...], tuple[str, ...]]
_NOTHING: Final[_Change] = ((), ())


def _existing(tools: Tools) -> set[str]:
    """Every tag of the account."""
    return {name.lower() for name in tools.ublox.tags.walk()}


def _bearers(tags: Collection[str], tools: Tools) -> dict[str, set[str]]:
    """The devices that bear each of these tags, which exist."""
    return {tag: _bearing(tag, tools) for tag in dict.fromkeys(tags)}


def _bearing(tag: str, tools: Tools) -> set[str]:
    try:
        return set(tools.ublox.information.uids_of(tags=[tag]))
    except Refused as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        return set()  # a tag that no device bears may be answered so; the look after the act tells


def _missing(uid: str, wanted: TagParameters, bearers: Mapping[str, Collection[str]]) -> _Change:
    """What is to be added to a device and taken from it."""
    add = tuple(tag for tag in wanted.add if uid not in bearers.get(tag, ()))
    return add, tuple(tag for tag in wanted.remove if uid in bearers.get(tag, ()))


def _create(tags: Collection[str], tools: Tools) -> None:
    """Make tags that are missing; one that somebody else made meanwhile is as good."""
    for tag in sorted(tags):
        try:
            tools.ublox.tags.create(tag)
        except Refused:
            if tag not in _existing(tools):
                raise


def _change(missing: Mapping[str, _Change], tools: Tools) -> Sent[None]:
    """One call for the devices of which the same is asked."""
    alike: dict[_Change, list[str]] = defaultdict(list)
    for uid, change in missing.items():
        alike[change].append(uid)
    whole: Sent[None] = Sent()
    for (add, remove), uids in alike.items():

        def send(part: Sequence[str], add: Sequence[str] = add, remove: Sequence[str] = remove) -> None:
            if add:
                tools.ublox.tags.assign(add, uids=part)
            if remove:
                tools.ublox.tags.remove(remove, uids=part)

        sent = in_halves(uids, send)
        whole.answers.update(sent.answers)
        whole.errors.update(sent.errors)
    return whole


def _told(wanted: TagParameters) -> str:
    with_, without = ", ".join(wanted.add), ", ".join(wanted.remove)
    return " and ".join([*([f"tagged {with_}"] if with_ else []), *([f"free of {without}"] if without else [])])

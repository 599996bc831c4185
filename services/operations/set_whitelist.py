"""``ublox.set_whitelist``: the device is on the whitelist, or is not.

Source: Security Services REST APIs 1.1.29, ``/device/whitelist/add`` (which also takes away) and
``/device/whitelist/get``. A device that bootstraps without being listed gets no authorizations; one that bootstrapped
before keeps its own. The call takes effect at once, costs nothing and may be repeated.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.jobs import Again, Done, Job, Outcome
from schemas.ublox import BATCH, WhitelistAction
from services.operations.bulk import in_halves
from services.operations.contract import Tools, outcome_of


class SetWhitelistParameters(BaseModel):
    """On the list, or not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listed: bool = Field(description="true: the device is to be on the whitelist; false: it is not")


class SetWhitelist:
    """Puts up to 100 devices on the whitelist, or takes them off it, in one call between two looks at the list."""

    name: ClassVar = "ublox.set_whitelist"
    parameters: ClassVar[type[BaseModel]] = SetWhitelistParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look, compare, act, look again."""
        listed = SetWhitelistParameters.model_validate(jobs[0].parameters).listed
        there = _on_the_list([job.target for job in jobs], tools)
        settled = [job for job in jobs if (job.target in there) is listed]
        outcomes: dict[int, Outcome] = {job.id: Done(note=f"already {_told(listed=listed)}") for job in settled}
        return outcomes | _change([job for job in jobs if job.id not in outcomes], tools, listed=listed)


def _change(jobs: Sequence[Job], tools: Tools, *, listed: bool) -> dict[int, Outcome]:
    action = WhitelistAction.ADD if listed else WhitelistAction.DELETE
    sent = in_halves([job.target for job in jobs], lambda uids: tools.ublox.devices.change_whitelist(uids, action))
    there = _on_the_list(list(sent.answers), tools)
    outcomes: dict[int, Outcome] = {}
    for job in jobs:
        if error := sent.errors.get(job.target):
            outcomes[job.id] = outcome_of(error)
        elif (job.target in there) is listed:
            outcomes[job.id] = Done(note=f"looked again: {_told(listed=listed)}")
        else:
            outcomes[job.id] = Again(reason=f"asked for, but the device is {_told(listed=not listed)}")
    return outcomes


def _on_the_list(uids: Collection[str], tools: Tools) -> set[str]:
    """Which of the devices are on the whitelist: one walk for all of them, no longer than it takes to find them."""
    sought, found = set(uids), set[str]()
    if not sought:
        return found
    for look in tools.ublox.devices.whitelist():
        if look.uid in sought:
            found.add(look.uid)
            if found == sought:
                break
    return found


def _told(*, listed: bool) -> str:
    return "on the whitelist" if listed else "not on the whitelist"

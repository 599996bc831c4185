"""``ublox.set_whitelist``: the device is on the whitelist, or is not.

Source: Security Services REST APIs 1.1.29, ``/device/whitelist/add`` (which also takes away) and
``/device/whitelist/get``. A device that bootstraps without being listed gets no authorizations; one that bootstrapped
before keeps its own. The call takes effect at once, costs nothing and may be repeated.

A device may be listed by its ROTPublicUID and by its IMEI, and either lets it in. To be put on the list it needs only
the first, which is known before it ever calls in; to be off it, it must be found under neither.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import Refused
from schemas.jobs import Again, Done, Job, Outcome
from schemas.ublox import BATCH, Detail, WhitelistAction
from services.operations.bulk import in_halves, looks_of
from services.operations.contract import Tools, outcome_of

_WHERE: Final = {True: "on the whitelist", False: "not on the whitelist"}


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
        imeis, outcomes = ({}, {}) if listed else _imeis(jobs, tools)
        devices = [_Device(job, imeis.get(job.target)) for job in jobs if job.id not in outcomes]
        there = _on_the_list(devices, tools)
        for device in devices:
            if device.is_among(there) is listed:
                outcomes[device.job.id] = Done(note=f"already {_told(device, listed=listed)}")
        return outcomes | _change(
            [each for each in devices if each.job.id not in outcomes], there, tools, listed=listed
        )


class _Device(NamedTuple):
    """A device and the other id by which it may be listed."""

    job: Job
    imei: str | None

    def is_among(self, ids: AbstractSet[str]) -> bool:
        return self.job.target in ids or self.imei in ids


def _imeis(jobs: Sequence[Job], tools: Tools) -> tuple[dict[str, str], dict[int, Outcome]]:
    """The IMEIs that u-blox tells, and the outcomes of jobs that cannot know; it refuses to tell of unknown devices."""
    seen = in_halves([job.target for job in jobs], lambda uids: tools.ublox.information.look(uids, (Detail.CORE,)))
    errors = {job.id: error for job in jobs if (error := seen.errors.get(job.target))}
    outcomes = {id_: outcome_of(error) for id_, error in errors.items() if not isinstance(error, Refused)}
    return {look.uid: look.imei for look in looks_of(seen) if look.imei}, outcomes


def _change(devices: Sequence[_Device], there: AbstractSet[str], tools: Tools, *, listed: bool) -> dict[int, Outcome]:
    action = WhitelistAction.ADD if listed else WhitelistAction.DELETE
    imeis = {device.job.target: device.imei for device in devices if device.imei in there}

    def change(uids: Sequence[str]) -> None:
        own = {imei: None for uid in uids if (imei := imeis.get(uid))}
        tools.ublox.devices.change_whitelist(uids, action, imeis=tuple(own))

    sent = in_halves([device.job.target for device in devices], change)
    there = _on_the_list([device for device in devices if device.job.target in sent.answers], tools)
    outcomes: dict[int, Outcome] = {}
    for device in devices:
        if error := sent.errors.get(device.job.target):
            outcomes[device.job.id] = outcome_of(error)
        elif device.is_among(there) is listed:
            outcomes[device.job.id] = Done(note=f"looked again: {_told(device, listed=listed)}")
        else:
            outcomes[device.job.id] = Again(reason=f"asked for, but the device is {_WHERE[not listed]}")
    return outcomes


def _on_the_list(devices: Sequence[_Device], tools: Tools) -> set[str]:
    """Which ids of the devices are on the whitelist: one walk for all, no longer than it takes to find them."""
    sought, found = {id_ for job, imei in devices for id_ in (job.target, imei) if id_}, set[str]()
    if not sought:
        return found
    for look in tools.ublox.devices.whitelist():
        found |= sought & {look.uid, look.imei}
        if found == sought:
            break
    return found


def _told(device: _Device, *, listed: bool) -> str:
    unsure = "" if listed or device.imei else "; u-blox tells no IMEI, by which it might be"
    return f"{_WHERE[listed]}{unsure}"

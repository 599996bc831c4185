"""``ublox.set_whitelist``: the device is on the whitelist, or is not.

Source: Security Services REST APIs 1.1.29, ``/device/whitelist/add`` (which also takes away) and
``/device/whitelist/get``. A device that bootstraps without being listed gets no authorizations; one that bootstrapped
before keeps its own. The call takes effect at once, costs nothing and may be repeated.

A device may be listed by its ROTPublicUID and by its IMEI, and either lets it in. To be put on the list it needs only
the first, which is known before it ever calls in; to be off it, it must be found under neither. A look at IMEIs costs a
call for each device that u-blox does not know. So it is made only where the list has an entry by an IMEI alone, and
after what stands there by ROTPublicUID is off.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import Refused, UpstreamError
from schemas.jobs import Again, Done, Job, Outcome
from schemas.ublox import BATCH, Detail, WhitelistAction
from services.operations.bulk import in_halves, looks_of
from services.operations.contract import Tools, outcome_of

_WHERE: Final = {True: "on the whitelist", False: "not on the whitelist"}


class SetWhitelistParameters(BaseModel):
    """On the list, or not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listed: bool = Field(description="true: the device is to be on the whitelist; false: it is not")


class _Entries(NamedTuple):
    """What the list shows.

    Attributes:
        uids: those of the devices that were looked for, each with the IMEI that its entry tells too.
        imeis: those of entries that tell nothing else, whosever they are.
    """

    uids: dict[str, str | None]
    imeis: set[str]


class _Device(NamedTuple):
    """A device and the other id by which it may be listed.

    Attributes:
        unsure: u-blox does not tell its IMEI, and there are entries by IMEI.
        failed: why u-blox could not be asked for it.
    """

    job: Job
    imei: str | None
    unsure: bool = False
    failed: UpstreamError | None = None

    def is_among(self, there: _Entries) -> bool:
        return self.job.target in there.uids or self.imei in there.imeis


_Tried = dict[str, UpstreamError | None]
"""The devices that a change was asked for, and what kept it from being taken."""


class SetWhitelist:
    """Puts up to 100 devices on the whitelist, or takes them off it, in one call between two looks at the list.

    Those that stand there by IMEI take another call.
    """

    name: ClassVar = "ublox.set_whitelist"
    parameters: ClassVar[type[BaseModel]] = SetWhitelistParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look, compare, act, look again."""
        listed = SetWhitelistParameters.model_validate(jobs[0].parameters).listed
        there = _look([job.target for job in jobs], tools, whole=not listed)
        devices = [_Device(job, there.uids.get(job.target)) for job in jobs]
        tried = _change([one for one in devices if (one.job.target in there.uids) is not listed], tools, listed=listed)
        if there.imeis and not listed:
            devices = _with_imeis(devices, tools)
            tried |= _change([one for one in devices if one.imei in there.imeis], tools, listed=listed)
        if sent := [uid for uid, error in tried.items() if error is None]:
            try:
                there = _look(sent, tools, whole=not listed)
            except UpstreamError as error:  # what is known of the others stands
                tried |= dict.fromkeys(sent, error)
        return {one.job.id: _outcome(one, tried, there, listed=listed) for one in devices}


def _look(uids: Sequence[str], tools: Tools, *, whole: bool) -> _Entries:
    """One walk through the list for all devices; unless it is to be whole, no longer than it takes to find them."""
    sought, there = frozenset(uids), _Entries({}, set())
    for entry in tools.ublox.devices.whitelist():
        if entry.uid in sought:
            there.uids[entry.uid] = entry.imei or there.uids.get(entry.uid)
        elif entry.uid is None and entry.imei:
            there.imeis.add(entry.imei)
        if not whole and len(there.uids) == len(sought):
            break
    return there


def _change(devices: Sequence[_Device], tools: Tools, *, listed: bool) -> _Tried:
    action = WhitelistAction.ADD if listed else WhitelistAction.DELETE
    imeis = {device.job.target: device.imei for device in devices}

    def change(uids: Sequence[str]) -> None:
        own = {imei: None for uid in uids if (imei := imeis[uid])}
        tools.ublox.devices.change_whitelist(uids, action, imeis=tuple(own))

    sent = in_halves(list(imeis), change)
    return {**dict.fromkeys(sent.answers), **sent.errors}


def _with_imeis(devices: Sequence[_Device], tools: Tools) -> list[_Device]:
    """The same with the IMEIs that u-blox tells; it refuses to tell of devices that it does not know."""
    unknown = [device.job.target for device in devices if device.imei is None]
    seen = in_halves(unknown, lambda uids: tools.ublox.information.look(uids, (Detail.CORE,)))
    told = {look.uid: look.imei for look in looks_of(seen)}
    found: list[_Device] = []
    for job, known, *_ in devices:
        imei, error = known or told.get(job.target), seen.errors.get(job.target)
        failed = None if isinstance(error, Refused) else error
        found.append(_Device(job, imei, unsure=imei is None, failed=failed))
    return found


def _outcome(device: _Device, tried: _Tried, there: _Entries, *, listed: bool) -> Outcome:
    if error := tried.get(device.job.target) or device.failed:
        return outcome_of(error)
    unsure = "; u-blox tells no IMEI, by which it might be" if device.unsure else ""
    if device.job.target not in tried:
        return Done(note=f"already {_WHERE[listed]}{unsure}")
    if device.is_among(there) is listed:
        return Done(note=f"looked again: {_WHERE[listed]}{unsure}")
    return Again(reason=f"asked for, but the device is {_WHERE[not listed]}")

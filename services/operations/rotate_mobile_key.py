"""``twon.rotate_mobile_key``: the devices of a location get a new primary mobile key, and no phone is locked out.

Source: 2N HTTP API manual 5.15.1 (api mobilekey config) and 2N's FAQ on location keys. In two phases: first every
device gets the new key as a secondary one, then it becomes the primary (`rotate_lists` says why). A device that does
not answer is waited for; one that refuses parks the job, with the new key as a secondary on all others, which harms
no phone.
Nothing is ever rolled back: that would delete a key which a phone may have by then.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel

from schemas.errors import InputError, LedgerUnavailable
from schemas.fleet import DEVICE, LOCATION, TwonDevice
from schemas.jobs import Again, Job, Outcome, Parked, ParkedBecause
from services.operations.contract import Tools
from services.operations.rotate_attempt import Attempt
from services.operations.rotate_claim import TakenOver
from services.operations.rotate_parameters import RotateMobileKeyParameters


class RotateMobileKey:
    """Rotates the key of one location, or brings one device in line with its location."""

    name: ClassVar = "twon.rotate_mobile_key"
    parameters: ClassVar[type[BaseModel]] = RotateMobileKeyParameters
    batch: ClassVar = 1

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look at all devices, add the key, look, make it the primary, look again."""
        return {job.id: _performed(job, tools) for job in jobs}


def _performed(job: Job, tools: Tools) -> Outcome:
    wanted = RotateMobileKeyParameters.model_validate(job.parameters)
    try:
        location, devices, work = _scope(job.target, tools)
        attempt = Attempt(job, tools, location=location, devices=devices, work=work, parameters=wanted)
        return attempt.perform()
    except InputError as error:
        return Parked(reason="; ".join(error.faults), because=ParkedBecause.OUR_FAULT)
    except TakenOver:
        return Again(reason="another worker has taken this job over", counts=False)
    except LedgerUnavailable as error:
        return Again(reason=str(error), counts=False)


def _scope(target: str, tools: Tools) -> tuple[str, Sequence[TwonDevice], frozenset[str]]:
    """The location, all its devices, and the serial numbers of those to be written to."""
    if target.startswith(LOCATION):
        location = target.removeprefix(LOCATION)
        devices = tools.twon.location(location)
        return location, devices, frozenset(device.serial for device in devices)
    if target.startswith(DEVICE):
        device = tools.twon.device(target.removeprefix(DEVICE))
        return device.location, tools.twon.location(device.location), frozenset({device.serial})
    raise InputError([f"expected {LOCATION}name or {DEVICE}serial number as the target, not {target}"])

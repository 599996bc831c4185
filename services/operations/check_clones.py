"""``ublox.check_clones``: u-blox takes the device neither for cloned nor for suspicious.

Source: Security Services REST APIs 1.1.29, ``/device/clone/get`` and ``/device/suspicious/get``. It changes nothing. A
device of which there is a doubt is parked, with the reason: what to do about it is a person's to decide.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.jobs import Done, Job, Outcome, Parked, ParkedBecause
from schemas.ublox import BATCH
from services.operations.bulk import in_halves
from services.operations.contract import Tools, outcome_of


class CheckClonesParameters(BaseModel):
    """How far to look back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since_days: int = Field(default=30, ge=1, le=3650, description="days back in which clones may have been found")


class CheckClones:
    """Asks for up to 100 devices at a time."""

    name: ClassVar = "ublox.check_clones"
    parameters: ClassVar[type[BaseModel]] = CheckClonesParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look."""
        wanted = CheckClonesParameters.model_validate(jobs[0].parameters)
        since = tools.clock() - timedelta(days=wanted.since_days)

        def doubts(uids: Sequence[str]) -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for clone in tools.ublox.information.clones(uids, since):
                found.setdefault(clone.uid, []).append(_worded("cloned", clone.reason))
            for suspect in tools.ublox.information.suspects(uids):
                found.setdefault(suspect.uid, []).append(_worded("suspicious", suspect.reason))
            return found

        told = in_halves([job.target for job in jobs], doubts)
        outcomes: dict[int, Outcome] = {}
        for job in jobs:
            if error := told.errors.get(job.target):
                outcomes[job.id] = outcome_of(error)
            elif doubt := told.answers[job.target].get(job.target):
                reason = f"u-blox takes the device for {' and '.join(dict.fromkeys(doubt))}; a person must decide"
                outcomes[job.id] = Parked(reason=reason, because=ParkedBecause.REFUSED)
            else:
                note = f"neither cloned in the last {wanted.since_days} days nor suspicious, as far as u-blox tells"
                outcomes[job.id] = Done(note=note)
        return outcomes


def _worded(what: str, reason: str) -> str:
    return f"{what} ({reason})" if reason else what

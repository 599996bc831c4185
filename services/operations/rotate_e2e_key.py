"""``ublox.rotate_e2e_key``: the device's end-to-end key is rotated by the wished policy.

Source: Security Services REST APIs 1.1.29, ``/e2e/key/rotate``. The call sets a policy, there is no rotate-now; the
document shows no way to read the policy back, so where ``/device/info/get`` does not tell it, the outcome says so.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.jobs import Again, Done, Job, Outcome, Parked, ParkedBecause
from schemas.ublox import BATCH, Detail, DeviceLook, RotationPolicy, RotationType
from services.operations.bulk import in_halves
from services.operations.contract import UNVERIFIABLE, Tools, outcome_of

DETAILS = (Detail.CORE, Detail.PROVISIONING)
"""What a look asks for."""


class RotateE2EKeyParameters(BaseModel):
    """Which policy the device should have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["AUTOMATIC", "CONTINUOUS"] = Field(
        default="AUTOMATIC", description="AUTOMATIC: every `days` days; CONTINUOUS: at every call for key material"
    )
    days: int | None = Field(default=None, ge=1, le=30, description="1 to 30, for AUTOMATIC; 7 when left out")
    even_if_set: bool = Field(default=False, description="ask again although the device already has this policy")

    @model_validator(mode="before")
    @classmethod
    def _seven_days_unless_told(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("type", "AUTOMATIC") == "AUTOMATIC" and given.get("days") is None:
            return {**given, "days": 7}
        return given

    @model_validator(mode="after")
    def _days_are_for_automatic(self) -> Self:
        if self.type == "CONTINUOUS" and self.days is not None:
            raise ValueError("days has a meaning for AUTOMATIC only: leave it out")
        return self

    @property
    def policy(self) -> RotationPolicy:
        """The policy as u-blox knows it."""
        return RotationPolicy(type=RotationType(self.type), days=self.days)


class RotateE2EKey:
    """Sets the rotation policy of up to 100 devices in one call."""

    name: ClassVar = "ublox.rotate_e2e_key"
    parameters: ClassVar[type[BaseModel]] = RotateE2EKeyParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look, compare, act, look again."""
        wanted = RotateE2EKeyParameters.model_validate(jobs[0].parameters)
        seen = in_halves([job.target for job in jobs], lambda uids: tools.ublox.information.look(uids, DETAILS))
        outcomes: dict[int, Outcome] = {}
        to_ask: list[Job] = []
        for job in jobs:
            if error := seen.errors.get(job.target):
                outcomes[job.id] = outcome_of(error)
            elif outcome := compared(seen.answers[job.target].get(job.target), wanted):
                outcomes[job.id] = outcome
            else:
                to_ask.append(job)
        had_it = {job.target for job in to_ask if seen.answers[job.target][job.target].rotation == wanted.policy}
        return outcomes | (self._ask(to_ask, wanted.policy, had_it, tools) if to_ask else {})

    def _ask(
        self, jobs: Sequence[Job], policy: RotationPolicy, had_it: Collection[str], tools: Tools
    ) -> dict[int, Outcome]:
        asked = in_halves([job.target for job in jobs], lambda uids: tools.ublox.e2e.rotate(uids, policy))
        looks = in_halves(list(asked.answers), lambda uids: tools.ublox.information.look(uids, DETAILS))
        outcomes: dict[int, Outcome] = {}
        for job in jobs:
            if error := asked.errors.get(job.target) or looks.errors.get(job.target):
                outcomes[job.id] = outcome_of(error)
            else:
                look = looks.answers[job.target].get(job.target)
                outcomes[job.id] = _verified(look, policy, asked.answers[job.target], had_it=job.target in had_it)
        return outcomes


def compared(look: DeviceLook | None, wanted: RotateE2EKeyParameters) -> Outcome | None:
    """What is already settled before anything is sent; None when there is work."""
    if look is None:
        return Parked(reason="u-blox answers, but not about this device", because=ParkedBecause.REFUSED)
    if look.blacklisted:
        return Parked(reason="the device is blacklisted: it gets no keys", because=ParkedBecause.REFUSED)
    if look.rotation == wanted.policy and not wanted.even_if_set:
        return Done(note=f"already {told(wanted.policy)}; nothing to do")
    return None


def _verified(look: DeviceLook | None, policy: RotationPolicy, answer: str, *, had_it: bool) -> Outcome:
    if look is None:
        return Again(reason=f"asked for {told(policy)}, but the second look does not show the device")
    if look.rotation is None:
        said = answer or "nothing"
        return Done(note=f"{UNVERIFIABLE}: the service shows no policy to look at; it said: {said}")
    if look.rotation != policy:
        return Again(reason=f"asked for {told(policy)}, but the device shows {told(look.rotation)}")
    said = "asked again; the policy shown is" if had_it else "looked again:"
    return Done(note=f"{said} {told(policy)}")


def told(policy: RotationPolicy) -> str:
    """A policy for a person."""
    return f"{policy.type} every {policy.days} days" if policy.days else str(policy.type)

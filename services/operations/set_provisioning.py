"""``ublox.set_provisioning``: the device has these authorizations and this security heartbeat.

Source: Security Services REST APIs 1.1.29, ``/device/provisioning/set``. The device takes them at its next heartbeat,
which emits a DEVICE_PROPERTIES_CHANGE_EVENT. Each authorization that is applied is billed.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.jobs import Done, Job, Outcome
from schemas.ublox import BATCH, Authorization, DeviceLook, Provisioning, Selector
from schemas.ublox.provisioning import AuthorizationState
from services.operations.certificate_asking import Kind, Work, ask, course, looked, refused
from services.operations.certificate_progress import Before
from services.operations.contract import UNVERIFIABLE, Tools

_LONGEST: Final = 366 * 24 * 3600
"""Seconds; the document has no bounds. A device that is to call in more rarely is taken for a slip of the finger."""

_PROVISIONING: Final = Kind(what="the provisioning", told="")


class SetProvisioningParameters(BaseModel):
    """What is to be set; the rest stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    authorizations: dict[Authorization, AuthorizationState] = Field(
        default_factory=dict, description='such as { LocalDPR = "ENABLED", LocalC2C = "DISABLED" }'
    )
    heartbeat_seconds: int | None = Field(default=None, ge=1, le=_LONGEST, description="the security heartbeat")
    allow_key_pairing: bool = Field(
        default=False, description="enable LocalC2CKeyPairing although it opens sealed devices to an attack"
    )

    @model_validator(mode="after")
    def _something_and_nothing_by_accident(self) -> Self:
        if not self.authorizations and self.heartbeat_seconds is None:
            raise ValueError("name an authorization or heartbeat_seconds")
        pairing = self.authorizations.get(Authorization.KEY_PAIRING)
        if pairing is AuthorizationState.ENABLED and not self.allow_key_pairing:
            raise ValueError(
                "LocalC2CKeyPairing ENABLED opens sealed devices to an attack: say allow_key_pairing if you mean it"
            )
        return self

    @property
    def states(self) -> dict[str, bool]:
        """The wished authorizations as looks tell them."""
        return {name.value: state is AuthorizationState.ENABLED for name, state in self.authorizations.items()}

    @property
    def provisioning(self) -> Provisioning:
        """The same as u-blox takes it."""
        enabled = {name: state is AuthorizationState.ENABLED for name, state in self.authorizations.items()}
        return Provisioning(authorizations=enabled, heartbeat_seconds=self.heartbeat_seconds)


class SetProvisioning:
    """Provisions up to 100 devices in one call."""

    name: ClassVar = "ublox.set_provisioning"
    parameters: ClassVar[type[BaseModel]] = SetProvisioningParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look and compare; what is left is asked for. The second look comes when the device has had its heartbeat."""
        wanted = SetProvisioningParameters.model_validate(jobs[0].parameters)
        seen, outcomes = looked(jobs, tools)
        to_ask: list[Work] = []
        for job, look in seen:
            work = Work(job=job, look=look, before=Before(heartbeat=look.heartbeat))
            if outcome := _compared(work, wanted, tools):
                outcomes[job.id] = outcome
            else:
                to_ask.append(work)

        def provision(uids: Sequence[str]) -> None:
            tools.ublox.provisioning.set(Selector(uids=tuple(uids)), wanted.provisioning)

        return outcomes | ask(to_ask, _PROVISIONING, provision, tools)


def _compared(work: Work, wanted: SetProvisioningParameters, tools: Tools) -> Outcome | None:
    """What stands without another request; None when there is work."""
    look, asked = work.look, work.job.progress.get("asked")
    missing = _missing(look, wanted)
    stands = _is_desired(look, wanted)
    # What differs after ours was taken was wished later, by somebody else.
    if not missing and (stands is not False or asked == "taken"):
        return Done(note=f"{'looked again' if asked else 'already so'}: {_told(wanted)}")
    if asked == "taken" and _shows_nothing(look, wanted):
        return Done(note=f"{UNVERIFIABLE}: the service shows no such property of the device")
    # Only what is applied is billed, so what is not seen to stand may be asked for again.
    outcome = course(work, _PROVISIONING, tools, standing=bool(stands), has=f"has not: {', '.join(missing)}")
    if outcome is None and look.blacklisted and any(wanted.states.values()):
        return refused("the device is blacklisted: nothing is enabled on it")
    return outcome


def _missing(look: DeviceLook, wanted: SetProvisioningParameters) -> list[str]:
    """What the device is not seen to have. Where u-blox tells its authorizations, one that is not named is disabled."""
    tells = bool(look.authorizations or look.desired_authorizations)
    missing = [
        f"{name} {_state(enabled)}"
        for name, enabled in wanted.states.items()
        if not tells or look.authorizations.get(name, False) is not enabled
    ]
    seconds = wanted.heartbeat_seconds
    if seconds is not None and look.heartbeat != timedelta(seconds=seconds):
        missing.append(f"a heartbeat of {seconds} s")
    return missing


def _is_desired(look: DeviceLook, wanted: SetProvisioningParameters) -> bool | None:
    """Whether what waits for the device is what we wish; None where u-blox does not tell all of it."""
    pairs: list[tuple[object, object]] = [
        (look.desired_authorizations.get(name), enabled) for name, enabled in wanted.states.items()
    ]
    if wanted.heartbeat_seconds is not None:
        pairs.append((look.desired_heartbeat, timedelta(seconds=wanted.heartbeat_seconds)))
    if any(told is not None and told != wish for told, wish in pairs):
        return False
    return None if any(told is None for told, _ in pairs) else True


def _shows_nothing(look: DeviceLook, wanted: SetProvisioningParameters) -> bool:
    if wanted.states and (look.authorizations or look.desired_authorizations):
        return False
    return wanted.heartbeat_seconds is None or look.heartbeat is None


def _state(enabled: bool) -> str:  # noqa: FBT001 - it is the thing that is worded
    return (AuthorizationState.ENABLED if enabled else AuthorizationState.DISABLED).value


def _told(wanted: SetProvisioningParameters) -> str:
    parts = [f"{name} {_state(enabled)}" for name, enabled in wanted.states.items()]
    if wanted.heartbeat_seconds is not None:
        parts.append(f"a heartbeat of {wanted.heartbeat_seconds} s")
    return ", ".join(parts)

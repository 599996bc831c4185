"""A small u-blox in memory, and a desk at which an operation's jobs are run again and again as after a crash."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final, cast

from schemas.errors import Refused, UpstreamError
from schemas.jobs import Again, Awaiting, Job, Outcome, Parked, Spawn
from schemas.ublox import CertificateLook, Detail, DeviceLook, RotationPolicy
from services.operations import Operation, Tools
from tests.conftest import Clock

EXPIRY: Final = datetime(2026, 6, 9, tzinfo=UTC)
DOUBT: Final = timedelta(seconds=75)


class Killed(Exception):
    """The worker died here."""


@dataclass(slots=True)
class Device:
    """What the service knows of a device.

    Attributes:
        billed: counts the renewals that it took.
        every: its heartbeat.
    """

    serial: int | None = 0xA0
    ca_name: str | None = "ca.example"
    expires_at: datetime | None = EXPIRY
    pending: bool = False
    blacklisted: bool = False
    rotation: RotationPolicy | None = None
    rotations: int = 0
    billed: int = 0
    validity_days: int | None = None
    life_days: int | None = None
    every: timedelta | None = None
    last_seen: datetime | None = None


@dataclass(slots=True)
class _Trouble:
    error: Exception
    acts: bool
    times: int


@dataclass
class Fleet:
    """The service. It refuses every list with a device that it does not know or shall refuse.

    Attributes:
        hides: what it does not show of a device: ``pending``, ``certificate``, ``ca_name``, ``rotation``.
        calls: how often each verb was asked.
        information, e2e, certificates: the groups of verbs, as `Ublox` has them.
    """

    devices: dict[str, Device]
    hides: set[str] = field(default_factory=set)
    refuses: dict[str, UpstreamError] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    ignores: bool = False
    information: SimpleNamespace = field(init=False)
    e2e: SimpleNamespace = field(init=False)
    certificates: SimpleNamespace = field(init=False)
    _troubles: dict[str, list[_Trouble]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.information = SimpleNamespace(look=self._information)
        self.e2e = SimpleNamespace(rotate=self._rotate)
        self.certificates = SimpleNamespace(renew=self._renew)

    def fail(self, verb: str, error: Exception, *, acts: bool = False, after: int = 0) -> None:
        """Fail once, `after` calls of that verb have gone well; with or without having done what was asked."""
        self._troubles[verb].append(_Trouble(error, acts, after))

    def _information(self, uids: Collection[str], options: Collection[Detail]) -> dict[str, DeviceLook]:
        """As `Information.look`."""
        assert options
        self._met("look", lambda: None)
        return {uid: self._look(uid, self.devices[uid]) for uid in uids if uid in self.devices}

    def _rotate(self, uids: Collection[str], policy: RotationPolicy) -> str:
        """As `EndToEnd.rotate`."""

        def act() -> None:
            for uid in uids:
                self.devices[uid].rotations += 1
                if not self.ignores:
                    self.devices[uid].rotation = policy

        self._check(uids)
        self._met("rotate", act)
        return "The automatic rotation has been set."

    def _renew(self, uids: Collection[str], ca_name: str, validity_days: int) -> str:
        """As `Certificates.renew`; a device is billed each time, also when it waits already."""

        def act() -> None:
            for uid in uids:
                device = self.devices[uid]
                assert device.ca_name == ca_name
                device.billed, device.validity_days, device.pending = device.billed + 1, validity_days, True

        self._check(uids)
        self._met("renew", act)
        return ""

    def heartbeat(self, uid: str) -> None:
        """The device wakes up and does what waits for it."""
        device = self.devices[uid]
        if device.pending and device.serial is not None:
            device.serial, device.pending = device.serial + 1, False
            device.expires_at = (device.expires_at or EXPIRY) + timedelta(days=device.validity_days or 365)

    def _check(self, uids: Collection[str]) -> None:
        for uid in uids:
            if uid in self.refuses:
                raise self.refuses[uid]
            if uid not in self.devices:
                raise Refused("Bad Request. Invalid ROTPublicUIDs", call="/x", status=400)

    def _met(self, verb: str, act: Any) -> None:
        self.calls[verb] += 1
        for trouble in list(self._troubles[verb]):
            trouble.times -= 1
            if trouble.times < 0:
                self._troubles[verb].remove(trouble)
                if trouble.acts:
                    act()
                raise trouble.error
        act()

    def _look(self, uid: str, device: Device) -> DeviceLook:
        certificate = None
        if device.serial is not None and "certificate" not in self.hides:
            ca_name = None if "ca_name" in self.hides else device.ca_name
            certificate = CertificateLook(
                serial=device.serial, ca_name=ca_name, expires_at=device.expires_at, validity_days=device.life_days
            )
        return DeviceLook(
            uid=uid,
            blacklisted=device.blacklisted,
            certificate=certificate,
            renewal_pending=None if "pending" in self.hides else device.pending,
            rotation=None if "rotation" in self.hides else device.rotation,
            heartbeat=device.every,
            last_seen=device.last_seen,
        )


class Desk:
    """Runs jobs as the runner does, and keeps of each what the ledger would keep.

    Attributes:
        progress: what was noted or settled for each job.
        revocations: what jobs noted that revoked certificates, by device.
        ca_ends: when root CAs end.
        lost: jobs that another worker has taken meanwhile.
        before_note: happens before each note; it may raise, or lose jobs.
    """

    def __init__(self, operation: Operation, fleet: object, clock: Clock) -> None:
        self._operation = operation
        self._clock = clock
        self.progress: dict[int, Mapping[str, Any]] = {}
        self.revocations: dict[str, list[Mapping[str, Any]]] = {}
        self.ca_ends: dict[str, datetime] = {}
        self.lost: set[int] = set()
        self.before_note: Callable[[], object] = lambda: None
        self._tools = Tools(
            ublox=cast("Any", fleet),
            note=self._note,
            revocations=lambda _uids: self.revocations,
            ca_ends=lambda: self.ca_ends,
            clock=clock,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
            doubt=DOUBT,
        )

    def job(self, number: int, target: str, evidence: Mapping[str, Any] | None = None, **parameters: Any) -> Job:
        """A job as it is when it is claimed for the first time."""
        return Job(
            id=number,
            operation=self._operation.name,
            target=target,
            parameters=parameters,
            fence=1,
            attempt=1,
            claimed_at=self._clock(),
            created_at=self._clock(),
            evidence=evidence or {},
        )

    def run(self, *jobs: Job) -> dict[int, Outcome]:
        """One attempt of jobs, each with the progress that it has by now."""
        known = [replace(job, progress=self.progress.get(job.id, {}), claimed_at=self._clock()) for job in jobs]
        outcomes = dict(self._operation.perform(known, self._tools))
        for number, outcome in outcomes.items():
            if isinstance(outcome, Again | Awaiting | Parked | Spawn) and outcome.progress is not None:
                self.progress[number] = outcome.progress
        return outcomes

    def run_one(self, job: Job) -> Outcome:
        """One attempt of one job."""
        return self.run(job)[job.id]

    def _note(self, noted: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
        self.before_note()
        ours = {job.id: known for job, known in noted if job.id not in self.lost}
        self.progress |= ours
        return set(ours)

"""``ublox.roll_root_ca``: a root CA is replaced by a new one, under another name, and deleted when nobody needs it.

Source: Security Services REST APIs 1.1.29, ``/ztp/rootca/*`` and ``/ztp/devicecertificate/rootca/transfer``. A root CA
cannot be renewed. The long way round: create → proof of possession → transfer every device, by children → look at every
device and profile → delete. A person agrees before the first transfer and before the deletion.

Where it stands is what u-blox shows, so a job that was killed goes on from there. Its progress holds only what cannot
be seen: what was decided of the new one, that a creation or a deletion was about to be sent, and the proof, which is
public.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ValidationError

from schemas.authorities import ca_of
from schemas.errors import NotYet, Refused, TryAgain
from schemas.jobs import Again, Ask, Awaiting, Done, Job, NewJob, Outcome, Parked, ParkedBecause, Spawn
from schemas.ublox import AuthorityLook, RootCaCreate
from services.operations.bulk import Unsent
from services.operations.ca_names import successor_name
from services.operations.certificate_asking import in_time, refused
from services.operations.contract import Tools
from services.operations.roll_parameters import RollRootCaParameters
from services.operations.roll_words import of_deletion, of_stuck, of_transfers, some, taken, unfit
from services.operations.root_ca_needs import Survey, holders, profiles_of, survey
from services.operations.root_ca_proof import fault_of, filled, is_like
from services.operations.root_ca_transfers import Transfers
from services.operations.transfer_root_ca import TransferRootCa, TransferRootCaParameters

TRANSFER: Final = "transfer"
DELETE: Final = "delete"
"""The steps that a person must agree to."""

MOST_CHILDREN: Final = 1_000
"""Transfers that one look begins, because they are stored in one transaction; the next look comes at once."""

PATIENT: Final = 3
"""After so many attempts that failed in passing, a job that has begun waits until its next look."""


class RollRootCa:
    """Rolls one root CA; its target is ``rootca:`` and the name of the old one."""

    name: ClassVar = "ublox.roll_root_ca"
    parameters: ClassVar[type[BaseModel]] = RollRootCaParameters
    batch: ClassVar = 1

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look where it stands, and do the next thing."""
        outcomes: dict[int, Outcome] = {}
        for job in jobs:
            roll = _Roll(job, tools)
            try:
                outcomes[job.id] = roll.outcome()
            except _NotOurs:
                continue
            except Unsent as error:
                outcomes[job.id] = Again(reason=str(error), counts=False, progress=roll.known)
            except NotYet:
                raise
            except TryAgain as error:
                if not job.progress or job.attempt < PATIENT:
                    raise
                outcomes[job.id] = roll.waits(f"u-blox fails: {error}")
        return outcomes


class _NotOurs(Exception):
    """Another worker has the job by now."""


class _Roll:
    """One attempt."""

    def __init__(self, job: Job, tools: Tools) -> None:
        self._job = job
        self._tools = tools
        self._given = RollRootCaParameters.model_validate(job.parameters)
        self._old = ca_of(job.target) or ""
        self._new = self._given.new_ca or successor_name(self._old, job.created_at)
        self.known: dict[str, Any] = dict(job.progress)

    def outcome(self) -> Outcome:
        """Go as far as the way is free."""
        if not self._old:
            return refused(f"{self._job.target!r} names no root CA: expected rootca: and its name")
        if self._old == self._new:
            return refused("new_ca is the name of the old root CA: a new one needs another name")
        there = self._authorities()
        old = there.get(self._old)
        if old is None:
            return self._gone(there)
        try:
            wanted = self._decided(old)
        except ValidationError as error:
            return refused(unfit(self._old, self._new, error))
        new = self._founded(there.get(self._new), wanted)
        if not isinstance(new, AuthorityLook):
            return new
        return self._unproven(new) or self._moved(new)

    def waits(self, reason: str) -> Awaiting:
        """Look again later."""
        return Awaiting(reason=reason, look_at=self._next_look, progress=self.known)

    @property
    def _next_look(self) -> datetime:
        return self._tools.clock() + self._tools.renewal_look_every

    def _authorities(self) -> dict[str, AuthorityLook]:
        return {look.name: look for look in self._tools.ublox.authorities.walk()}

    def _note(self, **more: Any) -> None:
        """Commit what cannot be seen after a crash, before the act."""
        in_time(self._job, self._tools)
        self.known |= more
        if self._job.id not in self._tools.note([(self._job, self.known)]):
            raise _NotOurs

    def _gone(self, there: Collection[str]) -> Outcome:
        """The list does not name the old root CA; a list that came short proves nothing."""
        if self.known and self._new not in there:
            return Again(reason=f"u-blox shows neither {self._old} nor {self._new}", progress=self.known)
        if self._is_told():
            return Again(reason=f"u-blox lists {self._old} no more, and yet tells of it", progress=self.known)
        if "deleting" in self.known:
            return Done(note=f"looked again: the root CA {self._old} is deleted, its devices have {self._new}")
        if self.known:
            return Done(note=f"somebody else has deleted the root CA {self._old} meanwhile")
        return refused(f"the account has no root CA {self._old}")

    def _is_told(self) -> bool:
        """Whether the old root CA is there when it is asked for by its name."""
        try:
            return any(look.name == self._old for look in self._tools.ublox.authorities.walk(self._old))
        except Refused:
            return False

    def _decided(self, old: AuthorityLook) -> RootCaCreate:
        """What the new root CA shall be; once it was asked for, what u-blox tells of the old one changes nothing."""
        if "request" in self.known:
            return RootCaCreate.model_validate(self.known["request"])
        return self._given.request(self._new, old)

    def _founded(self, new: AuthorityLook | None, wanted: RootCaCreate) -> AuthorityLook | Outcome:
        """The new root CA, created unless it is there."""
        if new is None:
            return self._created(wanted)
        if "creating" in self.known:
            new = filled(new, wanted)
        elif not (like := is_like(new, wanted.ca_validity_days, wanted.device_validity_days)):
            return refused(taken(new, wanted, readable=like is False))
        self.known |= {"new_ca": new.name, "certificate": new.pem, "request": wanted.model_dump()}
        return new

    def _created(self, wanted: RootCaCreate) -> AuthorityLook | Outcome:
        if "new_ca" in self.known:
            return refused(f"somebody has deleted the new root CA {self._new}")
        if doubt := self._doubt():
            return doubt
        self._note(creating=self._tools.clock().isoformat(), request=wanted.model_dump())
        try:
            self._tools.ublox.authorities.create(
                self._new, wanted.ca_validity_days, wanted.device_validity_days, wanted.renew_before_days
            )
        except Refused:  # so one that has the name is not ours
            del self.known["creating"], self.known["request"]
            self._note()
            raise
        found = self._authorities().get(self._new)
        if found is None:
            return Again(reason=f"u-blox took the new root CA {self._new}, and does not show it", progress=self.known)
        return self._founded(found, wanted)

    def _doubt(self) -> Again | None:
        """While u-blox may still work on a creation whose answer is not known, there is no other."""
        if "creating" not in self.known:
            return None
        until = datetime.fromisoformat(self.known["creating"]) + self._tools.doubt
        now = self._tools.clock()
        if now >= until:
            return None
        reason = f"it is not known whether u-blox took the new root CA; not asked again before {until:%H:%M:%S} UTC"
        return Again(reason=reason, after=(until - now).total_seconds(), counts=False, progress=self.known)

    def _unproven(self, new: AuthorityLook) -> Outcome | None:
        """Make the proof of possession where one is asked for; a second one would do no harm."""
        code = self._given.registration_code
        if code is None or "proof" in self.known:
            return None
        in_time(self._job, self._tools)
        proof = self._tools.ublox.authorities.proof_of_possession(self._new, code)
        if fault := fault_of(proof, code, new):
            return Again(reason=fault, progress=self.known)
        self._note(proof=proof)
        return None

    def _moved(self, new: AuthorityLook) -> Outcome:
        """Transfer whoever needs the old root CA; when nobody does, delete it."""
        waiting = self._holders()
        if waiting:
            return self._transferred(waiting, new)
        begun = [child.target for child in self._tools.children(self._job)]
        found = survey(self._old, self._new, self._tools, known=begun)
        if found.needing:
            return self._transferred(found.needing, new)
        return self._unneeded(found, new)

    def _transferred(self, waiting: Sequence[str], new: AuthorityLook) -> Outcome:
        self.known["devices"] = max(len(waiting), self.known.get("devices", 0))
        if TRANSFER not in self._job.approved:
            plan = of_transfers(self._old, new, len(waiting), profiles_of(self._old, self._tools))
            return Ask(reason=plan, step=TRANSFER, role="admin", progress=self.known)
        begun = self._transfers()
        fresh = begun.fresh(waiting)
        reason = f"devices left with {self._old}: {len(waiting)} of {self.known['devices']}"
        if stuck := begun.stuck(waiting):
            reason += f"; {of_stuck(stuck)}"
        if not fresh:
            return self.waits(reason)
        begin = begun.passed_over(self.known, fresh=len(fresh))
        children = [self._transfer(uid) for uid in fresh[begin : begin + MOST_CHILDREN]]
        self.known["wished"] = len(children)
        look_at = self._next_look if begin + len(children) == len(fresh) else self._tools.clock()
        return Spawn(reason=reason, children=children, look_at=look_at, progress=self.known)

    def _holders(self) -> Sequence[str]:
        """Who has a certificate of the old root CA."""
        return holders(self._old, self._tools, self._transfers().are_over)

    def _transfers(self) -> Transfers:
        return Transfers(self._tools.children(self._job))

    def _transfer(self, uid: str) -> NewJob:
        parameters = TransferRootCaParameters(from_ca=self._old, to_ca=self._new).model_dump(mode="json")
        return NewJob(operation=TransferRootCa.name, target=uid, parameters=parameters, unless_under_way=True)

    def _unneeded(self, found: Survey, new: AuthorityLook) -> Outcome:
        """No device needs the old root CA: make sure that nothing else does, and delete it."""
        if doubt := self._not_known(found):
            return self.waits(f"{doubt}: {self._old} is not deleted meanwhile")
        if found.profiles:
            reason = f"the device profile {some(found.profiles)} refers to {self._old}: link it to {self._new}"
            return Parked(reason=reason, because=ParkedBecause.REFUSED)
        if DELETE not in self._job.approved:
            reason = of_deletion(self._old, self._new, found)
            return Ask(reason=reason, step=DELETE, role="admin", progress=self.known)
        if late := self._holders():  # the look at all devices may have taken minutes
            return self._transferred(late, new)
        return self._deleted()

    def _not_known(self, found: Survey) -> str:
        """Why nobody can tell by this look whether a device needs the old root CA; empty when it can be told."""
        if found.unseen:
            return f"u-blox tells nothing of {some(found.unseen)}"
        if found.halfway:
            return f"a certificate action is half done on {some(found.halfway)}"
        return "u-blox lists no device at all now" if self.known.get("devices") and not found.looked else ""

    def _deleted(self) -> Outcome:
        self._note(deleting=self._tools.clock().isoformat())
        self._tools.ublox.authorities.delete(self._old)
        there = self._authorities()
        if self._old in there:
            return Again(reason=f"u-blox deleted {self._old}, and still shows it", progress=self.known)
        return self._gone(there)

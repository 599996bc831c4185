"""One Tap without its antennas: takes a request, gives a response, remembers. No I/O."""

import time
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.errors import ProtocolError
from services.clients.tap.events import Nonces, Request, Response
from services.clients.tap.multi import decode_parts, encode_answers, meets
from services.clients.tap.registry import calls_at
from services.clients.tap.state import MULTI_PATH, Kind, kind_of
from services.clients.tap.status import Status
from services.sandbox.tap import deeds, resources, rights
from services.sandbox.tap.dials import Dials
from services.sandbox.tap.factory import Factory
from services.sandbox.tap.logins import Doorkeeper, Visitor
from services.sandbox.tap.memory import Memory
from services.sandbox.tap.nonces import SecureNonces
from services.sandbox.tap.tally import Tally, Write
from services.sandbox.turning import turned

if TYPE_CHECKING:
    from services.sandbox.tap.deeds_of_interface import Errand


class PowerCut(Exception):
    """The Tap restarts in the middle of a write; nothing is answered."""


class Device:
    """One Tap: what it is, what it remembers, how it is turned.

    Attributes:
        errand: what the last request wants done once its answer is out: a restart, or a reload.
    """

    def __init__(
        self,
        factory: Factory,
        *,
        dials: Dials | None = None,
        nonces: Nonces | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.factory = factory
        self._first_dials = dials or Dials()
        self.dials = self._first_dials
        self.nonces = nonces or SecureNonces()
        self.clock = clock
        self.random = Random(self.dials.seed)  # noqa: S311 - decides which faults strike; a run must be repeatable
        self.memory = Memory(factory)
        self.tally = Tally()
        self.doorkeeper = Doorkeeper(self.memory, self.tally, dials=lambda: self.dials, nonces=self.nonces, clock=clock)
        self.errand: Errand | None = None
        self.time_offset = 0.0
        self._writes_before = 0
        self._visitors = 0

    def turn(self, changes: object) -> None:
        """Turn some dials, start the random generator afresh, and count writes from now where that dial is turned.

        Raises:
            InputError: a change is wrong; nothing was turned.
        """
        self.dials = turned(self.dials, changes)
        self.random.seed(self.dials.seed)
        if isinstance(changes, dict) and "reboot_at_write" in changes:
            self._writes_before = self.tally.write_count

    def reset(self) -> None:
        """Be as at the very beginning: memory, dials, counts."""
        self.memory.begin()
        self.doorkeeper.forgive()
        self.dials = self._first_dials
        self.random.seed(self.dials.seed)
        self.forget_counts()

    def forget_counts(self) -> None:
        """Count from nothing; a write that a dial waits for is still as far away."""
        self._writes_before -= self.tally.write_count
        self.tally.clear()

    def welcome(self, host: HostProtocol) -> Visitor:
        """Take note of a new line."""
        self._visitors += 1
        self.tally.lines[host.name or "?"] += 1
        return Visitor(self._visitors, host, last=self.clock())

    def restart(self) -> None:
        """Forget what does not survive a restart."""
        self.tally.restarts += 1
        self.memory.restart()
        self.doorkeeper.forgive()
        self.errand = None

    def strikes(self, share: float) -> bool:
        """Say whether a fault of this share strikes now."""
        return share > 0 and self.random.random() < share

    def overstayed(self, visitor: Visitor) -> bool:
        """Say whether the session of a user has been silent for longer than its lifetime (notes §11, ``//4``)."""
        group = self.memory.groups.get(visitor.group)
        lifetime = group.lifetime if group and visitor.group else 0
        return bool(lifetime) and self.clock() - visitor.last > lifetime

    def answer(self, visitor: Visitor, request: Request) -> Response:
        """Give the response to a request.

        Raises:
            PowerCut: a dial restarts the Tap in the middle of it.
        """
        visitor.last = self.clock()
        if request.path == MULTI_PATH and resources.fault_of(request, self.factory.firmware) is None:
            return self._answer_all(visitor, request)
        write = self._noted(visitor, request)
        try:
            response = self._judged(visitor, request, write)
        except PowerCut:
            self.tally.request(str(request), None, sealed=visitor.sealed)
            raise
        self.tally.request(str(request), response.status, sealed=visitor.sealed)
        if write is not None:
            write.status = response.status
        return response

    def _answer_all(self, visitor: Visitor, request: Request) -> Response:
        """Answer the parts of a multi request one after the other, and stop at an unexpected status (notes §6.4)."""
        try:
            parts = decode_parts(request.body)
        except ProtocolError:
            return Response(Status.BAD_REQUEST)
        answers: list[Response] = []
        for part in parts:
            answers.append(self.answer(visitor, part.request))
            if not meets(answers[-1], part.expected):
                break
        self.tally.request(str(request), Status.CONTENT, sealed=visitor.sealed)
        return Response(Status.CONTENT, encode_answers(answers))

    def _noted(self, visitor: Visitor, request: Request) -> Write | None:
        if not rights.is_write(request):
            return None
        secret = any(call.secret for call in calls_at(request.method, request.path))
        body = None if secret else request.body.hex()
        return self.tally.write(str(request), body, sealed=visitor.sealed, group=visitor.group)

    def _judged(self, visitor: Visitor, request: Request, write: Write | None) -> Response:
        cut = write is not None and self._is_cut(write)
        if cut:
            self.dials = self.dials.model_copy(update={"reboot_at_write": None})
        if cut and self.dials.reboot_before_write:
            raise PowerCut
        status = self._barrier(visitor, request)
        response = Response(status) if status is not None else deeds.perform(self, visitor, request)
        if write is not None:
            write.took_effect = response.done
        if cut:
            raise PowerCut
        return response

    def _is_cut(self, write: Write) -> bool:
        number = self.dials.reboot_at_write
        return number is not None and write.number == self._writes_before + number

    def _barrier(self, visitor: Visitor, request: Request) -> int | None:
        """Say with which code a request is not even tried, or None."""
        dials, memory = self.dials, self.memory
        refused = dials.refusal(request)
        if refused is not None:
            return refused
        if kind_of(request) is Kind.ORDINARY and self.strikes(dials.busy_rate):
            return Status.BUSY
        fault = resources.fault_of(request, self.factory.firmware)
        if fault is not None:
            return fault
        if not memory.knows(request.path):
            return Status.NOT_FOUND
        return None if rights.may(memory, visitor.group, request) else Status.UNAUTHORIZED

"""What there is to do on a Tap: a pure decision over what is wanted and what the Tap holds.

What a Tap does not tell (passwords, certificates) is judged by the version of the configuration, for it is written
last: a Tap that shows the wanted version has taken all of it. A password that then does not open the Tap is written
again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.registry import find
from services.operations.tap_settings import ITERATIONS, NAME, Stage, Wish

MASK: Final = "•••"
UNKNOWN: Final = "?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Actual:
    """What a Tap says of itself.

    Attributes:
        transport: the way by which we speak with it.
        available: the ways that it has at all, None where it does not tell.
        scram: whether it keeps verifiers and encrypts.
        values: what it holds, by the labels of the wishes; what it does not tell is not there.
        groups: the users that it has.
        proven: the users whose wanted password has opened it.
    """

    firmware: str
    version: str
    transport: HostProtocol | None = None
    available: HostProtocol | None = None
    scram: bool = True
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    groups: frozenset[int] = frozenset()
    proven: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a Tap should be."""

    version: str
    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One write, as a person reads it: a create, a wish, or the version."""

    wish: Wish
    before: str

    @property
    def after(self) -> str:
        """The wanted value, masked where it is secret."""
        return shown(self.wish.value, secret=self.wish.secret)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written, in order; or why nothing may be.

    Attributes:
        refusals: what a person must mend first; where there is one there are no steps.
        restarts: whether the Tap must restart for it.
    """

    steps: tuple[Step, ...] = ()
    refusals: tuple[str, ...] = ()
    restarts: bool = False

    @property
    def passwords(self) -> tuple[Wish, ...]:
        """The passwords that it writes."""
        return tuple(step.wish for step in self.steps if step.wish.is_password)

    @property
    def but_version(self) -> tuple[Step, ...]:
        """All steps but the last."""
        return tuple(step for step in self.steps if step.wish.stage is not Stage.VERSION)


def make_plan(target: Target, actual: Actual) -> Plan:
    """Compare; an empty plan means that there is nothing to do."""
    if refusals := refusals_of(target, actual):
        return Plan(refusals=refusals)
    steps = tuple(_steps(target, actual))
    settled = actual.version == target.version
    if steps or not settled:
        steps = (*steps, Step(_version(target), actual.version))
    # An interrupted run may have written what now reads back right, and not restarted: a restart too many does no harm.
    affected = (step.wish for step in steps) if settled else target.wishes
    return Plan(steps, restarts=any(wish.stage.restarts for wish in affected))


def refusals_of(target: Target, actual: Actual) -> tuple[str, ...]:
    """Why nothing may be written; told before the first write."""
    return tuple(text for check in _CHECKS for text in check(target, actual))


def leftovers(plan: Plan, actual: Actual) -> tuple[str, ...]:
    """The labels of what was written and yet reads back otherwise."""
    written = [step.wish for step in plan.but_version if step.wish.label in actual.values]
    return tuple(wish.label for wish in written if actual.values[wish.label] != wish.value)


def shown(value: object, *, secret: bool = False) -> str:
    """A value as a person reads it, on one line."""
    if secret:
        return MASK if value else "empty"
    if isinstance(value, HostProtocol):
        names = [one.name.lower() for one in HostProtocol if one in value and one.name]
        return ", ".join(names) or "none"
    name = getattr(value, "name", None)
    return name.lower().replace("_", " ") if isinstance(name, str) else str(value) or "empty"


def _steps(target: Target, actual: Actual) -> Iterator[Step]:
    new_groups = {wish.group for wish in target.wishes if wish.group is not None} - actual.groups
    rehash = any(wish.label == ITERATIONS and _differs(wish, target, actual) for wish in target.wishes)
    for wish in target.wishes:
        if wish.put == NAME and wish.group in new_groups:
            yield Step(_creation(wish), "absent")
        stale = wish.is_password and (rehash or wish.group in new_groups)
        if stale or _differs(wish, target, actual):
            yield Step(wish, _before(wish, actual))


def _differs(wish: Wish, target: Target, actual: Actual) -> bool:
    if wish.is_password:
        return wish.group not in actual.proven
    if wish.label in actual.values:
        return bool(actual.values[wish.label] != wish.value)
    return actual.version != target.version


def _before(wish: Wish, actual: Actual) -> str:
    return shown(actual.values[wish.label], secret=wish.secret) if wish.label in actual.values else UNKNOWN


def _creation(wish: Wish) -> Wish:
    label = wish.label.removesuffix(".name")
    return Wish(label=label, stage=Stage.USERS, put="group.create", get=None, value="created", group=wish.group)


def _version(target: Target) -> Wish:
    put, get = "interface.putConfigVersion", "interface.getConfigVersion"
    return Wish(label="version", stage=Stage.VERSION, put=put, get=get, value=target.version)


def _firmware_faults(target: Target, actual: Actual) -> Iterator[str]:
    """What this firmware does not have."""
    for wish in target.wishes:
        call = find(wish.put)
        if not call.is_in(actual.firmware):
            yield f"{wish.label} needs firmware {call.firmware}, and the Tap has {actual.firmware}: update it first"


def _scram_faults(_: Target, actual: Actual) -> Iterator[str]:
    if not actual.scram:
        yield "SCRAM is off on this Tap, so passwords would go over in clear: switch it on first"


def _way_back_faults(target: Target, actual: Actual) -> Iterator[str]:
    wanted = next((wish.value for wish in target.wishes if wish.label == "protocols"), None)
    if wanted is None:
        return
    if actual.transport is not None and not actual.transport & wanted:
        yield f"protocols lacks {shown(actual.transport)}, by which we speak with this Tap: it would be out of reach"
    if actual.available is not None and (missing := wanted & ~actual.available):
        yield f"protocols names {shown(HostProtocol(missing))}, which this Tap does not have"


_CHECKS: Final[tuple[Callable[[Target, Actual], Iterator[str]], ...]] = (
    _firmware_faults,  # found before the first write, not in the middle
    _scram_faults,  # a verifier needs the channel
    _way_back_faults,  # a Tap that cannot be reached cannot be mended
)

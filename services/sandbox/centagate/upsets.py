"""What goes wrong with a call: by the rates of the dials, or ordered for the next calls of one path."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.sandbox.centagate.dials import Dials

ANY_PATH: Final = "*"


class Kind(StrEnum):
    """What the caller gets instead of the true answer."""

    CODE = "code"
    ERROR = "error"
    HTML = "html"
    HANG = "hang"
    CLOSE = "close"


class Order(BaseModel):
    """Body of ``POST /_twin/next``: what becomes of the next `calls` calls of a path.

    `path` is one of the API without its variables, such as ``token/registerActiveToken``, or ``*``. `acted` says
    whether the call takes effect; one that hangs or whose connection is closed always does. `code` comes with the kind
    ``code`` and `seconds` with the kind ``hang``; `status` is that of an error, the dial `error_status` when not given.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    path: str = ANY_PATH
    calls: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    kind: Annotated[Kind, Field(strict=False)] = Kind.CODE
    code: Annotated[int, Field(ge=0, le=999_999)] | None = None
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    acted: bool = False

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "Order":
        for kind, name in ((Kind.CODE, "code"), (Kind.HANG, "seconds")):
            if (self.kind is kind) != (getattr(self, name) is not None):
                raise ValueError(f"the kind {kind}, and no other, comes with {name}")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class Upset:
    """What goes wrong with one call."""

    kind: Kind
    acted: bool = True
    code: int = 0
    status: int = 0
    seconds: float = 0


@dataclass(kw_only=True, slots=True)
class Upsets:
    """Decides for each call what goes wrong with it, if anything."""

    random: Random
    _orders: list[tuple[Order, int]] = field(default_factory=list)

    def order(self, order: Order) -> None:
        """Let something happen to the next calls of a path; earlier orders for it come first."""
        self._orders.append((order, order.calls))

    def clear(self) -> None:
        """Forget what was ordered."""
        self._orders.clear()

    def waiting(self) -> int:
        """How many calls something is still ordered for."""
        return sum(left for _, left in self._orders)

    def next(self, path: str, dials: Dials) -> Upset | None:
        """What goes wrong with this call."""
        for place, (order, left) in enumerate(self._orders):
            if order.path in {ANY_PATH, path}:
                self._orders[place : place + 1] = [(order, left - 1)] if left > 1 else []
                return _ordered(order, dials)
        return self._struck(dials)

    def _struck(self, dials: Dials) -> Upset | None:
        acted = dials.errors_after_acting
        if self._strikes(dials.error_rate):
            return Upset(kind=Kind.ERROR, acted=acted, status=dials.error_status)
        if self._strikes(dials.html_rate):
            return Upset(kind=Kind.HTML, acted=acted)
        if self._strikes(dials.close_rate):
            return Upset(kind=Kind.CLOSE)
        if dials.hang_seconds and self._strikes(dials.hang_rate):
            return Upset(kind=Kind.HANG, seconds=dials.hang_seconds)
        return None

    def _strikes(self, share: float) -> bool:
        return share > 0 and self.random.random() < share


def _ordered(order: Order, dials: Dials) -> Upset:
    return Upset(
        kind=order.kind,
        acted=order.acted or order.kind in {Kind.HANG, Kind.CLOSE},
        code=order.code or 0,
        status=order.status or dials.error_status,
        seconds=order.seconds or 0,
    )

"""What every request to u-blox is: a body with the document's bounds, and what the document says of its call."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from schemas.events import parse_timestamp


class UbloxRequest(BaseModel):
    """A request body; its fields bear our names here and theirs on the wire.

    Attributes:
        path: of the call, and the section of the document.
        one_of: exactly one of these fields is given.
        at_most_one_of: none or one of these.
        listed: under which key the answer has its items.
        guarded: refused while a certificate update of the device is under way.
        subscribed: needs an active Device Certificate Management subscription.
        billed: leaves an entry in the usage log.
        reaches_back: the most days that ``FromDate`` may lie back.
        by_day: ``FromDate`` is a day, and not a moment.
        content_type: how the body is written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, hide_input_in_errors=True)

    path: ClassVar[str]
    one_of: ClassVar[tuple[str, ...]] = ()
    at_most_one_of: ClassVar[tuple[str, ...]] = ()
    listed: ClassVar[str] = ""
    guarded: ClassVar[bool] = False
    subscribed: ClassVar[bool] = False
    billed: ClassVar[bool] = False
    reaches_back: ClassVar[int | None] = None
    by_day: ClassVar[bool] = False
    content_type: ClassVar[str] = "application/json"

    @model_validator(mode="after")
    def _selectors(self) -> Self:
        given = [name for name in (*self.one_of, *self.at_most_one_of) if getattr(self, name) is not None]
        if self.one_of and len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(self.one_of)} is needed")
        if len(given) > 1:
            raise ValueError(f"at most one of {', '.join(self.at_most_one_of)} may be given")
        return self

    @model_validator(mode="after")
    def _a_period_does_not_end_before_it_begins(self) -> Self:
        begins, ends = getattr(self, "from_date", None), getattr(self, "to_date", None)
        if begins is not None and ends is not None and parse_timestamp(ends) < parse_timestamp(begins):
            raise ValueError("to_date is before from_date")
        return self

    def body(self) -> dict[str, Any]:
        """Give the body to send, secrets in clear: for the wire and for nothing else."""
        fields = self.model_dump(by_alias=True, exclude_none=True)
        return {name: _revealed(value) for name, value in fields.items()}

    def concealed(self) -> tuple[str, ...]:
        """Give the secrets of the body, which no text may repeat."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))

    @classmethod
    def paged(cls) -> bool:
        """Whether the answer comes in pages."""
        return "page_number" in cls.model_fields


def _revealed(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value

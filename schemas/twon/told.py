"""What every word of a 2N device has in common: it is read leniently, field by field."""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from schemas.errors import InputError


def read_text(value: object) -> str:
    """Take anything but a text for an empty one."""
    return value if isinstance(value, str) else ""


def read_whole(value: object) -> int | None:
    """Take anything but a whole number of at least 0 for none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


Text = Annotated[str, BeforeValidator(read_text)]
Whole = Annotated[int | None, BeforeValidator(read_whole)]


class Told(BaseModel):
    """Something that a device tells; its camelCase names become ours."""

    model_config = ConfigDict(
        extra="allow", frozen=True, alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )

    @classmethod
    def read(cls, result: object) -> Self:
        """Read the `result` of an answer.

        Raises:
            InputError: it is no object, or a part that cannot be done without is not as documented.
        """
        try:
            return cls.model_validate(result)
        except ValidationError as error:
            raise InputError(_faults(error)) from None


def _faults(error: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, each['loc'])) or 'result'}: {each['msg']}" for each in error.errors()]

"""A secret text that does not show itself, and that does not travel."""

from typing import Any, Final, NoReturn

from pydantic import GetCoreSchemaHandler, SecretStr
from pydantic_core import core_schema

MASK: Final = "•••"
"""What stands wherever a secret would have stood."""


class Secret(SecretStr):
    """A secret that prints `•••` and that neither JSON nor pickle takes.

    pydantic's own `SecretStr` would be written to JSON as stars, which whoever reads it takes for the value; and it
    would be pickled in the clear, into a cache, a queue or another process.
    """

    def _display(self) -> str:
        return MASK if self._secret_value else ""

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled, copied into a message or sent to another process")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Read as `SecretStr` is read; given out as it is to Python, refused to JSON."""
        schema = super().__get_pydantic_core_schema__(source, handler)
        schema["serialization"] = core_schema.plain_serializer_function_ser_schema(_no_json, when_used="json")
        return schema


def _no_json(_: object) -> NoReturn:
    raise TypeError("a secret is not written as JSON")

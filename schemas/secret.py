"""A secret text that does not show itself and does not travel, and the names under which the vault keeps such texts."""

from typing import Annotated, Any, Final, NoReturn, Self

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, PlainSerializer, SecretStr, TypeAdapter

MASK: Final = "•••"
"""What is shown where a secret stands."""

LONGEST_NAME: Final = 255
"""Characters of a secret's name."""


def _no_json(_: object) -> NoReturn:
    raise TypeError("a secret is not written as JSON")


_REFUSING: Final = TypeAdapter[Any](Annotated[Any, PlainSerializer(_no_json, return_type=str, when_used="json")])


class Secret(SecretStr):
    """A secret that prints `•••`, and that neither JSON nor pickle takes.

    pydantic's `SecretStr` becomes a row of stars in JSON, which its reader takes for the value, and pickle writes it in
    the clear, for a cache, a queue or another process.
    """

    __pydantic_serializer__ = _REFUSING.serializer  # pydantic's way for a value whose field is Any

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Read as `SecretStr` reads; Python gets the object, JSON gets nothing."""
        schema = super().__get_pydantic_core_schema__(source, handler)
        return {**schema, "serialization": _REFUSING.core_schema["serialization"]}

    def _display(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __deepcopy__(self, memo: object) -> Self:
        return self


def secret_name(text: str) -> str:
    """Give the name of a secret in the vault, such as ``tap/IOTZ00000000000042/password``.

    Raises:
        ValueError: it is none; the text says what one is. The name is not repeated: it may be a secret by mistake.
    """
    if not (0 < len(text) <= LONGEST_NAME and text.isprintable() and all(part.strip() for part in text.split("/"))):
        raise ValueError(
            f"expected the name of a secret in the vault: at most {LONGEST_NAME} printable characters,"
            " parts with / between them, no part empty"
        )
    return text


SecretName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(secret_name)]
"""The name of a secret in the vault."""

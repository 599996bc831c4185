"""The type of a secret: nothing that shows, writes or sends values gets it."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from schemas.secret import LONGEST_NAME, Secret, secret_name

WORD = "hunter2-hunter2"


class Letter(BaseModel):
    """Something that is read from JSON and should not be written to it."""

    password: Secret
    anything: Any = None


@dataclass
class Note:
    """Something that is pickled with whatever it holds."""

    password: Secret


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r}".format, "{:>20}".format, "%s".__mod__, ascii])
def test_a_secret_shows_dots(show: Callable[[object], str]) -> None:
    shown = show(Secret(WORD))
    assert WORD not in shown
    assert "•••" in shown or "\\u2022" in shown


def test_dots_do_not_tell_the_length_nor_that_there_is_nothing() -> None:
    assert repr(Secret("")) == repr(Secret("x" * 99)) == "Secret('•••')"


def test_a_secret_is_a_pydantic_secret_and_gives_its_value_when_asked() -> None:
    assert isinstance(Secret(WORD), SecretStr)
    assert Letter.model_validate({"password": WORD}).password.get_secret_value() == WORD
    assert Letter.model_validate_json(json.dumps({"password": WORD})).password == Secret(WORD)
    assert {Secret(WORD): 1}[Secret(WORD)] == 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [Secret(WORD), [Secret(WORD)], Letter(password=Secret(WORD)), Note(Secret(WORD))])
def test_no_pickle_takes_a_secret(value: object, protocol: int) -> None:
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(value, protocol)


@pytest.mark.parametrize(
    "write",
    [
        json.dumps,
        orjson.dumps,
        TypeAdapter(Any).dump_json,
        TypeAdapter(Secret).dump_json,
        lambda secret: Letter(password=secret).model_dump_json(),
        lambda secret: Letter(password=secret).model_dump(mode="json"),
        lambda secret: Letter(password=Secret("other"), anything=[secret]).model_dump_json(exclude={"password"}),
    ],
)
def test_no_json_takes_a_secret(write: Callable[[Secret], object]) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        write(Secret(WORD))
    assert WORD not in str(caught.value)


def test_python_may_copy_it_within_the_process() -> None:
    secret = Secret(WORD)
    assert copy.deepcopy(secret) is secret
    assert Letter(password=secret).model_copy(deep=True).password is secret
    assert asdict(Note(secret)) == {"password": secret}
    assert Letter(password=secret).model_dump()["password"] is secret


def test_what_is_no_text_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        Letter.model_validate({"password": 20_212_022})
    assert "string" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["tap/IOTZ00000000000042/password", "twon/54-1046-0745/password", "token/alice smith@example.org/sms", "a", "ü/名"],
)
def test_a_name_is_a_path_of_printable_parts(name: str) -> None:
    assert secret_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a/", "a//b", "a/ /b", "a\nb", "a\0b", "\ud800", "x" * (LONGEST_NAME + 1)]
)
def test_another_name_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"^expected the name of a secret in the vault: at most 255 printable"
    ) as caught:
        secret_name(name)
    assert len(name) < 3 or name not in str(caught.value)

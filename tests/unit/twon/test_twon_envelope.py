"""What an answer of a 2N device means."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import OurFault, Refused, TryAgain, UpstreamError
from schemas.twon import ERROR_CODES
from services.clients.answers import Answer
from services.clients.twon import SubscriptionEnded
from services.clients.twon.envelope import LOG_PULL, read_result

SECRET = "s3cret-pass"


def answer(body: object, *, status: int = 200, path: str = "/api/x", content_type: str = "application/json") -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer.read(method="GET", path=path, status=status, body=content, content_type=content_type)


def failure(error: object, *, status: int = 200, path: str = "/api/x") -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        read_result(answer({"success": False, "error": error}, status=status, path=path), (SECRET,))
    assert caught.value.call == path
    assert caught.value.sent
    return caught.value


def test_a_success_gives_its_result_or_nothing() -> None:
    assert read_result(answer({"success": True, "result": {"a": 1}})) == {"a": 1}
    assert read_result(answer({"success": True})) == {}
    assert read_result(answer({"success": True}, content_type="")) == {}
    assert read_result(answer({"success": True}, content_type="Application/JSON; charset=utf-8")) == {}


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
@pytest.mark.parametrize("status", [200, 401])
def test_every_code_becomes_its_error_with_its_number_and_what_to_do(code: int, status: int) -> None:
    error = failure({"code": code, "param": "location", "description": "as it is"}, status=status)
    assert type(error) is ERROR_CODES[code].kind
    assert str(error).startswith(f"GET /api/x answered {status}: error {code}, {ERROR_CODES[code].meaning} (location)")
    assert "as it is" in str(error)
    assert ERROR_CODES[code].advice in str(error)


@pytest.mark.parametrize("code", [5, 6, 16, 20, -1, "EDIR_UUID", None, True, 1.5, [1], {}])
def test_an_unknown_code_is_refused_and_shown(code: object) -> None:
    error = failure({"code": code})
    assert isinstance(error, Refused)
    assert f"error {code}"[:25] in str(error)


@pytest.mark.parametrize("error", [None, "no", [], {}, {"description": 7, "param": {}}])
def test_a_failure_without_a_code_is_still_a_failure(error: object) -> None:
    assert isinstance(failure(error), Refused)


def test_a_processing_error_keeps_its_description_and_may_pass() -> None:
    error = failure({"code": 14, "description": "session not found " + "x " * 1000})
    assert isinstance(error, TryAgain)
    assert "session not found" in str(error)
    assert len(str(error)) < 500
    assert isinstance(failure({"code": 14, "description": "Unsupported Content-Type"}), OurFault)


def test_an_expired_subscription_is_told_from_other_invalid_values() -> None:
    assert isinstance(failure({"code": 12, "param": "id"}, path=LOG_PULL), SubscriptionEnded)
    assert not isinstance(failure({"code": 12, "param": "timeout"}, path=LOG_PULL), SubscriptionEnded)
    assert not isinstance(failure({"code": 12, "param": "id"}), SubscriptionEnded)


def test_a_secret_that_the_device_repeats_is_struck_out_also_in_parts() -> None:
    key = "MIICXAIBAAKBgQCXmIX1U7wGFW3FiDdhq7BIktIc4lg7X2IM"
    error = failure({"code": 12, "param": SECRET, "description": f"bad {key[:44]} of {SECRET}\r\n"})
    assert SECRET not in str(error)
    assert "MIIC" not in str(error)


@pytest.mark.parametrize(
    ("body", "status", "content_type"),
    [
        (b"<html>welcome</html>", 200, "text/html"),
        (b"<?xml?>", 200, "application/xml"),
        ({"success": "true"}, 200, "application/json"),
        ({"ok": True}, 200, "application/json"),
        ([True], 200, "application/json"),
        (b"", 302, ""),
        ({"success": True}, 404, "application/json"),
    ],
)
def test_what_is_not_the_2n_api_is_named_so(body: object, status: int, content_type: str) -> None:
    with pytest.raises(OurFault, match="not the 2N API"):
        read_result(answer(body, status=status, content_type=content_type))


@pytest.mark.parametrize("kind", ["text/html", "application/json", ""])
@pytest.mark.parametrize("body", [b"<html>401</html>", b"", b'{"success": fal', {"success": True}, {}, []])
def test_a_401_that_says_nothing_else_is_about_user_and_password(body: object, kind: str) -> None:
    with pytest.raises(OurFault, match="check user and password"):
        read_result(answer(body, status=401, content_type=kind))


@pytest.mark.parametrize("body", [b'{"success": true, "resu', b"", b"\xff", b'{"success" : true,}'])
def test_json_that_breaks_off_is_passing_trouble(body: bytes) -> None:
    with pytest.raises(TryAgain, match="not in JSON"):
        read_result(answer(body))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "success": st.booleans() | junk,
        "result": junk,
        "error": junk | st.fixed_dictionaries({"code": junk, "param": junk, "description": junk}),
    },
)


@given(
    body=st.binary(max_size=50) | envelopes.map(lambda told: json.dumps(told).encode()),
    status=st.sampled_from([200, 204, 301, 401, 404]),
    content_type=st.sampled_from(["application/json", "", "text/html"]) | st.text(max_size=10),
)
def test_whatever_comes_is_a_result_or_one_of_our_errors(body: bytes, status: int, content_type: str) -> None:
    told: list[Any] = []
    with contextlib.suppress(UpstreamError):
        told.append(read_result(answer(body, status=status, content_type=content_type), (SECRET,)))
    assert not told or (status == 200 and json.loads(body)["success"] is True)

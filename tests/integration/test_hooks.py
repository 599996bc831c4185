"""Who is let in at the receiver, and what the head of a request may say."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.site import HOOK, SECOND_TOKEN, TOKEN, Answer, Receiver, new_database, notification, serving

_NUMBERS = count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with serving(new_database(request, tmp_path_factory)) as receiver:
        yield receiver


@pytest.fixture
def body() -> bytes:
    """A notification that nobody has sent before."""
    return f'{{"EventType": "NEWS", "Payload": {{"number": {next(_NUMBERS)}}}}}'.encode()


def padded(body: bytes, size: int) -> bytes:
    return body[:-1] + b" " * (size - len(body)) + b"}"


def assert_refused(answer: Answer, status: int, detail: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.document["status"] == status
    assert detail in answer.document["detail"]


def test_a_delivery_is_answered_with_its_receipt_and_stored(receiver: Receiver, body: bytes) -> None:
    answer = receiver.post(body)
    assert answer.status == 202
    assert answer.headers["location"] == f"/receipts/{answer.receipt}"
    assert answer.document == {"receipt": answer.receipt, "status": f"/receipts/{answer.receipt}"}
    row = receiver.row(body)
    assert (row.receipt, row.source, row.hook, row.state) == (answer.receipt, "webhook", "", "new")


def test_an_address_of_its_own_is_remembered(receiver: Receiver, body: bytes) -> None:
    assert receiver.post(body, path=f"{HOOK}/plant-7.gate_B?source=ublox").status == 202
    assert receiver.row(body).hook == "plant-7.gate_B"


def test_each_token_is_valid_while_they_are_changed(receiver: Receiver, body: bytes) -> None:
    answer = receiver.post(body, headers={"Authorization": SECOND_TOKEN})
    assert answer.status == 202
    assert receiver.row(body).receipt == answer.receipt


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "",
        "Bearer wrong-token-0123456789",
        TOKEN.lower(),
        TOKEN.removeprefix("Bearer "),
        TOKEN[:-1],
        TOKEN + "0",
        f"{TOKEN}, {SECOND_TOKEN}",
        f"{TOKEN}\n{SECOND_TOKEN}".replace("\n", "\t"),
        "Bearer höok-töken".encode().decode("latin-1"),
    ],
)
def test_without_a_whole_token_nothing_is_stored(receiver: Receiver, body: bytes, wrong: str | None) -> None:
    answer = receiver.post(body, headers={"Authorization": wrong})
    assert_refused(answer, 401, "the Authorization header is missing or wrong")
    assert receiver.rows(body) == []


@pytest.mark.parametrize("second", [TOKEN, SECOND_TOKEN, "Bearer wrong"])
def test_two_authorizations_are_none(receiver: Receiver, body: bytes, second: str) -> None:
    answer = receiver.post(body, more=f"authorization: {second}\r\n".encode())
    assert_refused(answer, 401, "the Authorization header is missing or wrong")
    assert receiver.rows(body) == []


def test_a_stranger_learns_nothing_of_the_body(receiver: Receiver) -> None:
    for wrong in (b"{", b"x" * 300_000, b""):
        answer = receiver.post(wrong, headers={"Authorization": None, "Content-Type": "text/plain"})
        assert_refused(answer, 401, "the Authorization header is missing or wrong")
        assert receiver.rows(wrong) == []


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/cloudevents+json ; v=1",
        None,
    ],
)
def test_json_is_taken_by_all_its_names_and_without_one(receiver: Receiver, body: bytes, kind: str | None) -> None:
    assert receiver.post(body, headers={"Content-Type": kind}).status == 202
    assert receiver.row(body).state == "new"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", "json", ""]
)
def test_a_body_that_calls_itself_something_else_is_refused(receiver: Receiver, body: bytes, kind: str) -> None:
    assert_refused(receiver.post(body, headers={"Content-Type": kind}), 415, "application/json")
    assert receiver.rows(body) == []


def test_every_content_type_that_is_named_must_be_json(receiver: Receiver, body: bytes) -> None:
    assert receiver.post(body, more=b"content-type: text/plain\r\n").status == 415
    assert receiver.rows(body) == []


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_a_packed_body_is_refused(receiver: Receiver, body: bytes, coding: str) -> None:
    assert_refused(receiver.post(body, headers={"Content-Encoding": coding}), 415, "Content-Encoding")
    assert receiver.rows(body) == []


def test_a_body_that_says_it_is_not_packed_is_taken(receiver: Receiver, body: bytes) -> None:
    assert receiver.post(body, headers={"Content-Encoding": "Identity"}).status == 202


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_allowed(receiver: Receiver, body: bytes, method: str) -> None:
    answer = receiver.post(body, method=method)
    assert_refused(answer, 405, f"{method} is not allowed here")
    assert answer.headers["allow"] == "POST"
    assert receiver.rows(body) == []


@pytest.mark.parametrize(
    "path",
    ["/", "x", "/a/b", "/../ublox", "/a%2Fb", "/a%20b", "/a%0A", "/%00", "/" + "a" * 65, "/%C3%BC", "/a;b"],
)
def test_another_address_is_nowhere(receiver: Receiver, body: bytes, path: str) -> None:
    assert_refused(receiver.post(body, path=f"{HOOK}{path}"), 404, HOOK)
    assert receiver.rows(body) == []


def test_the_largest_body_is_taken_whole(receiver: Receiver, body: bytes) -> None:
    largest = padded(body, receiver.settings.body_limit_bytes)
    assert len(largest) == 262_144
    assert receiver.post(largest).status == 202
    assert receiver.row(largest).state == "new"


@pytest.mark.parametrize("size", [262_145, 300_000])
def test_a_larger_body_is_refused_by_its_length(receiver: Receiver, body: bytes, size: int) -> None:
    large = padded(body, size)
    answer = receiver.post(large)
    assert_refused(answer, 413, "262144 bytes")
    assert receiver.rows(large) == []


def test_an_absurd_length_is_refused_before_a_byte_of_it_comes(receiver: Receiver) -> None:
    assert receiver.post(b"{}", headers={"Content-Length": "9" * 18}).status == 413


def test_a_repeat_gets_the_first_receipt_and_no_second_row(receiver: Receiver) -> None:
    document = notification(Timestamp="2021-01-01T00:00:00", Extra=[1, {"a": 2, "b": 3}])
    reordered = dict(reversed(document.items())) | {"ROTPublicUID": str(document["ROTPublicUID"]).upper()}
    reordered["Extra"] = [1, {"b": 3, "a": 2}]
    first = receiver.post(document)
    again = [receiver.post(document), receiver.post(reordered, path=f"{HOOK}/other")]
    assert [answer.status for answer in (first, *again)] == [202] * 3
    assert {answer.receipt for answer in again} == {first.receipt}
    assert [row.hook for row in receiver.rows() if row.receipt == first.receipt] == [""]


@pytest.mark.parametrize(
    "change",
    [
        {"Timestamp": "2021-02-01T00:00:00Z"},
        {"ROTPublicUID": "135700008928c094"},
        {"EventType": "DEVICE_BOOTSTRAP_EVENT_2"},
        {"Payload": {"a": 1, "b": None}},
        {"Payload": {"a": 1.0}},
        {"Payload": {"a": "1"}},
        {"New": None} | {"Other": 1},
    ],
)
def test_whatever_differs_is_another_event(receiver: Receiver, change: dict[str, object]) -> None:
    document = notification(Timestamp="2021-02-01T00:00:00", Payload={"a": 1})
    assert receiver.post(document).receipt != receiver.post(document | change).receipt

"""Connections as the network makes them: in pieces, in a row, cut off, or too slow."""

import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.patience import eventually
from tests.support.site import Receiver, new_database, request, serving

_NUMBERS = count(1)
BODY_SECONDS = 0.4


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with serving(new_database(request, tmp_path_factory), body_seconds=BODY_SECONDS) as receiver:
        yield receiver


def news() -> bytes:
    return f'{{"EventType": "NEWS", "Payload": {{"number": {next(_NUMBERS)}}}}}'.encode()


def chunked(body: bytes, size: int = 65_536) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


CHUNKED = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def test_requests_of_one_connection_are_answered_one_by_one(receiver: Receiver) -> None:
    with receiver.wire() as wire:
        for body in (news(), news(), news()):
            wire.send(request(body))
            answer = wire.answer()
            assert (answer.status, receiver.row(body).receipt) == (202, answer.receipt)


def test_requests_that_do_not_wait_are_answered_in_order(receiver: Receiver) -> None:
    bodies = [news(), b"{", news(), b"[]" + news(), news()]
    with receiver.wire() as wire:
        wire.send(b"".join(map(request, bodies)))
        answers = [wire.answer() for _ in bodies]
    assert [answer.status for answer in answers] == [202, 400, 202, 400, 202]
    assert [receiver.row(body).receipt for body in bodies] == [answer.receipt for answer in answers]


def test_a_refusal_does_not_spoil_the_next_request(receiver: Receiver) -> None:
    body = news()
    with receiver.wire() as wire:
        for refused in (
            request(news(), headers={"Authorization": None}),
            request(news(), headers={"Content-Type": "text/plain"}),
            request(news(), path="/webhooks/ublox/a/b"),
            request(news(), method="PUT"),
        ):
            wire.send(refused)
            assert wire.answer().status in {401, 404, 405, 415}
        wire.send(request(body))
        assert wire.answer().receipt == receiver.row(body).receipt


def test_a_body_in_chunks_is_put_together(receiver: Receiver) -> None:
    body = news()
    with receiver.wire() as wire:
        wire.send(request(headers=CHUNKED) + chunked(body, 7))
        assert wire.answer().receipt == receiver.row(body).receipt


def test_a_body_in_pieces_is_put_together(receiver: Receiver) -> None:
    body = news()
    whole = request(body)
    with receiver.wire() as wire:
        for at in range(0, len(whole), 40):
            wire.send(whole[at : at + 40])
            time.sleep(0.001)
        assert wire.answer().receipt == receiver.row(body).receipt


def test_a_sender_that_asks_first_may_go_on(receiver: Receiver) -> None:
    body = news()
    whole = request(body, headers={"Expect": "100-continue"})
    with receiver.wire() as wire:
        wire.send(whole.removesuffix(body))
        assert wire.answer().status == 100
        wire.send(body)
        assert wire.answer().receipt == receiver.row(body).receipt


def test_a_stranger_that_asks_first_is_told_before_it_sends(receiver: Receiver) -> None:
    with receiver.wire() as wire:
        wire.send(request(headers={"Expect": "100-continue", "Content-Length": "200000", "Authorization": None}))
        assert wire.answer().status == 401


def test_a_chunked_body_has_the_same_limit(receiver: Receiver) -> None:
    largest = news().ljust(receiver.settings.body_limit_bytes)
    with receiver.wire() as wire:
        wire.send(request(headers=CHUNKED) + chunked(largest))
        assert wire.answer().status == 202
    assert receiver.row(largest).state == "new"
    for size in (len(largest) + 1, 300_000):
        with receiver.wire() as wire:
            wire.send(request(headers=CHUNKED) + chunked(largest.ljust(size)))
            assert wire.answer().status == 413
            wire.send(request(later := news()))
            assert wire.answer().receipt == receiver.row(later).receipt
        assert receiver.rows(largest.ljust(size)) == []


def test_a_sender_that_goes_on_beyond_the_limit_still_hears_why(receiver: Receiver) -> None:
    with receiver.wire() as wire:
        wire.send(request(headers=CHUNKED))
        for _ in range(200):
            wire.send(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        assert wire.answer().status == 413
    with receiver.wire() as wire:
        wire.send(request(b" " * 10_000_000))
        assert wire.answer().status == 413


@pytest.mark.parametrize("sent", ["", "{ ", '{"EventType": "HALF"'])
def test_a_body_that_never_comes_is_given_up(receiver: Receiver, sent: str) -> None:
    began = time.monotonic()
    with receiver.wire() as wire:
        wire.send(request(headers={"Content-Length": "500"}) + sent.encode())
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert answer.document["detail"] == f"the body was not complete after {BODY_SECONDS} s"
        assert wire.is_closed()
    assert BODY_SECONDS <= time.monotonic() - began < 5
    assert receiver.rows(sent.encode()) == []


def test_a_body_that_drips_is_given_up_as_well(receiver: Receiver) -> None:
    with receiver.wire() as wire:
        wire.send(request(headers=CHUNKED))
        for _ in range(int(BODY_SECONDS / 0.05)):
            wire.send(b"1\r\n \r\n")
            time.sleep(0.05)
        assert wire.answer().status == 408


@pytest.mark.parametrize("sent", [0, 1, 20])
def test_a_sender_that_hangs_up_leaves_nothing(receiver: Receiver, sent: int) -> None:
    before, body = len(receiver.rows()), news()
    for how in ({}, CHUNKED):
        with receiver.wire() as wire:
            wire.send(request(headers={"Content-Length": str(len(body)), **how}) + body[:sent])
    later = news()
    assert receiver.post(later).status == 202
    assert [row.body for row in receiver.rows()[before:]] == [later]


def test_a_sender_that_does_not_wait_for_its_answer_is_kept(receiver: Receiver) -> None:
    body = news()
    with receiver.wire() as wire:
        wire.send(request(body))
    eventually(lambda: receiver.rows(body))
    assert receiver.post(body).receipt == receiver.row(body).receipt


@pytest.mark.parametrize(
    "broken",
    [
        b"nonsense\r\n\r\n",
        request(b"{}", headers={"Content-Length": "-1"}),
        request(b"{}", headers={"Content-Length": "two"}),
        request(b"{}", headers={"Content-Length": "9" * 30}),
        request(b"{}", more=b"content-length: 3\r\n"),
        request(b"{}", more=b"transfer-encoding: chunked\r\n"),
        request(headers=CHUNKED) + b"zz\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_stores_nothing(receiver: Receiver, broken: bytes) -> None:
    before = receiver.rows()
    with receiver.wire() as wire:
        wire.send(broken)
        assert wire.answer().status == 400
        assert wire.is_closed()
    assert receiver.rows() == before


def test_the_bytes_after_the_declared_length_are_not_the_body(receiver: Receiver) -> None:
    body = news()
    with receiver.wire() as wire:
        wire.send(request(body) + b"GARBAGE\r\n\r\n")
        assert wire.answer().status == 400
        assert wire.is_closed()
    eventually(lambda: receiver.rows(body))

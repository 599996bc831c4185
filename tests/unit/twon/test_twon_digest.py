"""Digest authentication, against the examples of RFC 7616 and RFC 2617."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.clients.twon.digest import Challenge, Responder, read_challenge, schemes

PASSWORD = SecretStr("Circle of Life")
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
RFC_7616 = (
    f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={{}}, nonce="{NONCE}", opaque="{OPAQUE}"'
)


def fields(header: str) -> Mapping[str, str]:
    return dict(re.findall(r'(\w+)="?((?:[^",\\]|\\.)*)"?', header.removeprefix("Digest ")))


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_come_out(monkeypatch: pytest.MonkeyPatch, algorithm: str, response: str) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: CNONCE)
    challenge = read_challenge([RFC_7616.format(algorithm)])
    assert challenge is not None
    said = fields(Responder("Mufasa", PASSWORD, challenge).answer("GET", "/dir/index.html"))
    assert said["response"] == response
    assert (said["nc"], said["qop"], said["algorithm"], said["opaque"]) == ("00000001", "auth", algorithm, OPAQUE)


def test_a_server_older_than_rfc_2617_gets_an_answer_without_a_count() -> None:
    challenge = read_challenge(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])
    assert challenge is not None
    said = fields(Responder("Mufasa", SecretStr("CircleOfLife"), challenge).answer("GET", "/dir/index.html"))
    assert said["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert "nc" not in said
    assert "algorithm" not in said


def test_each_answer_counts_on_with_the_same_client_nonce() -> None:
    responder = Responder("u", PASSWORD, Challenge(realm="r", nonce="n", algorithm="MD5-sess"))
    first, second = (fields(responder.answer("GET", "/")) for _ in range(2))
    assert (first["nc"], second["nc"]) == ("00000001", "00000002")
    assert first["cnonce"] == second["cnonce"]
    assert first["response"] != second["response"]


@pytest.mark.parametrize(
    "header",
    [
        'Basic realm="x"',
        'Digest realm="x"',
        'Digest nonce="x"',
        'Digest realm="x", nonce=""',
        'Digest realm="x", nonce="y", algorithm=SHA-1',
        'Digest realm="x", nonce="y", qop="auth-int"',
        'Digest realm="x\N{SNOWMAN}", nonce="y"',
        "Digest",
        "",
        ",,=,",
    ],
)
def test_a_challenge_that_cannot_be_answered_is_none(header: str) -> None:
    assert read_challenge([header]) is None


def test_the_first_challenge_that_can_be_answered_is_taken() -> None:
    one_header = 'Negotiate, Digest realm="a", nonce="1", algorithm=SHA-1, DIGEST realm="b", Nonce="2", STALE=TRUE'
    challenge = read_challenge(['Basic realm="x, y"', one_header])
    assert challenge == Challenge(realm="b", nonce="2", protected=False, stale=True)
    assert schemes(['Basic realm="x, y"', one_header]) == ["basic", "negotiate", "digest", "digest"]


def test_quotes_and_commas_stay_inside_their_value() -> None:
    challenge = read_challenge([r'Digest realm="a \"b\", c=\\d", nonce="1", qop="auth"'])
    assert challenge is not None
    assert challenge.realm == 'a "b", c=\\d'
    header = Responder('x"', PASSWORD, challenge).answer("GET", "/")
    assert r'username="x\""' in header
    assert r'realm="a \"b\", c=\\d"' in header


def test_a_password_stands_in_no_representation() -> None:
    responder = Responder("u", PASSWORD, Challenge(realm="r", nonce="n"))
    assert "Circle" not in repr(responder) + responder.answer("GET", "/")


@given(st.lists(st.text() | st.from_regex(r'(Digest )?(\w{1,9}="?[\w ,]{0,9}"?,? ?){0,6}', fullmatch=True), max_size=3))
def test_whatever_stands_in_a_challenge_is_answered_or_left(headers: list[str]) -> None:
    challenge = read_challenge(headers)
    if challenge is not None:
        assert Responder("u", PASSWORD, challenge).answer("GET", "/").isascii()
    assert all(scheme.isascii() and 0 < len(scheme) < 40 for scheme in schemes(headers))

"""A revocation list is relied on only when the CA signed it and it is of today."""

import base64
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from services.operations.certificate_revocations import Revocations, read_revocations
from tests.conftest import Clock
from tests.support.crl import CA, OTHER_CA, pem, revocation_list

ROOT = pem(CA, CA, 1)


def read(crl: bytes | None, clock: Clock, root: str | None = ROOT) -> Revocations:
    return read_revocations(CA, crl, root, clock())


def test_a_list_names_what_is_revoked_and_nothing_else(clock: Clock) -> None:
    listed = read(revocation_list(CA, [0xA0, 0xB0], clock()), clock)
    assert [listed.lists(serial) for serial in (0xA0, 0xB0, 0xC0)] == [True, True, False]
    assert listed.told() == "the revocation list of ca.example of 10 May 2026 12:00 UTC"


def test_every_way_to_write_a_list_is_read(clock: Clock) -> None:
    der = revocation_list(CA, [0xA0], clock(), encoding=Encoding.DER)
    text = revocation_list(CA, [0xA0], clock())
    for written in (der, base64.b64encode(der), base64.encodebytes(der), text, text.replace(b"\n", b"\\n")):
        assert read(written, clock).lists(0xA0), written


def test_an_empty_list_is_a_good_one(clock: Clock) -> None:
    listed = read(revocation_list(CA, [], clock()), clock)
    assert (listed.fault, listed.lists(0xA0)) == ("", False)


@pytest.mark.parametrize("crl", [None, b"", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", b"%%%", b"0"])
def test_a_list_that_is_none_says_nothing(clock: Clock, crl: bytes | None) -> None:
    listed = read(crl, clock)
    assert "list of ca.example" in listed.fault
    assert not listed.lists(0xA0)


def test_a_list_that_is_cut_off_says_nothing(clock: Clock) -> None:
    der = revocation_list(CA, [0xA0], clock(), encoding=Encoding.DER)
    assert not any(read(der[:length], clock).lists(0xA0) for length in range(len(der)))


@given(st.binary(max_size=200))
def test_no_bytes_are_taken_for_a_list(crl: bytes) -> None:
    clock = Clock()
    assert read(crl, clock).fault


def test_a_list_that_another_signed_says_nothing(clock: Clock) -> None:
    listed = read(revocation_list(CA, [0xA0], clock(), signer=OTHER_CA), clock)
    assert listed.fault == "the revocation list of ca.example is not signed by the CA"
    assert not listed.lists(0xA0)


def test_a_list_that_was_changed_says_nothing(clock: Clock) -> None:
    der = bytearray(revocation_list(CA, [0xA0], clock(), encoding=Encoding.DER))
    at = bytes(der).index(b"\x02\x02\x00\xa0")
    der[at + 3] = 0xA1
    assert not any(read(bytes(der), clock).lists(serial) for serial in (0xA0, 0xA1))


def test_the_list_of_another_ca_says_nothing(clock: Clock) -> None:
    listed = read(revocation_list(OTHER_CA, [0xA0], clock(), signer=CA), clock)
    assert listed.fault == "the revocation list of ca.example was issued in another name"


@pytest.mark.parametrize("root", [None, "", ROOT[:200], "no certificate"])
def test_without_a_whole_certificate_of_the_ca_nobody_can_tell_who_signed(clock: Clock, root: str | None) -> None:
    listed = read(revocation_list(CA, [0xA0], clock()), clock, root)
    assert listed.fault.startswith("u-blox shows no whole certificate of ca.example")
    assert not listed.lists(0xA0)


def test_a_list_is_good_until_its_next_update_and_no_longer(clock: Clock) -> None:
    crl = revocation_list(CA, [0xA0], clock(), lasts=timedelta(days=7))
    clock.forward(days=7)
    assert read(crl, clock).lists(0xA0)
    clock.forward(minutes=6)
    listed = read(crl, clock)
    assert listed.fault == "the revocation list of ca.example is out of date since 17 May 2026 12:00 UTC"
    assert not listed.lists(0xA0)


def test_clocks_may_differ_by_minutes_and_not_by_more(clock: Clock) -> None:
    assert not read(revocation_list(CA, [], clock() + timedelta(minutes=4)), clock).fault
    assert "from the future" in read(revocation_list(CA, [], clock() + timedelta(hours=1)), clock).fault

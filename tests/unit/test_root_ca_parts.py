"""The small parts of a roll: the successor's name, the proof of possession, who needs a root CA."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ublox import AuthorityLook, CertificateLook, DeviceLook
from services.operations.ca_names import LONGEST, successor_name
from services.operations.root_ca_needs import needs
from services.operations.root_ca_proof import end_of, fault_of, is_like
from tests.support.ca_account import Ca

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CODE = "930783746273459058465786283467236543874968549"
ROOT = Ca("acme", 1825, NOW)


def look_of(ca: Ca, **told: Any) -> AuthorityLook:
    return AuthorityLook(name=ca.name, pem=ca.pem, promised_until=None, **told)


@pytest.mark.parametrize(
    ("name", "successor"),
    [
        ("acme", "acme-202611"),
        ("acme-202511", "acme-202611"),
        ("acme-202611", "acme-20261122"),
        ("a" * 45, "a" * 38 + "-202611"),
    ],
)
def test_a_successor_is_named_by_its_month(name: str, successor: str) -> None:
    assert successor_name(name, NOW) == successor


@given(st.from_regex(r"\A[A-Za-z0-9_.-]{1,45}\Z"), st.datetimes(min_value=datetime(2000, 1, 1)))  # noqa: DTZ001 - any
def test_a_successor_has_a_name_of_its_own_that_is_allowed(name: str, moment: datetime) -> None:
    successor = successor_name(name, moment)
    assert successor != name
    assert len(successor) <= LONGEST


def test_a_proof_is_signed_by_the_ca_and_carries_the_code() -> None:
    root = look_of(ROOT)
    assert fault_of(ROOT.sign(CODE, 30), CODE, root) is None
    assert (
        fault_of(ROOT.sign("another", 30), CODE, root) == "the proof of possession does not carry the registration code"
    )
    stranger = Ca("acme", 1825, NOW)
    assert fault_of(stranger.sign(CODE, 30), CODE, root) == "the proof of possession is not signed by the root CA"


@pytest.mark.parametrize("cut", [0, 30, 200])
def test_a_truncated_proof_is_none(cut: int) -> None:
    assert fault_of(ROOT.sign(CODE, 30)[:cut], CODE, look_of(ROOT)) == "the proof of possession is no whole certificate"


def test_a_ca_is_compared_by_its_certificate_and_by_what_is_told() -> None:
    assert is_like(look_of(ROOT), 1825, 365) is True
    assert is_like(look_of(ROOT), 3650, 365) is False
    assert is_like(look_of(ROOT, device_validity_days=90), 1825, 365) is False
    unread = AuthorityLook(name="acme", pem="-----BEGIN", promised_until=None)
    assert is_like(unread, 1825, 365) is None
    assert end_of(unread) == "an unknown day"
    assert end_of(look_of(ROOT)) == "21 Nov 2031"


def test_a_device_needs_a_ca_that_it_has_or_is_to_get() -> None:
    held = CertificateLook(serial=1, ca_name="old", expires_at=NOW + timedelta(days=1))
    moved = CertificateLook(serial=2, ca_name="new", expires_at=NOW + timedelta(days=1))
    wished = {"PROVISIONING": {"DesiredProperties": {"Zerotouch": {"Action": "TRANSFER", "CAName": "old"}}}}
    assert needs(DeviceLook(uid="a", certificate=held), "old")
    assert needs(DeviceLook(uid="a", certificate=moved, raw=wished), "old")
    assert not needs(
        DeviceLook(uid="a", certificate=moved, raw={"PROVISIONING": {"CurrentProperties": {"CAName": "old"}}}), "old"
    )
    assert not needs(DeviceLook(uid="a"), "old")

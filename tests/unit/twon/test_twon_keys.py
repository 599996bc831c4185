"""Mobile keys: what a device would take, what it would drop without a word, and what everybody knows."""

import base64
import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.secret import Secret
from schemas.twon import KeyType, MobileKey, MobileKeyConfig
from services.clients.twon import keys

SAMPLE = Path(__file__).resolve().parents[2] / "fixtures" / "twon-mobilekey-config.json"
PUBLISHED = MobileKeyConfig.read(json.loads(SAMPLE.read_text())["result"]).keys
A_KEY = keys.generate()
DER = base64.b64decode(A_KEY.text.get_secret_value())

Asymmetric = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def written(private: Asymmetric, form: PrivateFormat = PrivateFormat.TraditionalOpenSSL) -> Secret:
    return Secret(base64.b64encode(private.private_bytes(Encoding.DER, form, NoEncryption())).decode())


def fault(text: str | Secret, kind: KeyType = KeyType.RSA) -> str:
    secret = text if isinstance(text, Secret) else Secret(text)
    with pytest.raises(InputError) as caught:
        keys.parse(secret, kind)
    assert secret.get_secret_value()[:20] not in str(caught.value) or not secret.get_secret_value()
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_made_key_is_a_pkcs1_rsa_key_of_1024_bits() -> None:
    private = load_der_private_key(DER, password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert (private.key_size, private.public_key().public_numbers().e) == (1024, 65537)
    assert private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()) == DER
    assert keys.parse(A_KEY.text) == A_KEY
    assert not keys.is_published(A_KEY.public)


def test_no_two_keys_are_the_same_and_none_shows_itself() -> None:
    assert keys.generate().public != A_KEY.public
    assert A_KEY.text.get_secret_value() not in f"{A_KEY!r} {A_KEY} {A_KEY.dated(1)!r}"


def test_an_elliptic_curve_key_is_made_where_it_is_asked_for() -> None:
    made = keys.generate(KeyType.ECC)
    assert keys.parse(made.text, KeyType.ECC) == made
    assert "not of type rsa" in fault(made.text)
    assert "not of type ecc" in fault(A_KEY.text, KeyType.ECC)
    with pytest.raises(InputError, match="expected rsa or ecc"):
        keys.generate(KeyType.UNKNOWN)
    assert "type is unknown" in fault(A_KEY.text, KeyType.UNKNOWN)


def test_the_manuals_three_sample_keys_are_valid_and_known_as_published() -> None:
    publics = {keys.public_half(key) for key in PUBLISHED}
    assert len(publics) == 3
    assert all(keys.is_published(public) for public in publics)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not Base64!",
        "MIIC XAIB",
        "MIICXAIB\n",
        "_-8=",
        "MII",
        A_KEY.text.get_secret_value() + "=",
        "A" * 10_000,
        "\ud800",
        "é",
    ],
)
def test_what_is_no_base64_or_no_key_is_refused(text: str) -> None:
    assert fault(text).startswith("mobile key: expected")


def test_many_threads_that_meet_a_key_have_it_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a check costs would else be paid by each of a hundred threads that begin with the same list."""
    made, read = keys.generate(), Mock(side_effect=load_der_private_key)
    monkeypatch.setattr("services.clients.twon.keys.load_der_private_key", read)
    together = threading.Barrier(8)

    def meet() -> bytes:
        together.wait(30)
        return keys.public_half(MobileKey(key=made.text))

    with ThreadPoolExecutor(8) as pool:
        publics = {met.result() for met in [pool.submit(meet) for _ in range(8)]}
    assert publics == {made.public}
    assert read.call_count == 1


def test_pkcs8_is_refused_by_name() -> None:
    private = load_der_private_key(DER, password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert "is PKCS#8; expected a PKCS#1" in fault(written(private, PrivateFormat.PKCS8))


def test_a_key_of_2048_bits_is_refused_with_the_number() -> None:
    assert "expected 1024 bits, not 2048" in fault(written(rsa.generate_private_key(65537, 2048)))


def test_numbers_that_do_not_fit_together_are_refused() -> None:
    numbers = load_der_private_key(DER, password=None)
    assert isinstance(numbers, rsa.RSAPrivateKey)
    parts = numbers.private_numbers()
    for part in (parts.p, parts.dmp1, parts.dmq1, parts.iqmp, parts.d):
        width = (part.bit_length() + 7) // 8
        original, changed = part.to_bytes(width, "big"), (part ^ 4).to_bytes(width, "big")
        assert DER.count(original) == 1
        assert "fit together" in fault(base64.b64encode(DER.replace(original, changed)).decode())


def test_what_stands_after_a_key_is_refused() -> None:
    assert "expected" in fault(base64.b64encode(DER + b"\0").decode())


@pytest.mark.parametrize("kind", list(KeyType))
def test_another_kind_of_key_is_refused(kind: KeyType) -> None:
    assert "Ed25519" in fault(written(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8), kind)


def test_a_hidden_key_is_recognised_in_every_encoding_that_the_manual_leaves_open() -> None:
    public = load_der_private_key(DER, password=None).public_key()
    forms = [
        public.public_bytes(Encoding.DER, form) for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
    ]
    for der in (*forms, DER):
        told = MobileKey.read({"publicKey": base64.b64encode(der).decode()})
        assert keys.public_half(told) == A_KEY.public
    assert A_KEY.public_text.startswith("MIGfMA0G")


def test_a_key_that_a_device_tells_with_neither_half_is_refused() -> None:
    with pytest.raises(InputError, match="key or publicKey"):
        keys.public_half(MobileKey())


@given(st.binary(max_size=700) | st.integers(0, len(DER) - 1).map(lambda at: DER[:at] + b"\x41" + DER[at + 1 :]))
def test_whatever_stands_for_a_key_is_read_or_refused_in_our_words(der: bytes) -> None:
    text = base64.b64encode(der).decode()
    for key in (MobileKey(key=Secret(text)), MobileKey(public_key=text), MobileKey(type=KeyType.ECC, key=Secret(text))):
        with contextlib.suppress(InputError):
            assert keys.public_half(key)

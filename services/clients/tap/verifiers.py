"""Verifiers that have been computed before, so that the next login need not: thousands of hash rounds are the dearest
part of a login (Tap protocol notes §7.2).

A verifier is as good as the password. It is kept in memory only, sealed under a key of this process, and found by a
keyed digest; nothing of it can be printed or pickled.
"""

import hmac
import os
from collections import OrderedDict
from threading import Lock
from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from services.clients.tap.scram import Challenge, Verifier

CAPACITY: Final = 20_000
"""Verifiers that are kept, the least used going first: a fleet, and some 5 MB."""

_NONCE: Final = 12
_KEY: Final = 32


class Verifiers:
    """A store of verifiers that all threads of a process may share."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._cipher = AESGCM(os.urandom(_KEY))
        self._naming = os.urandom(_KEY)
        self._lock = Lock()
        self._sealed: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sealed)

    def __reduce__(self) -> NoReturn:
        raise TypeError("verifiers stay in the memory of their process")

    def derive(self, password: SecretStr, challenge: Challenge) -> Verifier:
        """Give the verifier of a password for a user's salt and iterations, from memory where it has been there."""
        known = challenge.salt + challenge.iterations.to_bytes(4, "big")
        name = hmac.digest(self._naming, known + password.get_secret_value().encode(), "sha256")
        with self._lock:
            sealed = self._sealed.get(name)
            if sealed is not None:
                self._sealed.move_to_end(name)
        if sealed is not None:
            return Verifier.decode(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], name))
        text = password.get_secret_value()
        verifier = Verifier.make(text, salt=challenge.salt, iterations=challenge.iterations)
        self._keep(name, verifier)
        return verifier

    def _keep(self, name: bytes, verifier: Verifier) -> None:
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, verifier.encode(), name)
        with self._lock:
            self._sealed[name] = sealed
            while len(self._sealed) > self._capacity:
                self._sealed.popitem(last=False)

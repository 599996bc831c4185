"""TLS to a device whose certificate nobody signed: one fingerprint is trusted instead of a CA."""

import functools
import hashlib
import hmac
import socket
import ssl
from typing import Any, Final, NoReturn

_DEVICES: Final = 4096
"""Contexts that are kept; each has about 10 kB."""


class WrongCertificate(ssl.SSLCertVerificationError):
    """The server showed another certificate than the pinned one."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__("the certificate is not the pinned one")
        self.verify_message = f"expected the fingerprint {expected}, it showed {seen}"


class PinnedContext(ssl.SSLContext):
    """A client's context that ends every handshake with a look at the server's certificate.

    The fingerprint takes the place of a CA, of names and of dates: a factory certificate is self-signed, for no name,
    and often out of date. It is compared before the caller has the connection, so before a byte of a request leaves.
    """

    _pin: str

    @classmethod
    def to(cls, fingerprint: str) -> "PinnedContext":
        """Make a context for one fingerprint: SHA-256 of the certificate's DER, 64 lower-case hexadecimal digits."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context._pin = fingerprint
        return context

    def wrap_socket(self, sock: socket.socket, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Shake hands and compare.

        Raises:
            WrongCertificate: it is another certificate; the connection is closed.
        """
        line = super().wrap_socket(sock, *args, **{**options, "do_handshake_on_connect": True})
        try:
            seen = hashlib.sha256(line.getpeercert(binary_form=True) or b"").hexdigest()
            if not hmac.compare_digest(seen, self._pin):
                raise WrongCertificate(self._pin, seen)
        except (OSError, ValueError):
            line.close()
            raise
        return line

    def wrap_bio(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse the other way to shake hands, which would go past the comparison."""
        raise NotImplementedError("a pinned context wraps connected sockets only")


@functools.lru_cache(maxsize=_DEVICES)
def pinned_context(fingerprint: str) -> PinnedContext:
    """Give the process's context for one fingerprint."""
    return PinnedContext.to(fingerprint)

"""The notification that every system under test receives: a u-blox webhook call with a body of exactly 400 bytes."""

from typing import Final

BODY_BYTES: Final = 400
TEMPLATES: Final = {
    "properties": (
        b'{"ROTPublicUID":"%%016x","Timestamp":"2026-05-09T00:10:15","EventType":"DEVICE_PROPERTIES_CHANGE_EVENT",'
        b'"Payload":{"CurrentProperties":{"Authorizations":[{"Name":"LocalDPR","State":"ENABLED",'
        b'"SyncDate":"2026-02-12T06:22:14+00:00"}]},"Note":"%s"}}'
    ),
    "expiration": (
        b'{"ROTPublicUID":"%%016x","Timestamp":"2026-05-10T19:39Z","EventType":"DEVICE_CERTIFICATE_EXPIRATION_EVENT",'
        b'"Payload":{"CertificateAuthorityName":"example.com","CertificateSerialNumber":"73068c914de40ccaee84e03a66b4858",'
        b'"DaysToExpiration":60,"ExpirationDate":"2026-07-09T19:39Z","Note":"%s"}}'
    ),
}


def request_template(kind: str, *, port: int, token: str) -> bytes:
    """Build one request whose only open place is the device's number; the body has exactly 400 bytes."""
    spare = BODY_BYTES - len(TEMPLATES[kind] % b"" % 0)
    body = TEMPLATES[kind] % (b"x" * spare)
    head = (
        f"POST /webhooks/ublox HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    )
    return head.encode() + body

"""The notification that every system under test receives: a u-blox webhook call with a body of exactly 400 bytes."""

from typing import Final

BODY_BYTES: Final = 400

TEMPLATES: Final = {
    # leads to nothing, as the peers' handlers do: a rule of the shipped playbook looks at its text, and lets it be
    "error": (
        b'{"ROTPublicUID":"%%016x","EventType":"DEVICE_ERRORS_EVENT","Timestamp":"2026-05-10T19:39Z",'
        b'"Payload":{"Error":"The device has not acted on a command of the server","Note":"%s"}}'
    ),
    # leads to one operation on its device
    "bootstrap": (
        b'{"ROTPublicUID":"%%016x","Timestamp":"2026-05-07T11:23:32","EventType":"DEVICE_BOOTSTRAP_EVENT","Payload":{'
        b'"RotVersion":"1","SerialNumber":"235435","Version":"12","DeviceSerialNumber":"123234354",'
        b'"IMEI":"862618583984360","DeviceProfileUID":"QHlN732VgUWCdfNeXHkQR1","TypeNumber":"SARA-R410M-03B-00",'
        b'"IsBlacklisted":false,"Note":"%s"}}'
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

"""INVENTED: texts of refusals and successes. The document has one refusal text of each kind at most."""

from typing import Any, Final

from services.sandbox.ublox.devices import Action

DONE: Final[dict[str, Any]] = {"message": "Success"}
"""What a write answers; the document shows only its refusal."""

NO_SUCH_CALL: Final = "Not Found"
INVALID_SERIALS: Final = "Bad Request. Invalid SerialNumbers"
INVALID_DEVICE_SERIALS: Final = "Bad Request. Invalid DeviceSerialNumbers"
INVALID_TAGS: Final = "Bad Request. Invalid TagNames"
INVALID_PROFILE: Final = "Bad Request. Invalid DeviceProfileUID"
INVALID_PROFILES: Final = "Bad Request. Invalid DeviceProfileUIDs"
INVALID_CA: Final = "Bad Request. Invalid CAName"
INVALID_HEADER: Final = "Bad Request. Invalid EncryptedHeader"
INVALID_KEY_ID: Final = "Bad Request. Invalid KeyID"
INVALID_FILE: Final = "Bad Request. Invalid file"
CA_TAKEN: Final = "Bad Request. CAName already exists"
CA_IN_USE: Final = "Request aborted. This Root CA is set in current or desired properties of device(s)"
CA_LINKED: Final = "Request aborted. This Root CA is linked to device profile(s)"
TOO_MANY_CAS: Final = "Bad Request. Maximum number of Root CAs reached"
VALIDITY_TOO_LONG: Final = "Bad Request. DeviceCertificateValidity cannot be greater than CACertificateValidity"
TAG_TAKEN: Final = "Bad Request. TagName already exists"
NO_SUBSCRIPTION: Final = "Bad Request. Device Certificate Management subscription is not active"
NO_QUOTA: Final = "Bad Request. Quota exceeded for given ROTPublicUIDs"
UPDATE_UNDER_WAY: Final = "Bad Request. Device certificate update is in progress"
TOO_MANY: Final = "Too Many Requests"
UNAVAILABLE: Final = "Service Unavailable"
CONTINUOUS_SET: Final = "The continuous rotation has been set."
AUTHORITY_IS_OVER: Final = "Root CA has expired, device certificate cannot be provisioned"

CERTIFICATE_USES: Final = {Action.RENEW: "ZTPDeviceCertificateRenewal", Action.UPDATE: "ZTPDeviceCertificateUpdate"}
"""How the usage log calls what is billed of certificates; authorizations go by their own names."""

SYMMETRIC_KEY_USE: Final = "E2ESymmetricKey"
PROTECTION_USE: Final = "E2EUplinkProtection"

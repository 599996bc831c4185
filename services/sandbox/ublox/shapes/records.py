"""INVENTED: members of notifications, clones, suspicions, activities, usage, registrations and tags."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.sandbox.ublox.devices import Step
from services.sandbox.ublox.fleet import Notice
from services.sandbox.ublox.timestamps import with_z

Json = dict[str, Any]


def notification(notice: Notice) -> Json:
    """One item of ``Notifications`` of ``/notification/get``, with the payload that the webhook carried."""
    return {
        "ROTPublicUID": notice.uid,
        "NotificationType": notice.kind,
        "Timestamp": notice.document["Timestamp"],
        "Payload": notice.document["Payload"],
    }


def clone(uid: str, found_at: datetime) -> Json:
    """One item of ``ClonedEvents`` of ``/device/clone/get``."""
    return {"ROTPublicUID": uid, "Timestamp": with_z(found_at)}


def suspicious(uid: str) -> Json:
    """One item of ``SuspiciousDevices`` of ``/device/suspicious/get``, with one of the document's four reasons."""
    return {"ROTPublicUID": uid, "Reason": "DUPLICATED_DEV_SERIAL_NUM_SEALING"}


def activity(moment: datetime, step: Step) -> Json:
    """One item of ``Activities`` of ``/device/activity/get``."""
    result = "FAILURE" if step is Step.CERTIFICATE_IMPOSSIBLE else "SUCCESS"
    return {"Timestamp": with_z(moment), "Command": step.value, "Result": result}


def usage(counts: Mapping[str, int]) -> Json:
    """A value of the map of ``/device/usage/get``: how often what was used."""
    return dict(sorted(counts.items()))


def registrations(hooks: Sequence[tuple[str, str]]) -> list[Json]:
    """The bare array of ``/notification/webhook/get``; tokens are not given away."""
    return [{"NotificationURL": url, "NotificationType": event_type} for event_type, url in hooks]


def tag(name: str, created_at: datetime) -> Json:
    """One item of ``Tags`` of ``/tag/get``."""
    return {"TagName": name, "CreatedDate": with_z(created_at)}

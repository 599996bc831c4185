"""The forms in which the document's samples write a time; each place has its own."""

from datetime import UTC, datetime


def without_zone(moment: datetime) -> str:
    """``2020-05-07T11:23:32``: bootstrap and properties events, ExpirationDate of a root CA."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def in_minutes(moment: datetime) -> str:
    """``2020-05-10T19:39Z``: every other event, ExpirationDate of a device."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def with_offset(moment: datetime) -> str:
    """``2020-04-25T06:22:12+00:00``: ModifiedDate and SyncDate."""
    return without_zone(moment) + "+00:00"


def with_z(moment: datetime) -> str:
    """``2020-04-20T19:00:36Z``: CreatedDate and LastSeen."""
    return without_zone(moment) + "Z"

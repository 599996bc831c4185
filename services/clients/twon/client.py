"""One 2N device in our verbs. Source: 2N HTTP API manual, chapters 5.1 (system), 5.10 (log), 5.15.1 (mobile keys).

Command functions are asked with GET: firmware 2.50 refuses a POST without a body.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlencode

from schemas.errors import InputError, OurFault
from schemas.twon import (
    LONGEST_LOCATION,
    MOST_KEYS,
    LogEvent,
    MobileKey,
    MobileKeyConfig,
    SystemInfo,
    SystemStatus,
)
from services.clients.transport import Bounds
from services.clients.twon import keys as mobile_keys
from services.clients.twon.address import TwonAddress
from services.clients.twon.envelope import LOG_PULL
from services.clients.twon.session import Session

BOUNDS: Final = Bounds(connect=5.0, read=8.0, write=5.0, pool=15.0, whole=10.0, answer_bytes=1024 * 1024)
"""A device that is there answers within milliseconds."""

LONGEST_SUBSCRIPTION: Final = 3600
"""Seconds for which a device keeps a log subscription that nobody pulls from."""

LONGEST_PULL: Final = 30
"""Seconds that one pull may wait for events; all that time no other call to the device gets through."""

_CONFIG: Final = "/api/mobilekey/config"
_Told = TypeVar("_Told")


class TwonClient:
    """One session with one device: a connection that stays open, and one login. For one thread.

    Every verb raises one of the upstream errors of `schemas.errors`.

    Args:
        address: where the device is, and how to be let in.
        bounds: `pool` is how long to wait for another caller of the same device.
    """

    def __init__(self, address: TwonAddress, bounds: Bounds = BOUNDS) -> None:
        self._session = Session(address, bounds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._session.close()

    def system_info(self) -> SystemInfo:
        """Ask what the device is (``/api/system/info``)."""
        return self._get("/api/system/info", SystemInfo.read)

    def system_status(self) -> SystemStatus:
        """Ask for the device's clock (``/api/system/status``)."""
        return self._get("/api/system/status", SystemStatus.read)

    def mobilekey_config(self) -> MobileKeyConfig:
        """Read location and mobile keys (``/api/mobilekey/config``)."""
        return self._get(_CONFIG, MobileKeyConfig.read)

    def put_mobilekey_config(
        self,
        location: str | None = None,
        keys: Sequence[MobileKey] | None = None,
        *,
        standing: Collection[bytes] = (),
    ) -> None:
        """Write the location, the whole list of mobile keys, or both (``/api/mobilekey/config``).

        The device deletes every key that is not in the list. A success says nothing of a key that it did not like:
        read again and compare public halves.

        Args:
            location: None leaves it as it is.
            keys: the primary first, each with its private half; None leaves them as they are.
            standing: public halves of keys that the device shows already. A published key among them may stay, as
                phones may have it.

        Raises:
            OurFault: this is nothing that a device could take, or one of the manual's published keys anew.
        """
        if faults := [*_location_faults(location), *_key_faults(keys, standing), *_empty_fault(location, keys)]:
            text = f"{_CONFIG} would be wrong: {'; '.join(faults)}"
            raise OurFault(text, call=_CONFIG, sent=False)
        body: dict[str, Any] = {} if location is None else {"location": location}
        private = [key.key.get_secret_value() for key in keys or () if key.key is not None]
        if keys is not None:
            body["keys"] = [_written(key, text) for key, text in zip(keys, private, strict=True)]
        self._session.call("PUT", _CONFIG, body=body, conceal=tuple(private))

    def log_subscribe(self, events: Iterable[str] = (), *, include: str = "new", duration: int = 90) -> int:
        """Subscribe to the device's log and give the subscription's id (``/api/log/subscribe``).

        Args:
            events: their names, such as ``MobKeyEntered``; none means every event that the account may see.
            include: ``new``, ``all``, or seconds back such as ``-3600``, which no device is known to have taken.
            duration: seconds for which the device keeps a subscription that nobody pulls from, at most 3600.
        """
        path = "/api/log/subscribe"
        if not 0 < duration <= LONGEST_SUBSCRIPTION:
            text = f"{path}: expected a duration of 1 to {LONGEST_SUBSCRIPTION} s, not {duration}"
            raise OurFault(text, call=path, sent=False)
        wanted = {"include": include, "filter": ",".join(events), "duration": str(duration)}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return self._get(path, _subscription, query=query)

    def log_pull(self, subscription: int, timeout: int = 0) -> tuple[LogEvent, ...]:
        """Fetch the next events, at most 128 (``/api/log/pull``); none is an answer too.

        Args:
            subscription: its id, as `log_subscribe` gave it.
            timeout: seconds that the device waits for an event, at most 30.

        Raises:
            SubscriptionEnded: the device no longer knows the subscription.
        """
        if not 0 <= timeout <= LONGEST_PULL:
            text = f"{LOG_PULL}: expected a timeout of 0 to {LONGEST_PULL} s, not {timeout}"
            raise OurFault(text, call=LOG_PULL, sent=False)
        query = urlencode({"id": subscription, "timeout": timeout})
        return self._get(LOG_PULL, _events, query=query, patience=timeout)

    def log_unsubscribe(self, subscription: int) -> None:
        """End a subscription (``/api/log/unsubscribe``)."""
        self._session.call("GET", "/api/log/unsubscribe", query=urlencode({"id": subscription}))

    def _get(self, path: str, read: Callable[[object], _Told], *, query: str = "", patience: float = 0.0) -> _Told:
        result = self._session.call("GET", path, query=query, patience=patience)
        try:
            return read(result)
        except InputError as error:
            fault = OurFault(f"GET {path} answered what the manual does not know: {error}", call=path)
        raise fault


def _written(key: MobileKey, private: str) -> dict[str, Any]:
    told = {"type": key.type.value, "key": private}
    return told if key.ctime is None else {**told, "ctime": key.ctime}


def _location_faults(location: str | None) -> list[str]:
    if location is None or (0 < len(location) <= LONGEST_LOCATION and location.isprintable()):
        return []
    return [f"location: expected 1 to {LONGEST_LOCATION} printable characters, not {len(location)}"]


def _key_faults(keys: Sequence[MobileKey] | None, standing: Collection[bytes]) -> list[str]:
    if keys is None:
        return []
    if not 1 <= len(keys) <= MOST_KEYS:
        return [f"keys: expected 1 to {MOST_KEYS}, not {len(keys)}; the device deletes what the list leaves out"]
    faults, seen = [], set[bytes]()
    for number, key in enumerate(keys, start=1):
        if key.key is None:
            faults.append(f"key {number}: expected its private half")
            continue
        try:
            public = mobile_keys.parse(key.key, key.type).public
        except InputError as error:
            faults.append(f"key {number}: {error}")
            continue
        if mobile_keys.is_published(public) and public not in standing:
            faults.append(f"key {number}: is a sample key of the manual, whose private half everybody can read")
        if public in seen:
            faults.append(f"key {number}: is there twice")
        seen.add(public)
    return faults


def _empty_fault(location: str | None, keys: Sequence[MobileKey] | None) -> list[str]:
    return ["expected a location, keys or both"] if location is None and keys is None else []


def _subscription(result: object) -> int:
    number = result.get("id") if isinstance(result, dict) else None
    if not isinstance(number, int):
        raise InputError(["expected the id of the subscription"])
    return number


def _events(result: object) -> tuple[LogEvent, ...]:
    events = result.get("events") if isinstance(result, dict) else None
    if not isinstance(events, list):
        raise InputError(["expected a list of events"])
    return tuple(map(LogEvent.read, events))

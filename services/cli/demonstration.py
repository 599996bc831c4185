"""What `keyturn up` shows when no upstream is configured: a device bootstraps, a certificate nears its end."""

import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from schemas.events import EventType
from services.cli.timeline import Timeline
from services.sandbox.ublox.twin import API_KEY, API_SECRET

_EVENTS: Final = 2
_DEFAULTS: Final = {
    "KEYTURN_RENEWAL_LOOK_EVERY": "2",  # a simulated device has its heartbeat every two seconds
    "KEYTURN_RENEWAL_DEADLINE": "60",
}


class Demonstration:
    """Registers our receiver at the twin, makes two devices and lets their events happen."""

    def __init__(self, sandbox_url: str, *, hook: str, token: str) -> None:
        self._client = httpx.Client(base_url=sandbox_url, timeout=10, trust_env=False)
        self._hook = hook
        self._token = token
        self._began = time.monotonic()

    @staticmethod
    def environ_for(sandbox_url: str, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables that point Keyturn at the twin; what a person has set stays."""
        upstream = {
            "KEYTURN_UBLOX_BASE_URL": f"{sandbox_url}/v1",
            "KEYTURN_UBLOX_API_KEY": API_KEY,
            "KEYTURN_UBLOX_API_SECRET": API_SECRET,
        }
        return upstream | {name: value for name, value in _DEFAULTS.items() if name not in environ}

    def devices(self) -> tuple[str, str]:
        """Make two devices: one that will bootstrap, one whose certificate nears its end."""
        fresh, aged = self._post("/_twin/devices", {"count": 2, "certificate_days_left": 30})["ROTPublicUIDs"]
        return fresh, aged

    def fire(self, fresh: str, aged: str) -> None:
        """Subscribe to every event type, then let the two events happen."""
        answer = self._post("/v1/authenticate", {"APIKey": API_KEY, "APISecret": API_SECRET})
        bearer = f"Bearer {answer['AuthToken']}"
        for event_type in EventType:
            registration = {
                "NotificationURL": self._hook,
                "AuthorizationToken": self._token,
                "NotificationType": event_type,
            }
            self._post("/v1/notification/webhook/create", registration, authorization=bearer)
        self._post("/_twin/fire", {"type": EventType.BOOTSTRAP, "devices": [fresh]})
        self._post("/_twin/fire", {"type": EventType.CERTIFICATE_EXPIRATION, "devices": [aged]})

    def has_ended(self, timeline: Timeline) -> bool:
        """Whether every job of both events has come to an end."""
        return timeline.events >= _EVENTS and len(timeline.ended) >= _EVENTS and timeline.at_rest

    def verified(self, timeline: Timeline) -> bool:
        """Whether each of them was verified."""
        return set(timeline.ended.values()) == {"succeeded"}

    def verdict(self, timeline: Timeline) -> str:
        """One sentence of how it went."""
        seconds, jobs = time.monotonic() - self._began, len(timeline.ended)
        if self.verified(timeline):
            return f"[bold green]Both events verified[/bold green], {jobs} jobs, {seconds:.1f} s after they were fired."
        return "[bold red]Not verified[/bold red]: a job needs a person; its reason stands above."

    def _post(self, path: str, body: Mapping[str, object], *, authorization: str | None = None) -> Any:
        headers = {"authorization": authorization} if authorization else {}
        answer = self._client.post(path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

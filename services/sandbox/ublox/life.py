"""The life of the devices: what a heartbeat brings about, how a device bootstraps, and which of them are silent.

Source: ``/device/whitelist/add`` (ACTIVATED and ALLOCATED), ``/device/usage/get`` (what is billed),
``/ztp/rootca/update`` (automatic renewal), ``/notification/webhook/create`` (what is told).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from services.sandbox.ublox import notices, shapes
from services.sandbox.ublox.authorities import Authority
from services.sandbox.ublox.certificates import Certificate
from services.sandbox.ublox.devices import Action, CertificateWish, Device, State, Step
from services.sandbox.ublox.dials import Dials
from services.sandbox.ublox.registers import Profile
from services.sandbox.ublox.rhythm import Silence

if TYPE_CHECKING:
    from services.sandbox.ublox.twin import Twin


class Life:
    """What happens to the devices of a twin."""

    def __init__(self, twin: "Twin") -> None:
        self._twin = twin
        self._silent_since: dict[str, datetime] = {}
        self.cloned_since: dict[str, datetime] = {}
        """When a clone of a device was found; the dial names the devices."""

    def dialled(self, dials: Dials) -> None:
        """Follow the dials that name devices."""
        now = self._twin.clock()
        self._silent_since = {uid: self._silent_since.get(uid, now) for uid in dials.silent_devices}
        self.cloned_since = {uid: self.cloned_since.get(uid, now) for uid in dials.cloned_devices}
        silences: dict[str, list[Silence]] = defaultdict(list)
        for silence in dials.silences:
            silences[silence.uid].append(Silence(start=silence.start, end=silence.end))
        for uid, since in self._silent_since.items():
            silences[uid].append(Silence(start=since))
        self._twin.heartbeats.hush(self._twin.fleet.devices, dict(silences))

    def lead(self, device: Device) -> datetime | None:
        """From when on a device renews its certificate of itself.

        A certificate that ends with its CA is left alone: a new one would end then too.
        """
        dials, certificate = self._twin.dials, device.certificate
        if certificate is None or not (dials.automatic_renewal and dials.subscription_active):
            return None
        authority = certificate.authority
        if authority.renew_before_days is None or certificate.expires_at >= authority.expires_at:
            return None
        return certificate.expires_at - timedelta(days=authority.renew_before_days)

    def beat(self, device: Device) -> None:
        """Let a device do what waits for it, bill it and tell of it."""
        now, before = self._twin.clock(), device.current.authorizations
        lead = self.lead(device) if device.wish is None else None
        if lead is not None and lead <= now and device.certificate:
            authority = device.certificate.authority
            days = authority.device_validity_days
            wish = CertificateWish(action=Action.RENEW, authority=authority, validity_days=days, automatic=True)
            device.wish_certificate(wish, now)
        wished = device.wish
        steps = device.beat(now, self._twin.serials)
        if Step.PROPERTIES in steps:
            for name, enabled in device.current.authorizations.items():
                if enabled and not before.get(name):
                    self._twin.bill(device, name)
            self._twin.announce(notices.properties_change(device, now))
        if wished and device.wish is None:
            self._certificate_done(device, wished, steps)

    def _certificate_done(self, device: Device, wish: CertificateWish, steps: Sequence[Step]) -> None:
        now = self._twin.clock()
        self._twin.expiries.watch(device)
        if Step.CERTIFICATE_IMPOSSIBLE in steps:
            self._twin.announce(notices.error(device, now, shapes.AUTHORITY_IS_OVER))
        elif device.certificate and wish.action in {Action.RENEW, Action.UPDATE}:
            self._twin.tally.action("updates_done" if wish.action is Action.UPDATE else "renewals_done", [device.uid])
            if wish.automatic:
                self._twin.tally.action("automatic_renewals", [device.uid])
            self._twin.bill(device, shapes.CERTIFICATE_USES[wish.action])
            self._twin.announce(notices.renewal(device, device.certificate, now))
        else:
            self._twin.announce(notices.zerotouch_change(device, now))

    def bootstrap(self, device: Device) -> None:
        """Let a device register: it gets what its profile says, at once, unless it is not whitelisted."""
        fleet, now = self._twin.fleet, self._twin.clock()
        whitelisted = not fleet.blacklisted(device)
        device.state = State.ACTIVATED if whitelisted else State.ALLOCATED
        profile = fleet.profiles.get(device.profile_uid or "")
        granted = profile.authorizations if whitelisted and profile and profile.authorizations else {}
        heartbeat = profile.heartbeat if whitelisted and profile and profile.heartbeat else device.desired.heartbeat
        device.current = replace(device.current, authorizations={}, changed_at=now)
        device.desired = replace(device.desired, authorizations=granted, heartbeat=heartbeat, changed_at=now)
        if profile and device.certificate is None and granted.get("ZTPV1"):
            self._wish_first_certificate(device, profile)
        document = notices.bootstrap(device, now, blacklisted=not whitelisted)
        self._twin.announce(document)
        self._twin.log(device.uid, notices.STATE_CHANGE, document | {"Payload": shapes.state_change(device)})
        self._twin.heartbeats.plan(device)
        self._twin.beat(device)

    def _wish_first_certificate(self, device: Device, profile: Profile) -> None:
        authority = self._twin.fleet.authorities.get(profile.ca_name or "")
        if authority:
            days = authority.device_validity_days
            wish = CertificateWish(action=Action.INSTALL, authority=authority, validity_days=days)
            device.wish_certificate(wish, self._twin.clock())

    def certificate_ends(self, device: Device, certificate: Certificate, days: int) -> None:
        """So many days before the end of a certificate that the device still has."""
        if days:
            self._twin.announce(notices.expiration(device, certificate, self._twin.clock()))
        else:
            self._twin.tally.action("expired", [device.uid])

    def authority_ends(self, authority: Authority) -> None:
        """Some days before the end of a root CA, unless it was deleted."""
        if self._twin.fleet.authorities.get(authority.name) is authority:
            holders = len(self._twin.fleet.signed_by(authority))
            self._twin.announce(notices.root_expiration(authority, self._twin.clock(), holders))

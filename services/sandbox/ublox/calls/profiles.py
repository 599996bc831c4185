"""Device Profile APIs: look at profiles, and set what their new devices get at the bootstrap."""

from services.sandbox.ublox import shapes
from services.sandbox.ublox.bodies import Body, Json, Paged, Refusal, Request, Texts, page, read
from services.sandbox.ublox.registers import Profile
from services.sandbox.ublox.twin import Twin


class ProfilesWish(Paged):
    """``/deviceprofile/get``."""

    TagNames: Texts | None = None
    ProfileName: str | None = None


class OneProfile(Body):
    """``/deviceprofile/bootstrapprovisioning/get`` and ``delete``."""

    DeviceProfileUID: str


class BootstrapWish(OneProfile):
    """``/deviceprofile/bootstrapprovisioning/set``."""

    Provisioning: dict[str, object]


def profiles(twin: Twin, body: Request) -> Json:
    """``/deviceprofile/get``: by tags, by the exact name, or all of them; both ways at once are an error."""
    wish = read(ProfilesWish, body)
    if wish.TagNames is not None and wish.ProfileName is not None:
        raise Refusal
    found = list(twin.fleet.profiles.values())
    if wish.TagNames is not None:
        tags = twin.fleet.tags.keys(wish.TagNames)
        if tags is None:
            raise Refusal(400, shapes.INVALID_TAGS)
        found = [profile for profile in found if tags & {tag.lower() for tag in profile.tags}]
    if wish.ProfileName is not None:
        found = [profile for profile in found if profile.name == wish.ProfileName]
    return page("DeviceProfiles", [shapes.profile(profile) for profile in found], wish.PageNumber)


def set_bootstrap(twin: Twin, body: Request) -> Json:
    """``/deviceprofile/bootstrapprovisioning/set``: devices that have bootstrapped are untouched."""
    wish = read(BootstrapWish, body)
    profile = _profile(twin, wish)
    try:
        authorizations, heartbeat = shapes.read_provisioning(wish.Provisioning)
    except ValueError:
        raise Refusal from None
    profile.authorizations = {**(profile.authorizations or {}), **authorizations}
    profile.heartbeat = profile.heartbeat if heartbeat is None else heartbeat
    profile.changed_at = twin.clock()
    return shapes.DONE


def get_bootstrap(twin: Twin, body: Request) -> Json:
    """``/deviceprofile/bootstrapprovisioning/get``."""
    profile = _profile(twin, read(OneProfile, body))
    return {"DeviceProfileUID": profile.uid, "DesiredProperties": shapes.bootstrap_provisioning(profile)}


def delete_bootstrap(twin: Twin, body: Request) -> Json:
    """``/deviceprofile/bootstrapprovisioning/delete``: as if it had never been set."""
    profile = _profile(twin, read(OneProfile, body))
    profile.authorizations = profile.heartbeat = profile.changed_at = None
    return shapes.DONE


def _profile(twin: Twin, wish: OneProfile) -> Profile:
    profile = twin.fleet.profiles.get(wish.DeviceProfileUID)
    if profile is None:
        raise Refusal(400, shapes.INVALID_PROFILE)
    return profile

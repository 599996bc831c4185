"""Requests about devices: their list, the whitelist, what they are provisioned with."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.ublox.provisioning import Provisioning
from schemas.ublox.requests.base import UbloxRequest
from schemas.ublox.words import DeviceFilter, RotPublicUid, TagNames, Uids, WhitelistAction

Imei = Annotated[str, Field(pattern=r"^[0-9]{15}$")]


class DeviceListGet(UbloxRequest):
    """One page of the account's devices; without a filter all of them, we take it."""

    path: ClassVar[str] = "/device/list/get"
    listed: ClassVar[str] = "ROTPublicUIDs"

    filter: DeviceFilter | None = Field(default=None, alias="Filter")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class WhitelistAdd(UbloxRequest):
    """Devices to be put on the whitelist or, in spite of the path, taken off it.

    The document contradicts itself: its schema requires ROTPublicUIDs, its prose takes "ROTPublicUIDs and/or IMEIs".
    So the member is always sent, and may be empty when IMEIs are given. The action has no documented default, so it is
    always sent as well.
    """

    path: ClassVar[str] = "/device/whitelist/add"

    rot_public_uids: tuple[RotPublicUid, ...] = Field(alias="ROTPublicUIDs")
    imeis: tuple[Imei, ...] | None = Field(default=None, alias="IMEIs", min_length=1)
    action: WhitelistAction = Field(default=WhitelistAction.ADD, alias="Action")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.rot_public_uids and not self.imeis:
            raise ValueError("at least one of rot_public_uids, imeis is needed")
        return self


class WhitelistRow(BaseModel):
    """A row of the CSV form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uid: RotPublicUid
    action: WhitelistAction = WhitelistAction.ADD


class WhitelistUpload(UbloxRequest):
    """The CSV form of ``/device/whitelist/add``; the document knows no type of id in it but ROTPublicUID.

    Its sample id has 15 digits, which is no ROTPublicUID; 16 are sent.
    """

    path: ClassVar[str] = WhitelistAdd.path
    content_type: ClassVar[str] = "application/octet-stream"

    rows: tuple[WhitelistRow, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_action_each(self) -> Self:
        actions: dict[str, WhitelistAction] = {}
        for row in self.rows:
            if actions.setdefault(row.uid, row.action) is not row.action:
                raise ValueError(f"{row.uid} is to be added and deleted")
        return self

    def written(self) -> bytes:
        """Give the file: a header row, and a row for each device."""
        rows = [f"{row.uid},ROTPublicUID,{row.action.value}" for row in self.rows]
        return "".join(f"{row}\r\n" for row in ("Id,Type,Action", *rows)).encode()


class WhitelistGet(UbloxRequest):
    """One page of the whitelist."""

    path: ClassVar[str] = "/device/whitelist/get"
    listed: ClassVar[str] = "DeviceWhitelist"

    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class ProvisioningSet(UbloxRequest):
    """What devices get at their next security heartbeat; what is applied of it is billed."""

    path: ClassVar[str] = "/device/provisioning/set"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names")
    billed: ClassVar[bool] = True

    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")
    provisioning: Provisioning = Field(alias="Provisioning")

    def body(self) -> dict[str, Any]:
        """As `UbloxRequest.body`."""
        return {**super().body(), "Provisioning": self.provisioning.written()}


class ProvisioningGet(UbloxRequest):
    """What devices are to get; a bare array, without pages."""

    path: ClassVar[str] = "/device/provisioning/get"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names")
    listed: ClassVar[str] = "Provisioning"

    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")


class ProvisioningDelete(UbloxRequest):
    """Nothing more for devices that have not called in yet; their heartbeat goes back to a default that is not told."""

    path: ClassVar[str] = "/device/provisioning/delete"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names")

    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")

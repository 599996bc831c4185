"""The client's table of endpoints, held against what the document says: 47 of 47.

The fixture holds the document's facts, endpoint by endpoint: fields, limits, rules. Where the document contradicts
itself or says nothing, the client decides; each of its decisions stands here, and nothing else may differ.
"""

import json
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from infra.settings.model import GetEndpoint
from schemas.ublox import Endpoint, endpoints
from schemas.ublox.endpoints import Field

DOCUMENT: Final[list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "ublox-document.json").read_text()
)["endpoints"]

OTHERWISE: Final = {
    ("/device/whitelist/add", "ROTPublicUIDs", "minItems"): "may be empty where IMEIs are given, yet is always sent",
    ("/e2e/key/rotate", "Days", "default"): "left to the service, which takes 7",
    ("/e2e/uplink/symmetrickey/get", "KeyLength", "default"): "the same, and always sent",
}
"""Documented limits that the client has not, or has in another way."""

STRICTER: Final = {
    "minimum": {"PageNumber"},
    "default": {"PageNumber", "Action"},
    "minItems": {"Options", "CANames", "TagNames", "DeviceProfileUIDs"},
    "maxLength": {"CAName", "NotificationURL", "TagName"},
    "items.maxLength": {"TagNames", "CANames"},
}
"""Limits that the document does not state at each of these fields: those of their like, and what makes no sense."""

TYPES: Final = {"number": "integer", "array<string>": "array"}


def documented(path: str) -> dict[str, Any]:
    return next(told for told in DOCUMENT if told["path"] == path)


def ours(path: str) -> Endpoint:
    return next(endpoint for endpoint in endpoints() if endpoint.path == path)


def test_the_table_has_the_47_endpoints_in_the_documents_order() -> None:
    paths = [endpoint.path for endpoint in endpoints()]
    assert paths == [told["path"] for told in DOCUMENT]
    assert len(set(paths)) == 47
    print(f"{len(paths)} of 47 endpoints")


PATHS: Final = [told["path"] for told in DOCUMENT]


@pytest.mark.parametrize("path", PATHS)
def test_an_endpoint_has_the_documented_fields(path: str) -> None:
    fields = documented(path)["fields"]
    told = {field["name"]: (TYPES.get(field["type"], field["type"]), field["required"]) for field in fields}
    assert {field.name: (field.type, field.required) for field in ours(path).fields} == told
    assert {field.items for field in ours(path).fields} <= {None, "string"}


@pytest.mark.parametrize("path", PATHS)
def test_an_endpoint_has_the_documented_limits_and_no_others_but_those_that_are_named(path: str) -> None:
    told = {field["name"]: field["limits"] for field in documented(path)["fields"]}
    for field in ours(path).fields:
        for word, value in told[field.name].items():
            assert field.limits.get(word) == value or (path, field.name, word) in OTHERWISE, (field.name, word)
        for word in field.limits.keys() - told[field.name].keys():
            assert field.name in STRICTER[word], (field.name, word)


@pytest.mark.parametrize("path", PATHS)
def test_an_endpoint_has_the_documented_marks(path: str) -> None:
    told, endpoint = documented(path), ours(path)
    assert endpoint.paged is told["paged"]
    assert endpoint.guarded is told["guarded"]
    assert endpoint.subscribed is told["subscribed"]
    assert endpoint.billed is told["billed"]
    oldest = [field["maxAgeDays"] for field in told["fields"] if "maxAgeDays" in field]
    assert [endpoint.reaches_back] == (oldest or [None])
    if told["listed"]:
        assert endpoint.request.listed == told["listed"]


@pytest.mark.parametrize("path", PATHS)
def test_an_endpoint_has_the_documented_rules_between_fields(path: str) -> None:
    endpoint = ours(path)
    rules = {rule["kind"]: set(rule["fields"]) for rule in documented(path)["rules"]}
    # notification/get: whether none or both may be given is not told; tag/remove: its wording is reversed; one is given
    alone = rules.get("exactly_one_of") or rules.get("at_least_one_of") or set()
    if path == "/tag/remove":
        alone = rules["contradiction"]
    assert set(endpoint.one_of) == alone
    assert set(endpoint.at_most_one_of) == rules.get("mutually_exclusive", set())


@pytest.mark.parametrize("path", PATHS)
def test_what_is_secret_in_the_document_is_a_secret_of_the_request(path: str) -> None:
    request = ours(path).request
    sensitive = {field["name"] for field in documented(path)["fields"] if field.get("sensitive")}
    members = {field.alias: field.annotation for field in request.model_fields.values()}
    assert all("Secret" in repr(members[name]) for name in sensitive)


def test_what_may_be_asked_by_get_has_no_body() -> None:
    assert set(get_args(GetEndpoint)) == {endpoint.path for endpoint in endpoints() if not endpoint.fields}


def test_a_field_says_its_type_and_its_items() -> None:
    options = next(field for field in ours("/device/info/get").fields if field.name == "Options")
    limits = {"minItems": 1, "items.enum": ["CORE", "PROVISIONING", "ZTP"]}
    assert options == Field(name="Options", type="array", required=False, items="string", limits=limits)

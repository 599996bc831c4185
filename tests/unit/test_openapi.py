import json
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from services.web.admin.openapi import document, text
from services.web.admin.routes import ROUTES

COMMITTED = Path(__file__).resolve().parents[2] / "infra" / "deploy" / "openapi.json"


def test_the_document_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(json.loads(text(ROUTES))).validate()


def test_the_committed_document_is_the_one_that_the_code_makes() -> None:
    made = "run: python -m services.web.admin.openapi > infra/deploy/openapi.json"
    assert COMMITTED.read_bytes() == text(ROUTES), made


def test_every_route_stands_in_the_document_with_its_role_and_its_answers() -> None:
    paths = document(ROUTES)["paths"]
    assert sum(map(len, paths.values())) == len(ROUTES)
    for route in ROUTES:
        operation = paths[f"/admin/v1{route.path}"][route.method.lower()]
        assert operation["x-role"] == route.role
        assert {str(route.status), "401", "403", "422", "503"} <= operation["responses"].keys()
        assert "404" in operation["responses"] or route.place is None


def test_no_two_routes_have_one_name_or_one_address() -> None:
    operations = [operation for path in document(ROUTES)["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)

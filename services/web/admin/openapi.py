"""The OpenAPI 3.1 document, made from the table of routes and from the very models that read and write.

``python -m services.web.admin.openapi > infra/deploy/openapi.json`` writes the committed copy anew.
"""

import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from schemas.admin import Problem
from services.web.admin.contract import Route
from services.web.admin.problems import MEDIA_TYPE

_TEMPLATE: Final = "#/components/schemas/{model}"

_ALWAYS: Final[Mapping[int, str]] = {
    401: "No key, or one that opens nothing.",
    403: "The key's role may not do this.",
    422: "The request has faults; every one is listed.",
    429: "Too many wrong keys from this address; Retry-After says when to try again.",
    500: "Keyturn failed.",
    503: "The ledger cannot be used now; nothing was changed.",
}
_WITH_BODY: Final[Mapping[int, str]] = {
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body must be JSON.",
}
_WITH_MATCH: Final[Mapping[int, str]] = {
    412: "It was changed since the caller has seen it.",
    428: "If-Match is missing.",
}

Json = dict[str, Any]


def document(routes: Sequence[Route]) -> Json:
    """Describe the whole API."""
    schemas = _Schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(f"/admin/v1{route.path}", {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Keyturn admin API",
            "version": "1.0.0",
            "summary": "See and steer events, jobs, schedules, rules and keys.",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in routes if route.tag)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, `kt_<id>_<secret>`."}
            },
            "schemas": schemas.definitions,
        },
    }


def text(routes: Sequence[Route]) -> bytes:
    """The document as it is committed."""
    return orjson.dumps(document(routes), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


_DESCRIPTION: Final = """\
Every request carries `Authorization: Bearer kt_…`. Each operation states the least role it needs (`x-role`).
Every error is a problem (RFC 9457) with the id of the request, which also stands in the log.
Where `Idempotency-Key` is taken, the same key with the same request gets the first answer again for a day,
and with another request 422. Lists go on with the `next` of the page before as `cursor`."""


class _Schemas:
    """The JSON schemas of every model: as it is read for requests, as it is written for answers."""

    def __init__(self, routes: Sequence[Route]) -> None:
        read = {model for route in routes for model in (route.place, route.query, route.request) if model}
        sent: set[type[BaseModel]] = {Problem, *(route.response for route in routes if route.response)}
        sent |= {model for route in routes for model in route.others.values()}
        inputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in read]
        outputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in sent]
        together = sorted([*inputs, *outputs], key=lambda pair: (pair[0].__name__, pair[1]))
        self._refs, whole = models_json_schema(together, ref_template=_TEMPLATE)
        self.definitions: Json = whole.get("$defs", {})

    def read(self, model: type[BaseModel]) -> Json:
        return self._refs[(model, "validation")]

    def sent(self, model: type[BaseModel]) -> Json:
        return self._refs[(model, "serialization")]

    def fields(self, model: type[BaseModel]) -> Json:
        name = self.read(model)["$ref"].rsplit("/", 1)[1]
        found: Json = self.definitions[name]
        return found


def _operation(route: Route, schemas: _Schemas) -> Json:
    operation: Json = {
        "operationId": _name(route),
        "summary": route.summary,
        "x-role": route.role.value,
        "parameters": _parameters(route, schemas),
        "responses": _responses(route, schemas),
    }
    if route.tag:
        operation["tags"] = [route.tag]
    if route.description:
        operation["description"] = route.description
    if route.request is not None:
        needed = bool(schemas.fields(route.request).get("required"))
        operation["requestBody"] = {
            "required": needed,
            "content": {
                "application/json": {"schema": schemas.read(route.request)},
                **{media_type: {"schema": {"type": "string"}} for media_type in route.texts},
            },
        }
    return operation


def _name(route: Route) -> str:
    """`GET /jobs/{id}` is `get_jobs_id`."""
    words = route.path.replace("{", "").replace("}", "").replace(".", "_").replace("-", "_").strip("/").split("/")
    return "_".join([route.method.lower(), *words])


def _parameters(route: Route, schemas: _Schemas) -> list[Json]:
    found = _fields(route.place, "path", schemas) + _fields(route.query, "query", schemas)
    if route.once:
        found.append(_header("Idempotency-Key", needed=False, pattern="^[!-~]{1,200}$"))
    if route.matched:
        found.append(_header("If-Match", needed=not route.fresh, pattern=None))
    if route.fresh:
        found.append(_header("If-None-Match", needed=False, pattern=r"^\*$"))
    return found


def _header(name: str, *, needed: bool, pattern: str | None) -> Json:
    schema = {"type": "string"} | ({"pattern": pattern} if pattern else {})
    return {"name": name, "in": "header", "required": needed, "schema": schema}


def _fields(model: type[BaseModel] | None, place: str, schemas: _Schemas) -> list[Json]:
    if model is None:
        return []
    known = schemas.fields(model)
    needed = set(known.get("required", ()))
    return [
        {"name": name, "in": place, "required": name in needed, "schema": _without_null(schema)}
        for name, schema in known.get("properties", {}).items()
    ]


def _without_null(schema: Json) -> Json:
    """An address cannot say null: what may be null may be left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"} or value is not None}
    rest.pop("anyOf")
    return {**rest, **kinds[0]}


def _responses(route: Route, schemas: _Schemas) -> Json:
    good: Json = {"description": HTTPStatus(route.status).phrase}
    if route.response is not None:
        good["content"] = {route.media_type: {"schema": schemas.sent(route.response)}}
    elif route.media_type != "application/json":
        good["content"] = {route.media_type: {"schema": {"type": "string"}}}
    problems = {**_ALWAYS, **route.problems}
    problems |= _WITH_BODY if route.request else {413: _WITH_BODY[413], 408: _WITH_BODY[408]}
    problems |= _WITH_MATCH if route.matched else {}
    if route.place is not None:
        problems.setdefault(404, "There is no such thing.")
    content = {MEDIA_TYPE: {"schema": schemas.sent(Problem)}}
    told = {str(status): {"description": problems[status], "content": content} for status in sorted(problems)}
    others = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": schemas.sent(model)}},
        }
        for status, model in route.others.items()
    }
    return {str(route.status): good, **others, **told}


def main() -> None:
    """Write the document to standard output."""
    from services.web.admin.routes import ROUTES  # noqa: PLC0415 - the table knows this module, which serves it

    sys.stdout.buffer.write(text(ROUTES))


if __name__ == "__main__":
    main()

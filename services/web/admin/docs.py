"""The API as a page to read: made here from the OpenAPI document; no script, and nothing from elsewhere."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any, Final

from starlette.responses import Response

Json = Mapping[str, Any]

_STYLE: Final = """\
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:17rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;box-sizing:border-box}
nav a{display:block;text-decoration:none;color:inherit;font-size:13px;overflow-wrap:anywhere}
nav a:hover{text-decoration:underline}nav h2{font-size:13px;margin:1rem 0 .2rem}
main{padding:1rem 2rem;max-width:70rem}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}details:target{outline:2px solid #48f}
code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:var(--soft);padding:.6rem;overflow:auto;border-radius:4px}
b.verb{display:inline-block;min-width:4.5em;font-family:ui-monospace,monospace}
i.role{float:right;font-style:normal;font-size:12px;border:1px solid var(--line);border-radius:9px;padding:0 .6em}
table{border-collapse:collapse;width:100%;margin:.4rem 0}
td,th{border-bottom:1px solid var(--line);text-align:left;padding:.25rem .5rem;vertical-align:top}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto}}
"""

_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing is loaded and nothing runs; the one style is the page's own."""

_VERBS: Final = ("get", "put", "post", "patch", "delete")


@cache
def page(document: bytes) -> str:
    """Write the page of an OpenAPI document."""
    api: Json = json.loads(document)
    operations = [(verb, path, item[verb]) for path, item in api["paths"].items() for verb in _VERBS if verb in item]
    tags = [tag["name"] for tag in api["tags"]]
    by_tag = {tag: [one for one in operations if tag in one[2].get("tags", ())] for tag in tags}
    schemas: Json = api["components"]["schemas"]
    info = api["info"]
    body = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{_words(info['description'])}</p>",
        "<p>For machines the same is <code>/admin/v1/openapi.json</code>.</p>",
        *(_section(tag, found) for tag, found in by_tag.items()),
        '<h2 id="schemas">Shapes</h2>',
        *(_schema(name, schema) for name, schema in sorted(schemas.items())),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{_nav(by_tag)}<main>{''.join(body)}</main></body></html>\n"
    )


def answer(document: bytes) -> Response:
    """Give the page with its policy."""
    headers = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
    return Response(page(document), headers=headers, media_type="text/html")


def _nav(by_tag: Mapping[str, Sequence[tuple[str, str, Json]]]) -> str:
    parts = []
    for tag, found in by_tag.items():
        links = (
            f'<a href="#{escape(one["operationId"])}">{verb.upper()} {escape(path.removeprefix("/admin/v1"))}</a>'
            for verb, path, one in found
        )
        parts.append(f"<h2>{escape(tag)}</h2>{''.join(links)}")
    return f'<nav>{"".join(parts)}<h2><a href="#schemas">Shapes</a></h2></nav>'


def _section(tag: str, found: Iterable[tuple[str, str, Json]]) -> str:
    return f"<h2>{escape(tag)}</h2>" + "".join(_operation(*one) for one in found)


def _operation(verb: str, path: str, one: Json) -> str:
    inside = [f"<p>{_words(one['description'])}</p>"] if "description" in one else []
    if one["parameters"]:
        rows = ((p["name"], p["in"], p["required"], p["schema"]) for p in one["parameters"])
        cells = (
            f"<tr><td><code>{escape(name)}</code><td>{place}{', needed' if needed else ''}<td>{_type(schema)}"
            for name, place, needed, schema in rows
        )
        inside.append(f"<table><tr><th>name<th>where<th>what{''.join(cells)}</table>")
    if "requestBody" in one:
        inside.append(f"<p>Body: {_content(one['requestBody'])}</p>")
    answers = (
        f"<tr><td><code>{status}</code><td>{escape(told['description'])}<td>{_content(told)}"
        for status, told in one["responses"].items()
    )
    inside.append(f"<table><tr><th>answer<th>when<th>what{''.join(answers)}</table>")
    return (
        f'<details id="{escape(one["operationId"])}"><summary><i class="role">{escape(one["x-role"])}</i>'
        f'<b class="verb">{verb.upper()}</b> <code>{escape(path)}</code> {escape(one["summary"])}</summary>'
        f"{''.join(inside)}</details>"
    )


def _content(told: Json) -> str:
    return ", ".join(
        f"<code>{escape(media)}</code> {_type(found['schema'])}" for media, found in told.get("content", {}).items()
    )


def _schema(name: str, schema: Json) -> str:
    needed = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code><td>{'needed' if field in needed else ''}<td>{_type(inner)}"
        for field, inner in schema.get("properties", {}).items()
    )
    fields = f"<table><tr><th>field<th><th>what{rows}</table>" if rows else f"<p>{_type(schema)}</p>"
    told = f"<p>{_words(schema['description'])}</p>" if "description" in schema else ""
    whole = f"<details><summary>as JSON Schema</summary><pre>{escape(json.dumps(schema, indent=2))}</pre></details>"
    return f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{told}{fields}{whole}</details>'


def _type(schema: Json) -> str:
    """A schema in one line: what it is, its bounds, and what it means."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        what = f'<a href="#{escape(name)}">{escape(name)}</a>'
    elif choices := schema.get("anyOf") or schema.get("oneOf"):
        what = " or ".join(map(_type, choices))
    elif "enum" in schema or "const" in schema:
        what = " | ".join(
            f"<code>{escape(json.dumps(one))}</code>" for one in schema.get("enum", [schema.get("const")])
        )
    elif schema.get("type") == "array" and "items" in schema:
        what = f"list of {_type(schema['items'])}"
    else:
        what = escape(str(schema.get("format") or schema.get("type") or "anything"))
    bounds = [
        f"{escape(key)} <code>{escape(json.dumps(schema[key]))}</code>"
        for key in ("minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern", "default")
        if schema.get(key) is not None
    ]
    more = f" ({', '.join(bounds)})" if bounds else ""
    told = f" — {_words(schema['description'])}" if "description" in schema and "properties" not in schema else ""
    return f"{what}{more}{told}"


def _words(text: str) -> str:
    """Text as paragraphs; what stands between backticks is code."""
    parts = escape(text).split("`")
    marked = "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
    return marked.replace("\n\n", "<br><br>")

"""The part of JSON Schema that answers are held to here: as much as servers enforce."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,), "integer": (int, float), "number": (int, float), "boolean": (bool,),
    "object": (dict,), "array": (list,), "null": (type(None),),
}  # fmt: skip
_KEYWORDS: Final = frozenset((
    "type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items", "minimum", "maximum",
    "title", "description",
))  # fmt: skip


def unusable(schema: Mapping[str, Any], fields: Iterable[str]) -> str | None:
    """Why a schema of the user's cannot be used for answers with these fields, in words; None where it can."""
    parts = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(parts, Mapping):
        return "it is not of an object with properties"
    missing = [name for name in (*fields, *parts) if name not in parts or name not in (schema.get("required") or ())]
    if missing:
        return f"the property {missing[0]!r} is not there, or not required"
    if schema.get("additionalProperties") is not False:
        return "it lets other properties in (additionalProperties = false is missing)"
    return _unknown(schema)


def misfit(value: object, schema: Mapping[str, Any], name: str = "reply") -> str | None:  # noqa: PLR0911  by keyword
    """Why a JSON value does not fit a schema, in words; None where it does."""
    if "anyOf" in schema and all(misfit(value, part, name) for part in schema["anyOf"]):
        return f"the {name} is of no kind that is asked for"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"the {name} is no {' or '.join(kinds)}"
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return f"the {name} is none of {', '.join(map(str, schema['enum']))}"
    if "const" in schema and not _same(value, schema["const"]):
        return f"the {name} is not {schema['const']}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return f"the {name} is out of bounds"
    if isinstance(value, dict):
        return _misfit_object(value, schema, name)
    if isinstance(value, list) and "items" in schema:
        return next((found for one in value if (found := misfit(one, schema["items"], name))), None)
    return None


def _misfit_object(value: dict[str, object], schema: Mapping[str, Any], name: str) -> str | None:
    parts = schema.get("properties", {})
    for field in schema.get("required", ()):
        if field not in value:
            return f"the {name} has no field {field!r}"
    if schema.get("additionalProperties") is False:
        odd = next((field for field in value if field not in parts), None)
        if odd is not None:
            return f"the {name} has a field {odd[:40]!r} that was not asked for"
    return next(
        (found for field in parts if field in value and (found := misfit(value[field], parts[field], field))), None
    )


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, ()))


def _same(a: object, b: object) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _unknown(schema: Mapping[str, Any]) -> str | None:
    """A keyword that is not looked at here, and so would be promised and not kept."""
    odd = next((word for word in schema if word not in _KEYWORDS), None)
    if odd is not None:
        return f"the keyword {odd!r} is not known"
    kinds = schema.get("type", [])
    odd = next((kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind not in _TYPES), None)
    if odd is not None:
        return f"there is no type {odd!r}"
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    inner += [schema["items"]] if "items" in schema else []
    if not all(isinstance(part, Mapping) for part in inner):
        return "a part of it is no table"
    return next((found for part in inner if (found := _unknown(part))), None)

"""A project's object schema: a JSON Schema whose properties are the fields of its objects, with `x-blob` for blobs.

A caller writes it, so nothing in it may take the process's time or memory, or make it ask anybody else: references
are pointers within the schema and never lead in a circle, what they unfold to is bounded, and patterns are matched in
linear time. JSON Schema: https://json-schema.org/specification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import jsonschema_rs

from sluicegate.core.errors import ErrorCode, InvalidError, SkippableError
from sluicegate.core.text import json_text

BLOB_MARK = "x-blob"
MAX_SCHEMA_BYTES = 64 << 10
MAX_UNFOLDED = 2_000
"""Subschemas, each counted as often as references lead to it: a value is checked against so many at most."""
MAX_LEVELS = 128
MAX_PATTERNS = 50
MAX_FIELDS = 1 << 20
"""Characters of an object's fields as JSON."""
MAX_FIELDS_WITH_PATTERNS = 64 << 10
"""The same under a schema with patterns, whose time is a multiple of the text's length."""

MAX_STEPS = 50
"""`multipleOf` of a fraction."""
MAX_WORK = 20_000_000
"""Characters times what they may be checked against: some tenths of a second, in which everybody waits."""
LEAST_LIMIT = 16 << 10
"""Characters that are taken under any schema."""
DETAILED = 16 << 10
"""Longer fields are refused without saying where: a library's account of each failed alternative may take minutes."""
_STEP_WORK = 200
"""`multipleOf` of a fraction is reckoned exactly: of a large number, so much longer than other keywords."""
_MAX_MESSAGE = 300
_DRAFTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
)
# Where they stand anywhere but at the root, a reference would mean something else than a pointer from the root.
_MOVING = ("$schema", "$id", "$dynamicRef", "$recursiveRef")
_PATTERN_OPTIONS = jsonschema_rs.RegexOptions(size_limit=256 << 10, dfa_size_limit=1 << 20)


class ObjectSchema:
    """A checked schema. `fields` and `blobs`: its properties; both empty when it names none."""

    __slots__ = ("_limit", "_validator", "blobs", "fields")

    def __init__(
        self, validator: jsonschema_rs.Validator, fields: Sequence[str], blobs: Sequence[str], limit: int
    ) -> None:
        self._validator = validator
        self._limit = limit
        self.fields = frozenset(fields)
        self.blobs = frozenset(blobs)

    def check(self, values: dict[str, Any], size: int) -> None:
        """`values`: fields by name, and None for each blob there is; `size`: of them as JSON, in characters.

        Raises SkippableError that names the field which the schema refuses.
        """
        if size > self._limit:
            raise too_large(size, self._limit)
        if self._validator.is_valid(values):
            return
        if size > DETAILED:
            raise SkippableError("The project's schema refuses the object.", code=ErrorCode.INVALID)
        try:
            self._validator.validate(values)
        except jsonschema_rs.ValidationError as error:
            where = f"the field {str(error.instance_path[0])!r}" if error.instance_path else "the object"
            message = f"The project's schema refuses {where}: {_short(error.message)}."
            raise SkippableError(message, code=ErrorCode.INVALID) from None


def too_large(size: int, limit: int) -> SkippableError:
    """The fault of an object whose fields are too much text."""
    message = f"The fields have {size:,} characters as JSON; at most {limit:,} are taken."
    return SkippableError(message, code=ErrorCode.LIMIT)


def read_schema(schema: Any, *, path: Sequence[str] = ("objectSchema",)) -> ObjectSchema:
    """A checked schema. Raises InvalidError for what is no JSON Schema of an object, or passes a limit."""
    if not isinstance(schema, dict):
        raise InvalidError("A JSON Schema of an object is a JSON object.", path=path)
    root = cast("dict[str, Any]", schema)
    _check_form(root, path)
    patterns, work = _Unfolding(root, path).run()
    properties = _properties(root, path)
    blobs = [name for name, part in properties.items() if _mapping(part).get(BLOB_MARK) is True]
    # A blob is there or not; what is in it no schema of JSON can say.
    checked = {**root, "properties": {**properties, **dict.fromkeys(blobs, True)}} if blobs else root
    _compile(root, path)
    validator = _compile(checked, path)
    limit = min(MAX_FIELDS_WITH_PATTERNS if patterns else MAX_FIELDS, max(LEAST_LIMIT, MAX_WORK // work))
    return ObjectSchema(validator, [name for name in properties if name not in blobs], blobs, limit)


def _check_form(root: Mapping[str, Any], path: Sequence[str]) -> None:
    try:
        size = len(json_text(root, "schema").encode())
    except SkippableError as error:
        raise InvalidError(error.message, path=path) from None
    if size > MAX_SCHEMA_BYTES:
        raise InvalidError(f"The schema has {size:,} bytes as JSON; at most {MAX_SCHEMA_BYTES:,}.", path=path)
    draft = root.get("$schema", _DRAFTS[0])
    if not isinstance(draft, str) or draft.removesuffix("#") not in _DRAFTS:
        hint = f"Leave it out, or name one of these: {', '.join(_DRAFTS)}."
        raise InvalidError("The schema is of no draft that is known here.", path=(*path, "$schema"), hint=hint)
    if root.get("type", "object") not in ("object", ["object"]):
        raise InvalidError("The schema is of an object: its type is object.", path=(*path, "type"))


def _properties(root: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    properties = root.get("properties", {})
    if not isinstance(properties, dict):
        raise InvalidError("The properties are an object of schemas by name.", path=(*path, "properties"))
    for name, part in cast("dict[str, Any]", properties).items():
        if not isinstance(_mapping(part).get(BLOB_MARK, False), bool):
            raise InvalidError(f"{BLOB_MARK} is true or false.", path=(*path, "properties", name, BLOB_MARK))
    return cast("dict[str, Any]", properties)


def _compile(schema: dict[str, Any], path: Sequence[str]) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.validator_for(schema, pattern_options=_PATTERN_OPTIONS, offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        where = [str(part) for part in getattr(error, "instance_path", ())]
        message = getattr(error, "message", str(error))
        pattern = where[-1:] == ["pattern"] or "patternProperties" in where[-2:]
        hint = "Patterns are matched in linear time: without look-around and back-references." if pattern else None
        raise InvalidError(f"This is no JSON Schema: {_short(message)}.", path=(*path, *where), hint=hint) from None


def _short(message: str) -> str:
    line = " ".join(message.split())
    return (line if len(line) <= _MAX_MESSAGE else line[:_MAX_MESSAGE] + "…").removesuffix(".")


class _Extent(NamedTuple):
    """What a part of a schema unfolds to. `work`: parts, where those that cost more count for many."""

    parts: int
    levels: int
    work: int


class _Unfolding:
    """A walk over every object in a schema, keyword or not, that follows references: never is too little counted."""

    def __init__(self, root: dict[str, Any], path: Sequence[str]) -> None:
        self._root = root
        self._path = path
        self._known: dict[int, _Extent | None] = {}
        self._patterns = 0
        self._steps = 0

    def run(self) -> tuple[int, int]:
        """How many patterns there are, and the work of checking one value. Raises InvalidError."""
        work = self._extent(self._root, 0).work
        return self._patterns, work

    def _extent(self, part: Any, depth: int) -> _Extent:
        part = _composite(part)
        if part is None:
            return _Extent(0, 0, 0)
        if id(part) in self._known:
            known = self._known[id(part)]
            if known is None:
                raise self._refused("A reference of the schema leads back to itself.", "Write the levels out.")
            return self._bounded(known, depth)
        self._known[id(part)] = None
        self._bounded(_Extent(1, 1, 1), depth)
        own = self._own_work(part)
        children = [self._extent(child, depth + 1) for child in self._children(part)]
        found = _Extent(
            1 + sum(each.parts for each in children),
            1 + max((each.levels for each in children), default=0),
            own + sum(each.work for each in children),
        )
        self._known[id(part)] = found
        return self._bounded(found, depth)

    def _own_work(self, part: dict[str, Any] | list[Any]) -> int:
        """Each value of an enum may be compared, and so may each of a list, whatever it is of."""
        if isinstance(part, list):
            return 1 + len(part)
        step = part.get("multipleOf")
        if not isinstance(step, float) or step.is_integer():
            return 1
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise self._refused(f"The schema has more than {MAX_STEPS} fractions in multipleOf.", "Leave some out.")
        return _STEP_WORK

    def _bounded(self, extent: _Extent, depth: int) -> _Extent:
        if extent.parts > MAX_UNFOLDED or depth + extent.levels > MAX_LEVELS:
            message = f"The schema unfolds to more than {MAX_UNFOLDED:,} parts or {MAX_LEVELS} levels."
            raise self._refused(message, "Count each part as often as references lead to it.")
        return extent

    def _children(self, part: dict[str, Any] | list[Any]) -> list[Any]:
        if isinstance(part, list):
            return part
        moving = next((name for name in _MOVING if isinstance(part.get(name), str)), None)
        if moving is not None and (part is not self._root or moving in ("$dynamicRef", "$recursiveRef")):
            raise self._refused(
                f"{moving} is not taken here.", 'Refer to a part of the schema: {"$ref": "#/$defs/name"}.'
            )
        self._patterns += isinstance(part.get("pattern"), str) + len(_mapping(part.get("patternProperties")))
        if self._patterns > MAX_PATTERNS:
            raise self._refused(f"The schema has more than {MAX_PATTERNS} patterns.", "Use enum or format instead.")
        children = list(part.values())
        if isinstance(part.get("$ref"), str):
            children.append(self._target(part["$ref"]))
        return children

    def _target(self, reference: str) -> Any:
        # A percent sign: libraries disagree on when to decode one, and this walk must go where theirs goes.
        if reference != "#" and (not reference.startswith("#/") or "%" in reference):
            message = f"The reference {_short(reference)!r} is no plain pointer into the schema."
            raise self._refused(message, 'Put what it means under $defs: {"$ref": "#/$defs/name"}.')
        found: Any = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            within = _composite(found)
            if isinstance(within, dict) and name in within:
                found = within[name]
            elif isinstance(within, list) and name.isdecimal() and int(name) < len(within):
                found = within[int(name)]
            else:
                raise self._refused(f"The reference {_short(reference)!r} leads nowhere.", "Define it under $defs.")
        return found

    def _refused(self, message: str, hint: str) -> InvalidError:
        return InvalidError(message, path=self._path, hint=hint)


def _composite(value: Any) -> dict[str, Any] | list[Any] | None:
    return cast("dict[str, Any] | list[Any]", value) if isinstance(value, dict | list) else None


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

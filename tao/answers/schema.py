"""JSON Schema: what is wrong with a value, by `jsonschema`; values that are plainly right are told apart before it.

`jsonschema` takes a third of a millisecond for a small record, and nearly all records that are judged are valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any

from tao.errors import InputError

Test = Callable[[Any], bool]

_QUICK_DRAFTS = ("Draft202012Validator", "Draft201909Validator", "Draft7Validator", "Draft6Validator")
"""In these the keywords read here mean one thing; in older ones 1.0 is no integer."""
_SAY_NOTHING = frozenset({"$id", "$comment", "title", "description", "default", "examples", "format"})
"""Keywords that refuse no value; `jsonschema` checks a format only where it is told to."""
_TYPES: dict[str, Test] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, Number) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def make_validator(schema: Mapping[str, Any] | None) -> Callable[[Any], str]:
    """A function that says what is wrong with a plain value against a JSON Schema ('' if nothing is).

    References to other documents are not followed.

    Raises:
        InputError: The schema is not one.
    """
    if schema is None:
        return lambda value: ""
    from jsonschema import exceptions, validators

    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except exceptions.SchemaError as error:
        raise InputError(f"no JSON Schema ({error.message})", "answer_options.schema") from error
    validator = kind(schema)
    bare = {key: told for key, told in schema.items() if key != "$schema"}  # deeper ones could name another draft
    accepts = quick_test(bare) if kind.__name__ in _QUICK_DRAFTS else None

    def complain(value: Any) -> str:
        if accepts is not None and accepts(value):
            return ""
        fault = exceptions.best_match(validator.iter_errors(value))
        return "" if fault is None else f"{fault.json_path}: {fault.message}"

    return complain


def quick_test(schema: Any) -> Test | None:
    """A test that holds only for values that `jsonschema` accepts; None for a schema with a keyword not read here.

    Args:
        schema: A valid schema of draft 6 or later.
    """
    if isinstance(schema, bool):
        return lambda value: schema
    tests: list[Test] = []
    for keyword, told in schema.items():
        if keyword in _SAY_NOTHING or keyword in ("properties", "additionalProperties"):
            continue
        test = _READ[keyword](told) if keyword in _READ else None
        if test is None:
            return None
        tests.append(test)
    if "properties" in schema or "additionalProperties" in schema:
        members = _members(schema.get("properties", {}), schema.get("additionalProperties", True))
        if members is None:
            return None
        tests.append(members)
    return tests[0] if len(tests) == 1 else lambda value: all([test(value) for test in tests])


def _type(names: str | list[str]) -> Test | None:
    tests = [_TYPES.get(name) for name in ([names] if isinstance(names, str) else names)]
    known = [test for test in tests if test is not None]
    if len(known) < len(tests):
        return None
    return known[0] if len(known) == 1 else lambda value: any(test(value) for test in known)


def _members(properties: Mapping[str, Any], others: Any) -> Test | None:
    """`properties` and `additionalProperties` in one."""
    by_key = {key: quick_test(part) for key, part in properties.items()}
    rest = quick_test(others)
    if rest is None or None in by_key.values():
        return None
    tests = {key: test for key, test in by_key.items() if test is not None}

    def test(value: Any) -> bool:
        return not isinstance(value, dict) or all([tests.get(key, rest)(part) for key, part in value.items()])

    return test


def _items(schema: Any) -> Test | None:
    each = None if isinstance(schema, list) else quick_test(schema)
    return each and (lambda value: not isinstance(value, list) or all([each(part) for part in value]))


def _one_of(values: list[Any]) -> Test | None:
    if not all(isinstance(value, str) or value is None for value in values):
        return None  # 1, 1.0 and true need more care
    return lambda value: (isinstance(value, str) or value is None) and value in values


def _pattern(text: str) -> Test | None:
    try:
        compiled = re.compile(text)
    except re.error:
        return None
    return lambda value: not isinstance(value, str) or compiled.search(value) is not None


_READ: dict[str, Callable[[Any], Test | None]] = {
    "type": _type,
    "required": lambda told: lambda value: not isinstance(value, dict) or all(key in value for key in told),
    "items": _items,
    "minItems": lambda told: lambda value: not isinstance(value, list) or len(value) >= told,
    "maxItems": lambda told: lambda value: not isinstance(value, list) or len(value) <= told,
    "minLength": lambda told: lambda value: not isinstance(value, str) or len(value) >= told,
    "maxLength": lambda told: lambda value: not isinstance(value, str) or len(value) <= told,
    "pattern": _pattern,
    "enum": _one_of,
    "const": lambda told: _one_of([told]),
}

"""The quick test of a schema beside `jsonschema` itself."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao.answers.record import spell
from tao.answers.schema import make_validator, quick_test
from tao.errors import InputError

NAMES = st.sampled_from("abcd")
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.sampled_from([0, 1, -3, 2.0, 2.5, 1e300, "", "a", "ab", "2026-01-31", "é"])
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
TEXTS = st.none() | st.sampled_from(["", "a", "ab", "b"])
SMALL = st.integers(0, 3)


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of the keywords that are read, each there or not."""
    keywords = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "additionalProperties": inner,
        "required": st.lists(NAMES, max_size=2, unique=True),
        "items": inner,
        "minItems": SMALL,
        "maxItems": SMALL,
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": st.sampled_from(["^a", "b$", r"^\d{4}-\d{2}-\d{2}$", "é"]),
        "enum": st.lists(TEXTS, min_size=1, max_size=3, unique=True),
        "const": TEXTS,
        "title": st.just("t"),
        "format": st.just("date"),
    }
    return st.fixed_dictionaries({}, optional=keywords)


SCHEMAS = st.recursive(st.booleans() | schemas(st.booleans()), schemas, max_leaves=6)


@settings(max_examples=500)
@given(SCHEMAS, VALUES)
def test_the_quick_test_accepts_what_jsonschema_accepts(schema: Any, value: Any) -> None:
    test = quick_test(schema)
    assert test is not None
    for draft in (jsonschema.Draft202012Validator, jsonschema.Draft201909Validator, jsonschema.Draft7Validator):
        assert test(value) == draft(schema).is_valid(value)


UNREAD = [
    {"$ref": "#/$defs/x", "$defs": {"x": {"type": "string"}}},
    {"prefixItems": [{"type": "string"}], "items": {"type": "number"}},
    {"properties": {"a": {"multipleOf": 3}}},
    {"items": {"anyOf": [{"type": "string"}]}},
    {"additionalProperties": {"not": {"type": "string"}}, "patternProperties": {"^a": True}},
    {"enum": [1, True]},
    {"properties": {"a": {"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"}}},
]


@pytest.mark.parametrize("schema", UNREAD, ids=json.dumps)
def test_a_keyword_that_is_not_read_leaves_all_to_jsonschema(schema: dict[str, Any]) -> None:
    assert quick_test(schema) is None
    assert (
        make_validator({"$ref": "#/$defs/x", "$defs": {"x": {"type": "string"}}})(1) == "$: 1 is not of type 'string'"
    )


def test_older_drafts_are_left_to_jsonschema() -> None:
    """In draft 4 a number with a point is no integer."""
    draft_4 = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"}
    assert make_validator(draft_4)(2.0) == "$: 2.0 is not of type 'integer'"
    assert make_validator({"type": "integer"})(2.0) == ""


def test_a_refusal_names_the_place() -> None:
    complain = make_validator({"properties": {"a": {"items": {"type": "number"}}}})
    assert complain({"a": [1, 2.5]}) == ""
    assert complain({"a": [1, "x"]}) == "$.a[1]: 'x' is not of type 'number'"
    with pytest.raises(InputError, match="no JSON Schema"):
        make_validator({"type": 3})


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None), st.integers(0, 40))
def test_a_number_has_one_spelling_and_keeps_its_value(value: Decimal, zeros: int) -> None:
    text = spell(value)
    assert Decimal(text) == value
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    assert spell(Decimal((sign, (*digits, *([0] * zeros)), exponent - zeros))) == text

"""Fields of every body by their type: integers, numbers and lists."""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from sizeup_gateway.api.anthropic import schema as anthropic
from sizeup_gateway.api.compare import schema as compare
from sizeup_gateway.api.ollama.manage import schema as manage
from sizeup_gateway.api.openai.responses_api import schema as responses
from sizeup_gateway.api.request_body import RequestBody

ROOMS = (anthropic, compare, manage, responses)
"""Imported with all others, which they use."""


def bodies(kind: type[RequestBody] = RequestBody) -> Iterator[type[RequestBody]]:
    for each in kind.__subclasses__():
        yield each
        yield from bodies(each)


def alone(field: FieldInfo) -> type[RequestBody]:
    """Return a body with this field only."""
    annotation: Any = Annotated[field.annotation, *field.metadata, None]
    return create_model("Alone", __base__=RequestBody, value=(annotation, ...))


def fields() -> dict[str, dict[str, type[RequestBody]]]:
    """Return the fields of all bodies by body and name, for each type that their JSON may have."""
    found: dict[str, dict[str, type[RequestBody]]] = defaultdict(dict)
    for body in list(bodies()):
        for name in body.model_fields.keys() & body.__annotations__.keys():
            one = alone(body.model_fields[name])
            schema = one.model_json_schema()["properties"]["value"]
            for each in (schema, *schema.get("anyOf", ())):
                found[each.get("type", "")][f"{body.__name__}.{name}"] = one
    return {kind: dict(sorted(named.items())) for kind, named in found.items()}


FIELDS = fields()
INTEGERS, NUMBERS, LISTS = FIELDS["integer"], FIELDS["number"], FIELDS["array"]


def accepts(field: type[RequestBody], value: object) -> bool:
    try:
        field.model_validate({"value": value})
    except ValidationError:
        return False
    return True


def test_the_fields_are_found() -> None:
    assert {"Options.num_ctx", "SamplingRequest.seed", "MessagesRequest.top_k"} <= set(INTEGERS)
    assert {"Options.repeat_penalty", "ResponsesRequest.top_p"} <= set(NUMBERS)


@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_may_be_written_as_a_whole_number(name: str) -> None:
    value = INTEGERS[name].model_validate({"value": 2.0}).model_dump()["value"]
    assert (type(value), value) == (int, 2)


@pytest.mark.parametrize("value", [2.5, True, "2", math.nan, math.inf])
@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_is_nothing_else(name: str, value: object) -> None:
    assert not accepts(INTEGERS[name], value)


@pytest.mark.parametrize("value", [True, math.nan, math.inf])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_finite(name: str, value: object) -> None:
    assert not accepts(NUMBERS[name], value)


def errors(field: type[RequestBody], value: object) -> int:
    try:
        field.model_validate({"value": value})
    except ValidationError as error:
        return error.error_count()
    return 0


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_checked_up_to_its_first_invalid_item(name: str) -> None:
    """An error for each of millions would hold the interpreter for half a minute."""
    for item in (None, -1, True, {"type": 5}):
        assert errors(LISTS[name], [item]) == errors(LISTS[name], [item] * 50)

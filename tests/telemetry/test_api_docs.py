"""The OpenAPI document with schemas of bodies that routes read themselves."""

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, BeforeValidator, Field
from starlette.testclient import TestClient

from sizeup_telemetry.api_docs import (
    DOCS_PATH,
    OPENAPI_PATH,
    create_app,
    direct_router,
    json_response,
    request_body,
    serve_api_docs,
    stream_response,
)


class Part(BaseModel):
    text: str


class Question(BaseModel):
    parts: list[Part]


class Chunk(BaseModel):
    delta: str


class Whole(BaseModel):
    text: str


def client(*, enabled: bool) -> TestClient:
    router = APIRouter()

    @router.post(
        "/ask",
        openapi_extra=request_body(Question),
        responses={
            200: stream_response("application/x-ndjson", Chunk, "one object a line", Whole),
            201: json_response(Whole, "created"),
        },
    )
    async def ask() -> None: ...

    app = create_app(router)
    serve_api_docs(app, enabled=enabled)
    return TestClient(app)


def test_every_schema_of_the_document_is_there() -> None:
    document = client(enabled=True).get(OPENAPI_PATH).json()
    assert document["components"]["schemas"].keys() == {"Part", "Question", "Chunk", "Whole"}
    operation = document["paths"]["/ask"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Question"}
    stream = operation["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
    assert stream["contentSchema"] == {"$ref": "#/components/schemas/Chunk"}
    whole = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert whole == {"$ref": "#/components/schemas/Whole"}


def test_the_page_loads_nothing_from_another_host() -> None:
    served = client(enabled=True)
    page = served.get(DOCS_PATH).text
    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert asset in page
        assert served.get(f"{DOCS_PATH}/{asset}").status_code == 200


@pytest.mark.parametrize("path", [OPENAPI_PATH, DOCS_PATH, f"{DOCS_PATH}/swagger-ui.css"])
def test_nothing_is_served_when_disabled(path: str) -> None:
    assert client(enabled=False).get(path).status_code == 404


def documented(*bodies: type[BaseModel]) -> FastAPI:
    """Create an application with a route for each body."""
    router = direct_router("Test")
    for body in bodies:

        @router.post(f"/{id(body)}", openapi_extra=request_body(body))
        async def ask(_request: Request) -> Response:
            return Response()

    return create_app(router)


class Limited(BaseModel):
    count: Annotated[int, BeforeValidator(lambda value: value), Field(ge=1, lt=9)]
    ge: Annotated[dict[str, int], Field(max_length=3)]


def test_limits_are_keywords_of_json_schema() -> None:
    app = documented(Limited)
    serve_api_docs(app, enabled=True)
    schemas = TestClient(app).get(OPENAPI_PATH).json()["components"]["schemas"]
    properties = schemas["Limited"]["properties"]
    count = {"type": "integer", "minimum": 1, "exclusiveMaximum": 9}
    assert properties["count"] == count | {"title": "Count"}
    assert properties["ge"]["maxProperties"] == 3
    assert "maxLength" not in properties["ge"]


def test_the_parameters_of_a_path_are_documented() -> None:
    router = direct_router("Test")
    one = {"name": "id", "in": "path", "required": True, "description": "its id", "schema": {}}

    @router.get("/things/{id}/parts/{rest:path}", openapi_extra={"parameters": [one]})
    async def part(_request: Request) -> Response:
        return Response()

    app = create_app(router)
    serve_api_docs(app, enabled=True)
    paths = TestClient(app).get(OPENAPI_PATH).json()["paths"]
    described, added = paths["/things/{id}/parts/{rest}"]["get"]["parameters"]
    assert described == one
    expected = {"name": "rest", "in": "path", "required": True, "schema": {"type": "string"}}
    assert added == expected


def test_two_schemas_of_one_name_are_rejected() -> None:
    other = type("Question", (BaseModel,), {"__annotations__": {"x": int}})
    with pytest.raises(ValueError, match="Question"):
        serve_api_docs(documented(Question, other), enabled=True)

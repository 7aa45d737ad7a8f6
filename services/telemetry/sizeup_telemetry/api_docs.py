"""The OpenAPI document of a service, and a /docs page that needs no network.

Routes read their bodies themselves (FastAPI would decide by the Content-Type, and return errors in
its own shape), so they declare what they read with `request_body` and FastAPI only documents it.
"""

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib import resources
from typing import Any

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

OPENAPI_PATH = "/openapi.json"
DOCS_PATH = "/docs"

_NO_OPENTELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
"""FastAPI's `telemetry`: its own checks for providers on every request, and its environment
variables, are switched off. Metrics and logs of the services are `sizeup_telemetry`'s."""

_NUMBER_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}
_LIMITS: Mapping[str, Mapping[str, str]] = {
    "integer": _NUMBER_LIMITS,
    "number": _NUMBER_LIMITS,
    "object": {"minLength": "minProperties", "maxLength": "maxProperties"},
}
"""By type, the keywords of JSON Schema for those of pydantic."""

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_REF = "#/components/schemas/{model}"
_ONE_DAY = "public, max-age=86400"

Json = dict[str, Any]


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and returns an ASGI app; a GET route serves HEAD.

    FastAPI's own handler resolves dependencies and validates on every request, which an endpoint
    that reads its body itself does not need. Exceptions are handled by the application's handlers,
    as for middleware. Effective in an application of `create_app`; `include_router` wraps the
    endpoint in FastAPI's handler again.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options | {"response_model": None})
        if "GET" in (self.methods or ()):
            self.methods = {*(self.methods or ()), "HEAD"}
        self.openapi_extra = _with_parameters(self.openapi_extra or {}, self.param_convertors)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the endpoint; FastAPI rejects other methods than the route's."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


def _with_parameters(extra: Json, names: Collection[str]) -> Json:
    """Add the parameters of a path that `openapi_extra` does not describe.

    FastAPI documents those of the endpoint's signature, which takes the request alone.
    """
    described = extra.get("parameters", [])
    missing = set(names) - {one["name"] for one in described}
    text = {"in": "path", "required": True, "schema": {"type": "string"}}
    added = [{"name": name, **text} for name in names if name in missing]
    return {**extra, "parameters": [*described, *added]} if added else extra


def direct_router(tag: str) -> APIRouter:
    """Create a router of `DirectRoute`s that documents only the responses that a route declares."""
    return APIRouter(tags=[tag], route_class=DirectRoute, default_response_class=Response)


class _DirectApplication(FastAPI):
    """FastAPI without the middleware that only its own request handler needs."""

    build_middleware_stack = Starlette.build_middleware_stack
    __call__ = Starlette.__call__


def create_app(*routers: APIRouter, **options: Any) -> FastAPI:
    """Create an application with the routes of these routers; `options` are FastAPI's.

    `include_router` would resolve prefixes and dependencies, which they do not have, at every
    request.
    """
    routes = [route for router in routers for route in router.routes]
    is_direct = all(isinstance(route, DirectRoute) for route in routes)
    return (_DirectApplication if is_direct else FastAPI)(
        routes=routes,
        openapi_url=None,  # see serve_api_docs
        docs_url=None,
        redoc_url=None,
        telemetry=_NO_OPENTELEMETRY,
        **options,
    )


class Reference(Json):
    """A reference to the schema of a model, which `serve_api_docs` adds to the document."""

    def __init__(self, model: type[BaseModel]) -> None:
        super().__init__({"$ref": _REF.format(model=model.__name__)})
        self.model = model


def request_body(model: type[BaseModel], description: str = "", *, required: bool = True) -> Json:
    """Return the `openapi_extra` of a route that reads a JSON body itself."""
    content = {"application/json": {"schema": Reference(model)}}
    return {"requestBody": {"description": description, "required": required, "content": content}}


def json_response(model: type[BaseModel], description: str) -> Json:
    """Return an entry of `responses` for one JSON object."""
    content = {"application/json": {"schema": Reference(model)}}
    return {"description": description, "content": content}


def stream_response(
    media_type: str, item: type[BaseModel], framing: str, whole: type[BaseModel] | None = None
) -> Json:
    """Return an entry of `responses` for a stream of JSON objects.

    OpenAPI 3.1 cannot describe the items of a stream: the body is a string, and its decoded items
    follow `contentSchema` (JSON Schema 2020-12). `framing` describes how they are delimited,
    `whole` is the body of the same route when it does not stream.
    """
    stream = {
        "type": "string",
        "description": framing,
        "contentMediaType": "application/json",
        "contentSchema": Reference(item),
    }
    content: Json = {media_type: {"schema": stream}}
    if whole is not None:
        content["application/json"] = {"schema": Reference(whole)}
    return {"description": framing, "content": content}


def serve_api_docs(
    app: FastAPI, *, enabled: bool, security_schemes: Mapping[str, Json] | None = None
) -> None:
    """Serve the OpenAPI document of the routes, and /docs; nothing when disabled.

    `app` is made by `create_app`. Raises ValueError when two models share a name, or one is both a
    request and a response: references go by name.
    """
    if not enabled:
        return
    schemas = _schemas(route for route in app.routes if isinstance(route, APIRoute))

    def openapi() -> Json:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=[_without_head(route) for route in app.routes],
                tags=app.openapi_tags,
            )
            components = document.setdefault("components", {})
            components["schemas"] = {**schemas, **components.get("schemas", {})}
            if security_schemes:
                components["securitySchemes"] = dict(security_schemes)
                document["security"] = [{name: []} for name in security_schemes]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
    app.router.routes.extend(_router(app).routes)


def _without_head(route: BaseRoute) -> BaseRoute:
    """HEAD is GET without a body; documented separately it would repeat the operation id."""
    if not isinstance(route, APIRoute) or route.methods is None:
        return route
    shown = copy.copy(route)
    shown.methods = route.methods - {"HEAD"}
    return shown


def _schemas(routes: Iterable[APIRoute]) -> Mapping[str, Json]:
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}  # in order, each once
    for route in routes:
        models |= {(model, "validation"): None for model in referenced(route.openapi_extra)}
        models |= {(model, "serialization"): None for model in referenced(route.responses)}
    by_model, schema = models_json_schema(tuple(models), ref_template=_REF)
    for (model, _), found in by_model.items():
        if found != {"$ref": _REF.format(model=model.__name__)}:
            raise ValueError(f"the schema name {model.__name__} is not unique")
    definitions: Mapping[str, Json] = _with_limits(schema.get("$defs", {}))
    return definitions


def referenced(description: object) -> Iterator[type[BaseModel]]:
    """Yield the models of the references in `openapi_extra` or `responses` of a route."""
    if isinstance(description, Reference):
        yield description.model
    elif isinstance(description, Mapping):
        yield from referenced(list(description.values()))
    elif isinstance(description, list):
        for part in description:
            yield from referenced(part)


def _with_limits(schema: Any) -> Any:
    """Replace pydantic's names of limits, which it leaves where a validator runs before them."""
    if isinstance(schema, list):
        return [_with_limits(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    names = _LIMITS.get(str(schema.get("type")), {})
    return {names.get(key, key): _with_limits(value) for key, value in schema.items()}


def _router(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=DirectRoute)

    @router.get(OPENAPI_PATH)
    async def document(_request: Request) -> JSONResponse:
        return JSONResponse(app.openapi())

    @router.get(DOCS_PATH)
    async def page(_request: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=OPENAPI_PATH.removeprefix("/"),
            title=app.title,
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="data:,",
        )

    for name, media_type in _ASSETS.items():
        router.add_api_route(f"{DOCS_PATH}/{name}", _asset(name, media_type), methods=["GET"])
    return router


def _asset(name: str, media_type: str) -> Any:
    path = str(resources.files(fastapi_offline) / "static" / name)

    async def asset(_request: Request) -> FileResponse:
        return FileResponse(path, media_type=media_type, headers={"Cache-Control": _ONE_DAY})

    return asset

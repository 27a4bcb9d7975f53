"""The service's description of itself, OpenAPI 3.1, from the wire schema."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tellapart import __version__
from tellapart.wire import (
    DEFAULT_TOP_K,
    HTTP_STATUS,
    MAX_BATCH_IMAGES,
    BatchResult,
    ErrorBody,
    ModelList,
    Result,
)

_Json = dict[str, Any]
_PICTURE: _Json = {"type": "string", "format": "binary"}
_OPTIONS: _Json = {
    "model": {"type": "string", "description": "NAME or NAME:VERSION; without it the default answers"},
    "top_k": {"type": "integer", "minimum": 1, "default": DEFAULT_TOP_K},
}


def describe(max_top_k: int) -> _Json:
    """The OpenAPI document.

    Args:
        max_top_k: the most predictions a request may ask for.
    """
    _, schemas = models_json_schema(
        [(model, "serialization") for model in (Result, BatchResult, ModelList, ErrorBody)],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tellapart", "version": __version__, "description": "Classifies pictures."},
        "paths": _paths(max_top_k),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths(max_top_k: int) -> _Json:
    batch = {"type": "array", "items": _PICTURE, "minItems": 1, "maxItems": MAX_BATCH_IMAGES}
    tag = {"name": "tag", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/classify": {"post": _upload("classify", "Classify one picture", "image", _PICTURE, Result, max_top_k)},
        "/classify_batch": {
            "post": _upload("classify_batch", "Classify several pictures", "images", batch, BatchResult, max_top_k)
        },
        "/models": {"get": _operation("models", "The classifiers there are", _json(ModelList))},
        "/reports/{tag}": {
            "get": {**_operation("report", "A classifier's report", _page()), "parameters": [tag]},
        },
        "/livez": {"get": _operation("livez", "The process lives", {"text/plain": {}})},
        "/readyz": {"get": _operation("readyz", "The service can answer", {"text/plain": {}})},
        "/metrics": {"get": _operation("metrics", "Counters for Prometheus", {"text/plain": {}})},
    }


def _upload(name: str, summary: str, field: str, schema: _Json, answer: type[BaseModel], max_top_k: int) -> _Json:
    options = {**_OPTIONS, "top_k": {**_OPTIONS["top_k"], "maximum": max_top_k}}
    form = {"type": "object", "required": [field], "properties": {field: schema, **options}}
    return {
        **_operation(name, summary, _json(answer)),
        "parameters": [{"name": option, "in": "query", "schema": of} for option, of in options.items()],
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form}, "image/*": {"schema": _PICTURE}},
        },
    }


def _operation(name: str, summary: str, content: _Json) -> _Json:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": "OK", "content": content}, **_errors()},
    }


def _errors() -> _Json:
    codes: dict[int, list[str]] = {}
    for code, status in HTTP_STATUS.items():
        codes.setdefault(status, []).append(code)
    return {
        str(status): {"description": f"{HTTPStatus(status).phrase}: {', '.join(names)}", "content": _json(ErrorBody)}
        for status, names in codes.items()
    }


def _json(model: type[BaseModel]) -> _Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _page() -> _Json:
    return {"text/html": {"schema": {"type": "string"}}}

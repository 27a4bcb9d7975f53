"""The service's description of itself, OpenAPI 3.1, from the wire schema."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tellapart import __version__
from tellapart.images import SUPPORTED
from tellapart.uploads import MAX_NEIGHBOURS, MAX_TOP_K
from tellapart.wire import (
    DEFAULT_NEIGHBOURS,
    DEFAULT_TOP_K,
    HTTP_STATUS,
    MAX_BATCH_IMAGES,
    BatchResult,
    ErrorBody,
    Explanation,
    ModelList,
    NeighbourList,
    Result,
)

_Json = dict[str, Any]
_PICTURE: _Json = {"type": "string", "format": "binary"}
_OPTIONS: _Json = {
    "model": {"type": "string", "description": "NAME or NAME:VERSION; without it the default answers"},
    "top_k": {"type": "integer", "minimum": 1, "maximum": MAX_TOP_K, "default": DEFAULT_TOP_K},
    "count": {"type": "integer", "minimum": 1, "maximum": MAX_NEIGHBOURS, "default": DEFAULT_NEIGHBOURS},
    "class": {"type": "string", "description": "the class to explain; without it the answer is explained"},
}


def describe() -> _Json:
    """The OpenAPI document."""
    answers = (Result, BatchResult, Explanation, NeighbourList, ModelList, ErrorBody)
    _, schemas = models_json_schema(
        [(model, "serialization") for model in answers],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tellapart", "version": __version__, "description": "Classifies pictures."},
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths() -> _Json:
    batch = {"type": "array", "items": _PICTURE, "minItems": 1, "maxItems": MAX_BATCH_IMAGES}
    tag = {"name": "tag", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/classify": _upload("classify", "Classify one picture", "image", _PICTURE, Result, ("model", "top_k")),
        "/classify_batch": _upload(
            "classify_batch", "Classify several pictures", "images", batch, BatchResult, ("model", "top_k")
        ),
        "/explain": _upload(
            "explain", "Why a picture gets its class", "image", _PICTURE, Explanation, ("model", "class")
        ),
        "/nearest": _upload(
            "nearest",
            "Pictures it learned from, most alike first",
            "image",
            _PICTURE,
            NeighbourList,
            ("model", "count"),
        ),
        "/models": {"get": _operation("models", "The classifiers there are", _json(ModelList))},
        "/reports/{tag}": {
            "get": {**_operation("report", "A classifier's report", _page()), "parameters": [tag]},
        },
        "/livez": {"get": _operation("livez", "The process lives", {"text/plain": {}})},
        "/readyz": {"get": _operation("readyz", "The service can answer", {"text/plain": {}})},
        "/metrics": {"get": _operation("metrics", "Counters for Prometheus", {"text/plain": {}})},
    }


def _upload(
    name: str, summary: str, field: str, schema: _Json, answer: type[BaseModel], allowed: tuple[str, ...]
) -> _Json:
    options = {option: _OPTIONS[option] for option in allowed}
    properties = {field: schema, **options}
    form: _Json = {"type": "object", "required": [field], "properties": properties, "additionalProperties": False}
    encoding = {field: {"contentType": ", ".join(sorted({mime for mime, _ in SUPPORTED.values()}))}}
    content = _json(answer)
    if answer is Explanation:
        content["image/png"] = {"schema": _PICTURE}
    operation = {
        **_operation(name, summary, content),
        "parameters": [{"name": option, "in": "query", "schema": of} for option, of in options.items()],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form, "encoding": encoding},
                "image/*": {"schema": _PICTURE},
            },
        },
    }
    return {"post": operation}


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

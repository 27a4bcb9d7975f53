"""A stand-in for the service that answers by a picture's colour."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, request
from PIL import Image

from tellapart.images import ImageError, decode
from tellapart.wire import (
    Explanation,
    ModelList,
    ModelSummary,
    NeighbourList,
    NeighbourPicture,
    ServiceError,
    image_error,
    make_result,
)

CLASSES = ["red", "green", "blue"]
REPORT = (
    '<!doctype html><meta name="viewport" content="width=device-width"><style>p{color:red}</style>'
    "<main><p>A report</p><script>alert(1)</script>"
)


def model(name: str, version: str, promoted: bool = True, **values: Any) -> ModelSummary:
    """A classifier version as the service lists it."""
    known = {"classes": CLASSES, "created": "2026-11-21T10:00:00+00:00", "backbone": "resnet50"} | values
    return ModelSummary(model=f"{name}:{version}", name=name, version=version, promoted=promoted, **known)


@dataclass
class FakeService:
    """What the stand-in answers with, and what it was asked."""

    models: list[ModelSummary] = field(default_factory=lambda: [model("colours", "v1", accuracy=0.93)])
    calls: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    pictures: int = 0
    broken: Callable[[], Any] | None = None
    neighbours: list[NeighbourPicture] | None = None

    def asked(self, path: str) -> int:
        """How often a path was asked for."""
        return self.calls.count(path)

    def refuse_pictures(self, status: int) -> None:
        """Answer so to all but who asks which classifiers there are."""
        self.broken = lambda: None if request.path == "/models" else ("", status)

    def app(self) -> Flask:
        """The stand-in as a WSGI app."""
        app = Flask("fake-service")
        app.before_request(self._note)
        app.register_error_handler(ServiceError, lambda error: (error.body(), error.status))
        app.get("/models")(self._models)
        app.get("/readyz")(self._ready)
        app.get("/reports/<tag>")(self._report)
        app.post("/classify")(self._classify)
        app.post("/classify_batch")(self._classify_batch)
        app.post("/explain")(self._explain)
        app.post("/nearest")(self._nearest)
        return app

    def _note(self) -> Any:
        self.calls.append(request.path)
        self.tokens.append(request.headers.get("Authorization"))
        return self.broken() if self.broken else None

    def _models(self) -> Any:
        default = self.models[0].model if self.models else None
        return ModelList(default=default, models=self.models).model_dump()

    def _ready(self) -> str:
        return "ready"

    def _report(self, tag: str) -> Response:
        return Response(f"{REPORT}<p>{tag}</p>", mimetype="text/html")

    def _classify(self) -> Any:
        return self._answer(request.files["image"].read())

    def _classify_batch(self) -> Any:
        results = []
        for file in request.files.getlist("images"):
            try:
                results.append(self._answer(file.read()))
            except ServiceError as error:
                results.append(error.body())
        return jsonify({"model": request.form["model"], "results": results})

    def _explain(self) -> Any:
        wanted = request.form["class"]
        red = io.BytesIO()
        Image.new("RGBA", (8, 6), (220, 30, 20, 180)).save(red, "PNG")
        sentence = f"It looked at the middle, and found {wanted} there."
        heat_map = base64.b64encode(red.getvalue()).decode()
        return Explanation.model_validate(
            {"model": request.form["model"], "class": wanted, "confidence": 0.9, "sentence": sentence}
            | {"heat_map": heat_map}
        ).model_dump()

    def _nearest(self) -> Any:
        if self.neighbours is None:
            raise ServiceError("no_neighbours", "this version keeps no pictures to compare with")
        return NeighbourList(model=request.form["model"], neighbours=self.neighbours).model_dump()

    def _answer(self, data: bytes) -> dict[str, Any]:
        self.pictures += 1
        try:
            image = decode(data)
        except ImageError as error:
            raise image_error(error) from error
        wanted = request.form["model"]
        chosen = next(m for m in self.models if wanted in (m.model, m.name))
        colour = image.resize((1, 1)).getpixel((0, 0))
        shares = [value + 1 for value in (*colour, *[0] * len(chosen.classes))][: len(chosen.classes)]
        weights = [share / sum(shares) for share in shares]
        top_k = int(request.form.get("top_k", "5"))
        return make_result(chosen.model, chosen.classes, weights, image.size, top_k=top_k, time_ms=41.2).model_dump()

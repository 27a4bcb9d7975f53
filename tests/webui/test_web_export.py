"""A classifier is taken along through the page, by the real exporter, and answers elsewhere as it does here."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tellapart import store

CLASSES = ("red", "=1+1", "blue")
SHARES = (0.6652, 0.2447, 0.0900)  # softmax of the biases 0, -1, -2: the head takes no notice of the picture


@pytest.mark.timeout(900)
def test_an_onnx_file_from_the_page_answers_like_the_classifier(
    app: Flask, web: FlaskClient, service: Any, isolated_home: Path, tiny_bundle: Callable[..., Any], tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    with store.new_model("colours") as (folder, version):
        tiny_bundle(folder, CLASSES)
    store.promote(f"colours:{version}")
    service.models = [service.models[0].model_copy(update={"version": version, "model": f"colours:{version}"})]
    app.extensions["tellapart"].exports._seconds = 800
    answer = web.post("/classifiers/colours/export", data={"kind": "onnx"})
    assert (answer.status_code, answer.mimetype) == (200, "application/zip"), answer.text
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        names = archive.namelist()
        assert sorted(names) == ["README.txt", f"colours-{version}.onnx", "labels.csv"]
        assert archive.read("labels.csv").decode().splitlines()[2] == '1,"\'=1+1","1-1"'
        archive.extractall(tmp_path / "taken")
    session = onnxruntime.InferenceSession(tmp_path / "taken" / f"colours-{version}.onnx")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    (found,) = session.run(None, {session.get_inputs()[0].name: pictures})
    np.testing.assert_allclose(found, [SHARES, SHARES], atol=1e-3)

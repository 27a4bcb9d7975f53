"""The same classifier behind BentoML's own batching dispatcher."""

import os
from pathlib import Path

import bentoml
import numpy as np
from PIL import Image


@bentoml.service(workers=1, traffic={"timeout": 120})
class Stock:
    def __init__(self) -> None:
        from benchmarks.ceiling import loaded

        self.classifier = loaded(Path(os.environ["RIVAL_BUNDLE"]), os.environ["RIVAL_FORM"])

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=30_000, route="/classify")
    def classify(self, image: list[Image.Image]) -> list[dict[str, float]]:
        of = self.classifier.info.preprocessing
        probabilities = self.classifier.probabilities(np.stack([of.pixels(one.convert("RGB")) for one in image]))
        return [dict(zip(self.classifier.info.class_names, row.tolist(), strict=True)) for row in probabilities]

"""A plain FastAPI application around the same classifier, as one would write it: a thread a request, no batching."""

import os
from pathlib import Path

import numpy as np
import torch
from fastapi import FastAPI, UploadFile

from benchmarks.ceiling import loaded

classifier = loaded(Path(os.environ["RIVAL_BUNDLE"]), os.environ["RIVAL_FORM"])
app = FastAPI()


@app.get("/readyz")
def ready() -> str:
    return "ready"


@app.post("/classify")
def classify(image: UploadFile) -> dict[str, float]:
    torch.set_num_threads(1)  # counts for the thread that says it
    pixels = classifier.info.preprocessing.from_bytes(image.file.read())
    probabilities = classifier.probabilities(np.stack([pixels]))[0]
    return dict(zip(classifier.info.class_names, probabilities.tolist(), strict=True))

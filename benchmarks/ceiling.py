"""What the same classifier does in one process without HTTP: decoding and classifying in every way, the best counts.

    python -m benchmarks.ceiling BUNDLE_FOLDER SECONDS FORM PICTURE...    prints one line of JSON

Pictures a second, and milliseconds of a core that the model alone takes a picture. FORM is "eager" or the path of a
compiled package. Each thread decodes and classifies batches of its own with one core, which is the fastest there is:
nothing waits for anything.
"""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch

from tellapart.classifier import Classifier, Loader
from tellapart.compiled import load_package
from tellapart.hardware import cpus, keep_freed_memory

BATCHES = (4, 8, 16)
ROUNDS = 5


def loaded(folder: Path, form: str) -> Classifier:
    """The classifier of a bundle, in its own form or the compiled one."""
    classifier = Loader().load(folder)
    if form != "eager":
        classifier.extractor.use(classifier.info.preprocessing.crop, load_package(Path(form)))
    return classifier


def rate(classifier: Classifier, pictures: list[bytes], batch: int, seconds: float) -> float:
    """Pictures a second with one thread a core."""
    classifier.extractor.at_once = batch
    done = [0] * cpus()
    until = time.perf_counter() + seconds

    def work(number: int) -> None:
        torch.set_num_threads(1)  # counts for the thread that says it
        while time.perf_counter() < until:
            chosen = [pictures[(done[number] + i) % len(pictures)] for i in range(batch)]
            classifier.answers(np.stack([classifier.info.preprocessing.from_bytes(data) for data in chosen]))
            done[number] += batch

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(done))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def model_ms(classifier: Classifier, pictures: list[bytes]) -> float:
    """Milliseconds of a core a picture without decoding; the best of some rounds."""
    classifier.extractor.at_once = BATCHES[0]
    pixels = np.stack([classifier.info.preprocessing.from_bytes(data) for data in pictures])
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        classifier.answers(pixels)
        spent.append(time.process_time() - began)
    return 1000 * min(spent) / len(pictures)


def main(folder: str, seconds: float, form: str, files: list[str]) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    keep_freed_memory()
    classifier = loaded(Path(folder), form)
    pictures = [Path(name).read_bytes() for name in files]
    rate(classifier, pictures, BATCHES[0], 0.5)
    best = max(rate(classifier, pictures, batch, seconds / len(BATCHES)) for batch in BATCHES)
    print(json.dumps([best, model_ms(classifier, pictures)]))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4:])

"""The same classifier in LitServe, with its batching."""

import os
import sys
from pathlib import Path

import litserve as ls
import numpy as np
import torch

from benchmarks.ceiling import loaded
from tellapart.hardware import cpus


class Api(ls.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        self.classifier = loaded(Path(os.environ["RIVAL_BUNDLE"]), os.environ["RIVAL_FORM"])

    def decode_request(self, request):
        data = request["image"].file.read()
        return self.classifier.info.preprocessing.from_bytes(data)

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, pixels):
        torch.set_num_threads(1)  # counts for the thread that says it
        return self.classifier.probabilities(pixels)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return dict(zip(self.classifier.info.class_names, output.tolist(), strict=True))


if __name__ == "__main__":
    api = Api(max_batch_size=8, batch_timeout=0.005, api_path="/classify")
    # a worker a core, each with one thread, as our own Runner is tuned
    ls.LitServer(api, accelerator="cpu", workers_per_device=cpus(), timeout=60).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )

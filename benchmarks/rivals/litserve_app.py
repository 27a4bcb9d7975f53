"""The same classifier in LitServe, with its batching."""

import os
import sys
from pathlib import Path

import litserve as ls
import numpy as np

from tellapart.classifier import Loader


class Api(ls.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        self.classifier = Loader().load(Path(os.environ["RIVAL_BUNDLE"]))

    def decode_request(self, request):
        data = request["image"].file.read()
        return self.classifier.info.preprocessing.from_bytes(data)

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, pixels):
        return self.classifier.probabilities(pixels)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return dict(zip(self.classifier.info.class_names, output.tolist(), strict=True))


if __name__ == "__main__":
    api = Api(max_batch_size=8, batch_timeout=0.005, api_path="/classify")
    ls.LitServer(api, accelerator="cpu", timeout=60).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )

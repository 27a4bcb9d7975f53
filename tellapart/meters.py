"""What the service measures of itself, for `/metrics`."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Meters:
    """Histograms and counters; made once a process, after BentoML said where they are kept.

    Attributes:
        batch_size: pictures computed together.
        queue: seconds from ready to be computed, undecoded where the Runner decodes, to computing.
        decode: seconds a picture took to become the network's input.
        model: seconds a batch took in the Runner.
        waiting: pictures in the service now.
        refused: pictures and requests refused for want of room.
        restarts: how often a Runner was started again.
    """

    def __init__(self) -> None:
        _forget_the_dead()
        registry = CollectorRegistry()
        self.batch_size = Histogram(
            "tellapart_batch_size", "Pictures computed together", buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry
        )
        self.queue = Histogram(
            "tellapart_queue_seconds", "From ready to be computed to computing", buckets=_SECONDS, registry=registry
        )
        self.decode = Histogram("tellapart_decode_seconds", "Decoding a picture", buckets=_SECONDS, registry=registry)
        self.model = Histogram("tellapart_model_seconds", "A batch in the Runner", buckets=_SECONDS, registry=registry)
        self.waiting = Gauge(
            "tellapart_waiting", "Pictures in the service", multiprocess_mode="livesum", registry=registry
        )
        self.refused = Counter("tellapart_refused", "Refused for want of room", registry=registry)
        self.restarts = Counter("tellapart_runner_restarts", "Runners started again", registry=registry)


class RequestMeters:
    """What came of requests, by path and status; made once a process, as `Meters`."""

    def __init__(self) -> None:
        _forget_the_dead()
        registry = CollectorRegistry()
        self._total = Counter(
            "tellapart_requests", "Requests answered", ("endpoint", "http_response_code"), registry=registry
        )
        self._seconds = Histogram(
            "tellapart_request_seconds",
            "From the head to the answer",
            ("endpoint",),
            buckets=_SECONDS,
            registry=registry,
        )

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one; `endpoint` out of a fixed set."""
        self._total.labels(endpoint, status).inc()
        self._seconds.labels(endpoint).observe(seconds)


def _forget_the_dead() -> None:
    """Take out what processes of this server said of themselves that were killed; what they counted stays."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        if not Path("/proc", file.stem.rpartition("_")[2]).exists():
            file.unlink(missing_ok=True)

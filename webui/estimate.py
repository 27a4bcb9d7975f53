"""How long a create will take, in words, before it starts."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from tellapart.source_list import FOLDER_RATE, SOURCES
from webui.jobs import Job, Kind, State
from webui.words import duration_words

_START_SECONDS = 25.0  # starting, measuring, writing the report
_LEARN_RATE = 60.0  # pictures a second that are learned from, on two cores
_LEAST_PICTURES = 20
_RATES = {source.word: source.rate for source in SOURCES}


def estimate(classes: int, per_class: int, sources: Sequence[str], past: Iterable[Job]) -> str:
    """Words such as "Up to 400 pictures, about 3 minutes"; `past` are earlier jobs, whose rates count for more."""
    pictures = classes * per_class
    measured = [rate for job in past if (rate := _rate(job, sources))]
    if measured:
        seconds = _START_SECONDS + pictures / sorted(measured)[len(measured) // 2]
        how = "as fast as the last ones from there"
    else:
        collect = min(_RATES.get(source, FOLDER_RATE) for source in sources)
        seconds = _START_SECONDS + pictures / collect + pictures / _LEARN_RATE
        how = "if the sources are as quick as usual"
    return f"Up to {pictures} pictures: {duration_words(seconds)}, {how}."


def _rate(job: Job, sources: Sequence[str]) -> float:
    """Pictures a second that an earlier create from the same sources made in all; 0 where it tells nothing."""
    if job.kind != Kind.CREATE or job.state != State.DONE or job.options.get("sources") != list(sources):
        return 0.0
    pictures = sum(stage["counts"].get("kept", 0) for stage in job.stages if stage["stage"].startswith("collect "))
    took = (job.finished - job.started if job.finished and job.started else timedelta(0)).total_seconds()
    return pictures / max(1.0, took - _START_SECONDS) if pictures >= _LEAST_PICTURES else 0.0

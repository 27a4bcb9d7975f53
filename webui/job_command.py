"""The command line that does a job's work; the only place that knows its options."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tellapart.settings import Settings
from webui.jobs import Job, Kind

SAMPLES_PER_CLASS = 6


def job_command(job: Job, settings: Settings) -> list[str]:
    """What to run for a job.

    A create's and a sample's options are `classes`, `sources`, `license` and `per_class`, a train's is `dataset`.
    """
    return [sys.executable, "-m", "cli", *_words(job, settings)]


def sample_folder(job: Job, settings: Settings) -> Path:
    """Where a sample's pictures are while people look at them."""
    return settings.home / "web" / "samples" / job.id


def dataset_folder(job: Job, settings: Settings) -> Path:
    """The data set that a job fills or reads; it may not be there yet."""
    return sample_folder(job, settings) if job.kind == Kind.SAMPLE else settings.datasets / dataset_name(job)


def dataset_name(job: Job) -> str:
    """The name of the data set that a create or train works on."""
    return str(job.options.get("dataset") or job.name)


def _words(job: Job, settings: Settings) -> Sequence[str]:
    if job.kind == Kind.TRAIN:
        return ["train", str(dataset_folder(job, settings)), "--name", job.name, "--progress", "json"]
    if job.kind == Kind.SAMPLE:
        return ["collect", *_collecting(job), "--", str(sample_folder(job, settings)), *job.options["classes"]]
    return ["create", "--yes", *_collecting(job), "--", job.name, *job.options["classes"]]


def _collecting(job: Job) -> Sequence[str]:
    sources = [word for source in job.options["sources"] for word in ("--source", source)]
    licence = ["--license", job.options["license"]] if job.options.get("license") else []
    return [*sources, "--per-class", str(job.options["per_class"]), *licence, "--progress", "json"]

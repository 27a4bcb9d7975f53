"""Classifying files, folders and zip archives, one row a picture. Only the classifier it is given needs torch."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tellapart.csvs import table
from tellapart.images import ImageError, probe
from tellapart.preprocess import Preprocessing
from tellapart.progress import Progress, Report, Stage
from tellapart.wire import Problem, Result, image_error, make_result
from tellapart.wording import confidence, counted
from training.inputs import Found, Input, LeftOut, Unusable, find_inputs

if TYPE_CHECKING:
    from tellapart.classifier import Classifier

BATCH = 32


@dataclass(frozen=True)
class PredictionRow:
    """The answer for one picture, or why there is none; `str` is one line.

    Attributes:
        path: as it was found; a member of an archive is ARCHIVE.zip/NAME.
        result: the answer, as the service gives it.
        error: what went wrong otherwise.
    """

    path: str
    result: Result | None = None
    error: Problem | None = None

    def __str__(self) -> str:
        if self.result is not None:
            if self.result.none_of_these:
                return f"{self.path}: none of these; {self.result.top} is nearest"
            return f"{self.path}: {self.result.top} ({confidence(self.result.confidence)})"
        return f"{self.path}: error: {self.error.message if self.error else 'unknown'}"


@dataclass(frozen=True)
class _Picture:
    """A picture ready for the network; `seconds` is what decoding it took."""

    path: str
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    seconds: float


def predict(classifier: "Classifier", tag: str, paths: Iterable[Path], report: Report) -> Iterator[PredictionRow]:
    """Classify pictures in batches of 32, in the order found; one bad picture never stops the rest.

    Args:
        tag: exact tag of the classifier, for the answers.
        paths: files, folders (read recursively, hidden files passed over) and zip archives. What
            is missing or unreadable becomes a row with an error; of folders and archives, files that
            are plainly no pictures are left out, and said.
    """
    left_out: list[LeftOut] = []
    found = _without(left_out, find_inputs(paths))
    waiting = (_prepare(classifier.info.preprocessing, item) for item in found)
    with Stage(report, "predict") as stage:
        while batch := list(islice(waiting, BATCH)):
            rows = _answer(classifier, tag, batch)
            stage.advance(len(rows), failed=sum(row.error is not None for row in rows))
            yield from rows
    if left_out:
        files = counted(sum(other.count for other in left_out), "file that is no picture", "files that are no pictures")
        report(Progress("left out", note=files, finished=True))


def to_json(rows: Iterable[PredictionRow]) -> str:
    """A JSON list: each row its path with the fields of the answer, or with "error"."""
    return json.dumps([_plain(row) for row in rows], indent=2, ensure_ascii=False) + "\n"


def to_csv(rows: Iterable[PredictionRow]) -> str:
    """A table with a header; no cell can be taken for a formula by a spreadsheet."""
    return table(["path", "class", "confidence", "none_of_these", "error", "message"], map(_cells, rows))


def _plain(row: PredictionRow) -> dict[str, Any]:
    if row.result is not None:
        return {"path": row.path} | row.result.model_dump(by_alias=True)
    return {"path": row.path, "error": row.error.model_dump() if row.error else None}


def _cells(row: PredictionRow) -> list[str]:
    if row.result is not None:
        answer = row.result
        return [row.path, answer.top, f"{answer.confidence:.6f}", str(answer.none_of_these).lower(), "", ""]
    error = row.error or Problem(code="", message="")
    return [row.path, "", "", "", error.code, error.message]


def _without(left_out: list[LeftOut], found: Iterable[Found]) -> Iterator[Input | Unusable]:
    """What is found but what is left out, which is put on the list."""
    for item in found:
        if isinstance(item, LeftOut):
            left_out.append(item)
        else:
            yield item


def _prepare(preprocessing: Preprocessing, item: Input | Unusable) -> "_Picture | PredictionRow":
    if isinstance(item, Unusable):
        return PredictionRow(item.name, error=Problem(code=item.code, message=item.message))
    started = time.perf_counter()
    try:
        shown = probe(item.data)
        pixels = preprocessing.from_bytes(item.data)
    except ImageError as error:
        answer = image_error(error)
        return PredictionRow(item.name, error=Problem(code=answer.code, message=str(answer)))
    return _Picture(item.name, pixels, (shown.width, shown.height), time.perf_counter() - started)


def _answer(classifier: "Classifier", tag: str, batch: Sequence["_Picture | PredictionRow"]) -> list[PredictionRow]:
    pictures = [p for p in batch if isinstance(p, _Picture)]
    if not pictures:
        return [p for p in batch if isinstance(p, PredictionRow)]
    started = time.perf_counter()
    answers = zip(*classifier.answers(np.stack([p.pixels for p in pictures])), strict=True)
    seconds = (time.perf_counter() - started) / len(pictures)
    return [p if isinstance(p, PredictionRow) else _row(classifier, tag, p, next(answers), seconds) for p in batch]


def _row(
    classifier: "Classifier", tag: str, picture: _Picture, answer: tuple[NDArray[np.float32], np.bool_], seconds: float
) -> PredictionRow:
    info, (probabilities, none_of_these) = classifier.info, answer
    result = make_result(
        tag,
        info.class_names,
        probabilities.tolist(),
        picture.size,
        reject_threshold=info.reject_threshold,
        none_of_these=bool(none_of_these),
        time_ms=1000 * (picture.seconds + seconds),
    )
    return PredictionRow(picture.path, result)

"""`tellapart audit`: asking a person about a sample of each class, and telling how many pictures are right."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from rich.markup import escape
from rich.table import Table

from tellapart.dataset import Dataset
from tellapart.decisions import AuditItem
from tellapart.errors import DataError
from tellapart.purity import SAMPLE, Purity, answer, draw_sample, estimate
from tellapart.wording import counted, percent

Answer = Literal["yes", "no", "skip", "stop"]
_RIGHT = {"yes": True, "no": False}
_GONE, _UNASKED = "not in the class now", "not in the sample now"
_NAMED = 3


class _Given(BaseModel):
    """An answer from a file."""

    class_slug: str
    sha256: str
    right: bool | None


def draw_samples(dataset: Dataset, size: int = SAMPLE, seed: int = 0) -> list[AuditItem]:
    """The sample of every class, in class index order; see `tellapart.purity.draw_sample`."""
    return [item for c in dataset.classes for item in draw_sample(dataset, c.slug, size, seed)]


def ask_person(
    dataset: Dataset, sample: Iterable[AuditItem], ask: Callable[[str], Answer], tell: Callable[[str], None]
) -> None:
    """Ask about the pictures that have no answer yet; each answer is stored at once.

    Args:
        ask: gets a question, and returns the answer.
        tell: shows a line.
    """
    names = {c.slug: c.name for c in dataset.classes}
    places = _places(dataset)
    waiting = [item for item in sample if item.right is None]
    for number, item in enumerate(waiting, start=1):
        tell(places[item.class_slug, item.sha256])
        given = ask(f"{number} of {len(waiting)}: does it show {names[item.class_slug]!r}?")
        if given == "stop":
            return
        if given != "skip":
            answer(dataset, item.class_slug, item.sha256, _RIGHT[given])


@dataclass(frozen=True)
class Taken:
    """What came of answers: how many were stored, and the pictures whose answers were not, by the reason."""

    stored: int
    left: Mapping[str, Sequence[str]]

    def refuse_rest(self, origin: str) -> None:
        """Let a script know that answers were not taken; the others are stored all the same.

        Raises:
            DataError: there are such; it names some.
        """
        left = sum(map(len, self.left.values()))
        if not left:
            return
        total = left + self.stored
        whys = "; ".join(f"{counted(len(found), 'picture')} {why} ({_some(found)})" for why, found in self.left.items())
        what = f"{origin}: {left} of {counted(total, 'answer')} not taken: {whys}"
        raise DataError(what, "See what is asked now with: tellapart audit DATASET --json FILE")


def take_answers(dataset: Dataset, text: bytes, origin: str) -> Taken:
    """Store the answers of a JSON text: what `to_json` gives with `right` filled in, or only its list `sample`.

    Answers that are null are passed over. Those to pictures that are in no sample now, as their class has
    changed since they were asked about, are not stored.

    Raises:
        DataError: it is no such text; nothing is stored.
    """
    given = [row for row in _read(text, origin) if row.right is not None]
    kept = {(a.class_slug, a.sha256) for a in dataset.manifest.kept()}
    left: defaultdict[str, list[str]] = defaultdict(list)
    for row in given:
        try:
            answer(dataset, row.class_slug, row.sha256, row.right)
        except DataError:
            why = _UNASKED if (row.class_slug, row.sha256) in kept else _GONE
            left[why].append(f"{row.class_slug!r} {row.sha256[:12]}")
    return Taken(len(given) - sum(map(len, left.values())), left)


def to_json(dataset: Dataset, sample: Iterable[AuditItem]) -> dict[str, Any]:
    """What is known of each class, and the sample with its answers, as JSON-able values."""
    places = _places(dataset)
    return {
        "dataset": dataset.name,
        "classes": [{"class": c.name, "slug": c.slug, **asdict(purity)} for c, purity in _estimates(dataset)],
        "sample": [
            {
                "class_slug": item.class_slug,
                "sha256": item.sha256,
                "picture": places[item.class_slug, item.sha256],
                "right": item.right,
            }
            for item in sample
        ],
    }


def purity_table(dataset: Dataset) -> Table:
    """The share of right pictures of each class, as far as it is known."""
    table = Table("class", "pictures", "answered", "right", "95 % interval", title="Purity")
    for c, purity in _estimates(dataset):
        known = ("", "not enough answers") if purity.share is None else _shares(purity.share, purity)
        table.add_row(escape(c.name), str(purity.pictures), f"{purity.answered} of {purity.asked}", *known)
    return table


def _some(pictures: Sequence[str]) -> str:
    more = f" and {len(pictures) - _NAMED} more" if len(pictures) > _NAMED else ""
    return ", ".join(pictures[:_NAMED]) + more


def _shares(share: float, purity: Purity) -> tuple[str, str]:
    return percent(share, 0), f"{percent(purity.low, 0)} to {percent(purity.high, 0)}"


def _estimates(dataset: Dataset) -> Iterator[tuple[Any, Purity]]:
    return ((c, estimate(dataset, c.slug)) for c in dataset.classes)


def _places(dataset: Dataset) -> dict[tuple[str, str], str]:
    """The path of each kept picture, by class slug and sha256."""
    return {(a.class_slug, a.sha256): str(dataset.image_path(a)) for a in dataset.manifest.kept()}


def _read(text: bytes, origin: str) -> Sequence[_Given]:
    try:
        value = json.loads(text)
        return TypeAdapter(list[_Given]).validate_python(value.get("sample") if isinstance(value, dict) else value)
    except ValidationError as error:
        problem = _in_words(error.errors()[0])
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno} is not JSON"
    except (ValueError, RecursionError):
        problem = "it is not JSON"
    raise DataError(f"{origin} holds no answers: {problem}", "Fill in what tellapart audit DATASET --json prints")


def _in_words(fault: ErrorDetails) -> str:
    """What is wrong with a list of answers; `loc` is the row, counted from 0, and the field, as far as it got."""
    match fault["loc"]:
        case (int(row), str(field)) if fault["type"] == "missing":
            return f"row {row + 1} has no {field!r}"
        case (int(row), "right"):
            return f"'right' of row {row + 1} is neither true, false nor null"
        case (int(row), str(field)):
            return f"{field!r} of row {row + 1} is no text"
        case (int(row), *_):
            return f"row {row + 1} is no answer"
    return "it has no list 'sample'"

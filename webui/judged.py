"""How the classifier in force judged the pictures of its data set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tellapart.predictions import Judged, read_predictions
from tellapart.store import list_models


@dataclass(frozen=True)
class JudgedPictures:
    """The pictures that a classifier was measured on, with the class it saw in each; `by` is its tag, "" for none."""

    rows: Sequence[Judged] = ()
    by: str = ""

    def in_cell(self, true: str, predicted: str) -> list[str]:
        """The sha256 of the pictures of one cell of the confusion matrix, by class slugs."""
        return [row.sha256 for row in self.rows if (row.class_slug, row.predicted_slug) == (true, predicted)]

    @property
    def mistakes(self) -> list[tuple[str, str, int]]:
        """The cells off the diagonal, (true, predicted, pictures), the fullest first."""
        cells = Counter((row.class_slug, row.predicted_slug) for row in self.rows)
        return [(true, seen, n) for (true, seen), n in cells.most_common() if true != seen]


def judged_pictures(name: str) -> JudgedPictures:
    """What the promoted version of a classifier was measured on; nothing where there is none."""
    current = next((m for m in list_models(name) if m.promoted), None)
    return JudgedPictures(read_predictions(current.path), current.tag) if current else JudgedPictures()

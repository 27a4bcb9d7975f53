"""Which pictures of a data set a review page shows, as its address says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flask import abort

from tellapart.dataset import Dataset
from tellapart.listing import ORDERS, SHOWN, Wanted
from webui.judged import judged_pictures

CELL = "cell"


@dataclass(frozen=True)
class Filters:
    """What the address says, with the defaults put in.

    Attributes:
        show: one of `listing.SHOWN`, or "cell" (of the confusion matrix).
        class_slug: of one class only, "" for all.
        order: one of `listing.ORDERS`.
        true, predicted: class slugs of the cell.
    """

    show: str = "kept"
    class_slug: str = ""
    order: str = "suspicion"
    true: str = ""
    predicted: str = ""

    def query(self) -> dict[str, str]:
        """The parameters that give these filters again; what is the default is left out."""
        names = {"class_slug": "class"}
        values = {names.get(key, key): value for key, value in vars(self).items()}
        default = {names.get(key, key): value for key, value in vars(Filters()).items()}
        return {key: value for key, value in values.items() if value != default[key]}

    def wanted(self, name: str) -> Wanted:
        """The same for the list of the data set; `name` is the classifier's that judged its cells."""
        wanted = Wanted(self.show, self.class_slug, self.order)
        if self.show == CELL:
            judged = judged_pictures(name)
            return replace(wanted, shown="kept", digests=judged.in_cell(self.true, self.predicted))
        return wanted


def read_filters(values: Mapping[str, str], dataset: Dataset) -> Filters:
    """The filters of an address or a form; 404 for what cannot be."""
    slugs = {c.slug for c in dataset.classes}
    filters = Filters(
        values.get("show") or "kept",
        values.get("class", ""),
        values.get("order") or "suspicion",
        values.get("true", ""),
        values.get("predicted", ""),
    )
    if filters.show not in (*SHOWN, CELL) or filters.order not in ORDERS:
        abort(404)
    if any(slug and slug not in slugs for slug in (filters.class_slug, filters.true, filters.predicted)):
        abort(404)
    return filters


def read_number(values: Mapping[str, str], key: str, default: int) -> int:
    """A number from 0 on; the default for anything else."""
    text = values.get(key, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else default

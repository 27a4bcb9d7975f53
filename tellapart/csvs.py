"""Tables for spreadsheets, written so that no cell can be taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TextIO

_FORMULA_STARTS = tuple("=+-@|%\t\r\n＝＋－＠")  # full-width ones are taken for the others in East Asian settings


def write_table(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows, one after the other as they come; every text is made harmless.

    Every text is quoted, as some spreadsheets cut cells at semicolons or tabs too.
    """
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(header)
    writer.writerows([harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The same as one text."""
    text = io.StringIO()
    write_table(text, header, rows)
    return text.getvalue()


def harmless(cell: str) -> str:
    """A cell that a spreadsheet shows as it is: what would start a formula gets an apostrophe before it."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) or cell.lstrip().startswith(_FORMULA_STARTS) else cell

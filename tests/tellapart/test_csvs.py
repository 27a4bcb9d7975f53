"""No cell of a table we write starts a formula, and what is written reads back."""

import csv
import io

import pytest

from tellapart.csvs import harmless, table


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@x", "|x", "%x", "\tx", "\r=x", "\n=x", "  =HYPERLINK()", "＝1", "＋1", "－1", "＠x"]
)
def test_what_would_start_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "cat", " cat", "3 = 3", "a@b", "'quoted'", "日本"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert harmless(cell) == cell


def test_a_table_reads_back() -> None:
    text = table(["name", "count"], [['a "b", c', 1], ["two\nlines", -2], ["=A1", 3]])
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "count"],
        ['a "b", c', "1"],
        ["two\nlines", "-2"],
        ["'=A1", "3"],
    ]


@pytest.mark.parametrize("name", ["holiday;=1+1", "holiday\t=1+1", "holiday,=1+1"])
def test_no_separator_that_a_spreadsheet_goes_by_cuts_a_cell(name: str) -> None:
    text = table(["name", "class"], [[name, "cat"]])
    assert text.splitlines() == ['"name","class"', f'"{name}","cat"']

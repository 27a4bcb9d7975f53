"""Answers as files to keep."""

from collections.abc import Sequence
from typing import Any

from flask import Response, jsonify

from tellapart.csvs import table
from webui.records import Entry

_COLUMNS = ("picture", "answer", "confidence", "none_of_these", "classifier", "sha256", "error")


def as_json(entries: Sequence[Entry], name: str, created: str = "") -> Response:
    """A JSON document with every entry, as a download."""
    listed = [entry.model_dump(mode="json") for entry in entries]
    return attachment(jsonify({"entries": listed} | ({"created": created} if created else {})), f"{name}.json")


def as_csv(entries: Sequence[Entry], name: str) -> Response:
    """A table with a row for each picture; no cell is a formula to a spreadsheet."""
    most = max((len(e.result.predictions) for e in entries if e.result), default=0)
    ranked = [f"{word}_{rank}" for rank in range(1, most + 1) for word in ("class", "confidence")]
    text = table([*_COLUMNS, *ranked], (_row(entry) for entry in entries))
    return attachment(Response(text, mimetype="text/csv"), f"{name}.csv")


def attachment(response: Response, name: str) -> Response:
    """An answer that browsers save; the name is made of ids alone, or of names that were checked."""
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _row(entry: Entry) -> list[Any]:
    if entry.result is None:
        return [entry.name, "", "", "", "", entry.sha256, entry.error.message if entry.error else ""]
    r = entry.result
    answer = "" if r.none_of_these else r.top
    ranked = [cell for p in r.predictions for cell in (p.class_name, f"{p.confidence:.6f}")]
    return [entry.name, answer, f"{r.confidence:.6f}", str(r.none_of_these).lower(), r.model, entry.sha256, "", *ranked]

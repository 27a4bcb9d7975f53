"""Looking through a data set: filters, orders and pages."""

from pathlib import Path

import pytest

from tellapart.flags import Suspect, to_flags
from tellapart.listing import Wanted, count, page
from tellapart.manifest import Attempt, Manifest
from tellapart.pictures import Reason, Status


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Cats 1 to 3 (2 is suspect, 3 more so and surely), dog 4, and dog 5 that was taken out."""
    manifest = Manifest(tmp_path / "manifest.sqlite")
    rows = [("cat", 1), ("cat", 2), ("cat", 3), ("dog", 4), ("dog", 5)]
    manifest.add(_attempt(slug, n) for slug, n in rows)
    manifest.add([_attempt("cat", 1, url="again")])  # the same bytes from another address
    manifest.add([_attempt("cat", 9, digest="", status=Status.FAILED, reason=Reason.TIMEOUT)])
    manifest.set_status([_attempt("dog", 5)], Status.QUARANTINED, Reason.REMOVED)
    suspects = [_suspect(2, 0.99, False), _suspect(3, 0.6, True)]
    manifest.assign("flags", to_flags(suspects))
    return manifest


def _attempt(slug: str, n: int, url: str = "", digest: str | None = None, **values: object) -> Attempt:
    known = {"status": Status.KEPT, "reason": Reason.OK} | values
    sha256 = str(n) * 64 if digest is None else digest
    return Attempt(url or f"u{n}", slug, sha256=sha256, fetched_at=f"2026-01-0{n}", **known)  # type: ignore[arg-type]


def _suspect(n: int, score: float, confident: bool) -> Suspect:
    return Suspect(str(n) * 64, "cat", "label_error", score, "looks like a dog", "move", "dog", confident)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), "3214"),
        (Wanted(order="newest"), "4321"),
        (Wanted(order="class"), "1234"),
        (Wanted(shown="suspects"), "32"),
        (Wanted(class_slug="dog"), "4"),
        (Wanted(shown="out"), "5"),
        (Wanted(digests=["1" * 64, "4" * 64, "x"]), "14"),
        (Wanted(digests=[]), ""),
    ],
)
def test_filters_and_orders(manifest: Manifest, wanted: Wanted, expected: str) -> None:
    assert "".join(row.sha256[0] for row in page(manifest, wanted)) == expected
    assert count(manifest, wanted) == len(expected)


def test_pages_follow_each_other(manifest: Manifest) -> None:
    pages = [page(manifest, Wanted(), offset, 3) for offset in (0, 3, 6)]
    assert ["".join(row.sha256[0] for row in rows) for rows in pages] == ["321", "4", ""]


def test_a_suspect_says_why(manifest: Manifest) -> None:
    first = page(manifest, Wanted(), limit=1)[0]
    assert first.flag["reason"] == "looks like a dog"
    assert first.flag["to"] == "dog"

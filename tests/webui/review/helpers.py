"""The pictures of the data set of `conftest`, and how many are left."""

from tellapart.dataset import Dataset


def sha(dataset: Dataset, number: int) -> str:
    return next(a.sha256 for a in dataset.manifest.attempts() if a.url == f"u{number}")


def keys(dataset: Dataset, *numbers: int) -> list[str]:
    """The pictures as the page names them."""
    return [f"{('cat', 'dog')[n // 3]}/{sha(dataset, n)}" for n in numbers]


def kept(dataset: Dataset) -> dict[str, int]:
    return {c.slug: len(dataset.manifest.kept(c.slug)) for c in dataset.classes}

"""A small data set to look through, and deciding about its pictures."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tellapart.dataset import Dataset
from tellapart.flags import Suspect, store_flags
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.settings import Settings
from tests.webui.review.helpers import sha

JSON = {"Accept": "application/json"}
MakePicture = Callable[..., bytes]


@pytest.fixture
def dataset(settings: Settings, make_photo: MakePicture, isolated_home: Path) -> Dataset:
    """Three cats and three dogs called 0 to 5; 4 is a suspect dog that looks like a cat."""
    dataset = Dataset.create(settings.datasets / "pets", "pets", parse_class_names(["cat", "dog"]), ["folder"])
    for number in range(6):
        slug, data = ("cat", "dog")[number // 3], make_photo(number)
        picture = inspect(data)
        dataset.store(slug, picture, data)
        attempt = Attempt(f"u{number}", slug, Status.KEPT, Reason.OK, source="folder", rank=number)
        dataset.manifest.add([attempt.with_picture(picture)])
    store_flags(dataset, [Suspect(sha(dataset, 4), "dog", "label_error", 0.9, "looks like a cat", "move", "cat")])
    return dataset


@pytest.fixture
def stage(web: FlaskClient) -> Callable[..., Any]:
    return lambda action, pictures, to="": web.post(
        "/datasets/pets/stage", json={"action": action, "to": to, "pictures": pictures}, headers=JSON
    )


@pytest.fixture
def send(web: FlaskClient) -> Callable[..., Any]:
    """Send files to a class: `send(("a.png", bytes), to="cat", json=True)`."""

    def post(*files: tuple[str, bytes], to: str = "cat", json: bool = True, name: str = "pets") -> Any:
        data = {"class": to, "images": [(io.BytesIO(data), name) for name, data in files]}
        return web.post(f"/datasets/{name}/uploads", data=data, headers=JSON if json else {})

    return post

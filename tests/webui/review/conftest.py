"""A small data set to look through, and deciding about its pictures."""

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

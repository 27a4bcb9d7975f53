"""A data set with nasty names, and the page over it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect
from tellapart.predictions import Judged, write_predictions
from tellapart.settings import Settings
from tellapart.store import new_model, promote
from tellapart.wire import NeighbourPicture
from tests.webui.attacks.site import CLASS_NAMES, PASSWORD, SERVED_CLASS_NAMES, Site, fill
from webui import users
from webui.app import create_app


@pytest.fixture
def dataset(settings: Settings, isolated_home: Path, make_photo: Callable[..., bytes]) -> Dataset:
    classes = parse_class_names(CLASS_NAMES)
    dataset = Dataset.create(settings.datasets / "colours", "colours", classes, [])
    for number in range(2 * len(classes)):
        slug, data = classes[number // 2].slug, make_photo(number)
        picture = inspect(data)
        dataset.store(slug, picture, data)
        seen = Attempt(f"u{number}", slug, Status.KEPT, Reason.OK, rank=number, author="=1+1", page_url="javascript:x")
        dataset.manifest.add([seen.with_picture(picture)])
    return dataset


@pytest.fixture
def site(
    settings: Settings,
    service: Any,
    service_client: Any,
    dataset: Dataset,
    tiny_bundle: Callable[..., Any],
    make_picture: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    first = dataset.manifest.kept()[0]
    with new_model("colours") as (folder, version):
        info = tiny_bundle(folder, CLASS_NAMES, file=b"x" * 100, dataset={"name": "colours"})
        (folder / "report").mkdir()
        write_predictions(folder, [Judged(first.sha256, first.class_slug, dataset.classes[1].slug, 0.9)])
    promote(f"colours:{version}")
    assert info
    summary = {"version": version, "model": f"colours:{version}", "classes": list(SERVED_CLASS_NAMES)}
    service.models = [service.models[0].model_copy(update=summary)]
    service.neighbours = [NeighbourPicture(sha256=first.sha256, class_name=SERVED_CLASS_NAMES[4], similarity=0.8)]
    monkeypatch.setattr(users, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))  # quick
    app = create_app(settings, client=service_client)
    for name in ("ann", "bob"):
        app.extensions["tellapart"].users.add(name, PASSWORD)
    app.extensions["tellapart"].users._seen = None
    site = Site(app, service, make_picture("red"))
    fill(site, dataset, version)
    yield site
    app.extensions["tellapart"].database.close()

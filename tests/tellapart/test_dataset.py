import json

import pytest

from tellapart.dataset import Dataset
from tellapart.errors import DataError, MissingError
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status, inspect


@pytest.fixture
def dataset(tmp_path):
    return Dataset.create(tmp_path / "pets", "pets", parse_class_names(["sea lion", "dog"]), ["gallery"])


def put(dataset, slug, data, url="u/1", **fields):
    picture = inspect(data)
    dataset.store(slug, picture, data)
    attempt = Attempt(url, slug, Status.KEPT, Reason.OK, **fields).with_picture(picture)
    dataset.manifest.add([attempt])
    return attempt


def test_create_then_open(dataset, tmp_path):
    opened = Dataset.open(tmp_path / "pets")
    assert opened == dataset
    assert opened.created == dataset.created
    assert [(c.name, c.slug) for c in opened.classes] == [("sea lion", "sea-lion"), ("dog", "dog")]
    assert (opened.sources, opened.folder) == (("gallery",), None)
    assert json.loads((tmp_path / "pets" / "dataset.json").read_text())["format"] == 1


def test_creating_again_adds_what_is_new_and_keeps_the_order(dataset, tmp_path):
    again = Dataset.create(tmp_path / "pets", "other", parse_class_names(["bird", "dog"]), ["urls", "gallery"])
    assert [c.slug for c in again.classes] == ["sea-lion", "dog", "bird"]
    assert (again.name, again.sources, again.created) == ("pets", ("gallery", "urls"), dataset.created)
    assert Dataset.open(tmp_path / "pets") == again


def test_creating_the_same_again_writes_nothing(dataset, tmp_path):
    path = tmp_path / "pets" / "dataset.json"
    before = path.stat().st_ino
    Dataset.create(tmp_path / "pets", "pets", dataset.classes, ["gallery"])
    assert path.stat().st_ino == before


def test_pictures_are_stored_as_they_came_under_their_digest(dataset, make_photo):
    attempt = put(dataset, "sea-lion", make_photo(1, format="JPEG"))
    path = dataset.root / "images" / "sea-lion" / f"{attempt.sha256}.jpg"
    assert path.read_bytes() == make_photo(1, format="JPEG")
    assert dataset.image_path(attempt) == path


def test_samples_have_class_indices_splits_and_groups(dataset, make_photo):
    first = put(dataset, "dog", make_photo(1), "u/1", split="val", group_id="g")
    second = put(dataset, "sea-lion", make_photo(2), "u/2")
    put(dataset, "no-longer-a-class", make_photo(3), "u/3")
    dataset.manifest.add([Attempt("u/4", "dog", Status.REJECTED, Reason.EMPTY)])
    assert [(s.class_index, s.sha256, s.split, s.group_id) for s in dataset.samples()] == [
        (1, first.sha256, "val", "g"),
        (0, second.sha256, "", second.sha256),
    ]
    assert [s.sha256 for s in dataset.samples([second])] == [second.sha256]
    assert all(s.path.is_file() for s in dataset.samples())


def test_the_digest_changes_with_what_training_sees(dataset, tmp_path, make_photo):
    digests = [dataset.digest()]
    attempt = put(dataset, "dog", make_photo(1))
    digests.append(dataset.digest())
    dataset.manifest.assign("split", {attempt.sha256: "val"})
    digests.append(dataset.digest())
    dataset.manifest.assign("group_id", {attempt.sha256: "g"})
    digests.append(dataset.digest())
    dataset = Dataset.create(tmp_path / "pets", "pets", parse_class_names(["bird", "dog"]), [])
    digests.append(dataset.digest())
    dataset.manifest.set_status([attempt], Status.QUARANTINED, Reason.LEAK)
    digests.append(dataset.digest())
    assert len(set(digests)) == 6
    dataset.manifest.add([Attempt("u/9", "dog", Status.REJECTED, Reason.EMPTY)])
    assert dataset.digest() == digests[-1]


def test_the_digest_does_not_depend_on_where_or_in_what_order(tmp_path, make_photo):
    digests = set()
    for place, order in (("a", [1, 2]), ("b", [2, 1])):
        dataset = Dataset.create(tmp_path / place, place, parse_class_names(["cat", "dog"]), [place])
        for seed in order:
            put(dataset, "cat", make_photo(seed), f"{place}/{seed}")
        digests.add(dataset.digest())
    assert len(digests) == 1


def test_a_data_set_that_is_not_there(tmp_path):
    with pytest.raises(MissingError, match=r"there is no data set in .*nothing") as caught:
        Dataset.open(tmp_path / "nothing")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "has format 2, this program reads 1"),
        ({"format": None}, "has format None"),
        ({"classes": [{"name": "cat"}]}, "is not readable: 'slug'"),
        ({"classes": None}, "is not readable"),
        ({"classes": ["cat"]}, "is not readable"),
        ({"sources": None}, "is not readable"),
        ({"folder": 5}, "is not readable"),
    ],
)
def test_a_description_that_does_not_fit_is_one_line(dataset, change, words):
    path = dataset.root / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=words) as caught:
        Dataset.open(dataset.root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}"])
def test_a_description_that_is_no_json_object_is_one_line(dataset, content):
    (dataset.root / "dataset.json").write_bytes(content)
    with pytest.raises(DataError, match=r"dataset\.json is not readable"):
        Dataset.open(dataset.root)

"""`tellapart curate` on a plain folder of drawn pictures, with the embedded backbone."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

import cli
from tellapart.dataset import Dataset
from tellapart.folders import open_folder
from tellapart.listing import Wanted, page
from tellapart.pictures import Reason
from tellapart.settings import load_settings
from tests.cli.helpers import METRICS, Told

KINDS = ("discs", "stripes", "crosses")
OPTIONS = ("--backbone", "efficientnet_lite0", "--device", "cpu")


def draw(kind, seed):
    """A shape in a dark colour on a noisy light ground, as a PNG file's bytes."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    image = Image.fromarray(rng.integers(170, 255, (128, 128, 3), dtype=np.uint8))
    pen, colour = ImageDraw.Draw(image), tuple(rng.integers(0, 120, 3).tolist())
    x, y, r = rng.integers(50, 78), rng.integers(50, 78), rng.integers(28, 44)
    if kind == "discs":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif kind == "stripes":
        for left in range(int(rng.integers(0, 10)), 128, 20):
            pen.rectangle((left, 0, left + 9, 128), fill=colour)
    else:
        pen.rectangle((x - r, y - 7, x + r, y + 7), fill=colour)
        pen.rectangle((x - 7, y - r, x + 7, y + r), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def shapes(tmp_path):
    """Twelve pictures of each shape, and two discs among the stripes."""
    folder = tmp_path / "shapes"
    rows = [(kind, kind, seed) for kind in KINDS for seed in range(12)]
    for kind, shown, seed in [*rows, ("stripes", "discs", 50), ("stripes", "discs", 51)]:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"{shown}-{seed}.png").write_bytes(draw(shown, seed))
    return folder


@pytest.fixture
def tell(isolated_home, capsys):
    def run(*words):
        code = cli.main(list(words))
        return Told(code, *capsys.readouterr())

    return run


def taken_out(folder):
    dataset = open_folder(folder, load_settings().home)
    reasons = (Reason.REMOVED, Reason.MOVED)
    return sorted(a.url.rpartition("/")[2] for a in dataset.manifest.attempts() if a.reason in reasons)


def test_suspects_are_named_taken_out_and_put_back(shapes, isolated_home, capsys):
    assert cli.main(["curate", str(shapes), *OPTIONS]) == 0
    told, said = capsys.readouterr()
    loading = "start: loading PyTorch; weights that are not on this machine are downloaded\n"
    assert said.count(loading) == 1
    assert said.index(loading) < said.index("features: ")
    assert "looks like 'discs', not" in told
    assert f"To take those out: tellapart curate {shapes} --apply" in told
    assert taken_out(shapes) == []

    assert cli.main(["curate", str(shapes), "--apply", *OPTIONS]) == 0
    told = capsys.readouterr()
    assert f"tellapart curate {shapes} --undo" in told.out
    out = taken_out(shapes)
    assert {"discs-50.png", "discs-51.png"} <= set(out)
    done, _, still = told.out.partition("Suspects\n")
    assert "Taken out" in done
    assert [name for name in out if name in still] == []
    assert f"{len(out)} suspects taken out" in told.out
    assert "quarantined" not in told.out + told.err
    assert len(out) <= 5
    assert len(list(shapes.rglob("*.png"))) == 38

    assert cli.main(["curate", str(shapes), "--undo", *OPTIONS]) == 0
    assert f"put back: {len(out)} pictures" in capsys.readouterr().out
    assert taken_out(shapes) == []


def test_every_suspect_is_listed_for_programs(shapes, isolated_home, capsys, tmp_path):
    listed = tmp_path / "suspects.json"
    assert cli.main(["curate", str(shapes), "--json", str(listed), *OPTIONS]) == 0
    assert "Suspects" in capsys.readouterr().out
    suspects = json.loads(listed.read_text())
    wrong = {s["picture"]: s for s in suspects if s["confident"]}
    assert {"stripes/discs-50.png", "stripes/discs-51.png"} <= set(wrong)
    assert wrong["stripes/discs-50.png"]["class"] == "stripes"
    assert wrong["stripes/discs-50.png"]["to"] == "discs"
    assert len(wrong["stripes/discs-50.png"]["sha256"]) == 64

    assert cli.main(["curate", str(shapes), "--json", "-", *OPTIONS]) == 0
    assert json.loads(capsys.readouterr().out) == suspects


@pytest.fixture
def training_at_once(monkeypatch, tiny_bundle):
    """What trains is done at once; what comes before it is not."""

    def write(_dataset, _options, folder, *_):
        return tiny_bundle(folder, file=b"not loaded", metrics=METRICS)

    monkeypatch.setattr("training.train.train", write)


@pytest.mark.usefixtures("training_at_once")
def test_training_flags_the_wrong_ones_among_new_pictures_and_takes_none_out(shapes, isolated_home, tell):
    new = [path.rename(isolated_home / path.name) for path in (shapes / "stripes").glob("discs-*")]
    collect = ("collect", "mine", *KINDS, "--source", f"folder:{shapes}")
    train = ("train", "mine", "--name", "mine", *OPTIONS)
    assert tell(*collect).code == 0
    assert "suspects: 36 pictures" in tell(*train).err
    for path in new:
        path.rename(shapes / "stripes" / path.name)
    assert tell(*collect).code == 0
    told = tell(*train)
    dataset = Dataset.open(isolated_home / "home" / "datasets" / "mine")
    flagged = {row.sha256 for row in page(dataset.manifest, Wanted("suspects"))}
    assert {a.sha256 for a in dataset.manifest.kept() if "/discs-5" in a.url and a.class_slug == "stripes"} <= flagged
    assert len(dataset.manifest.kept()) == 38
    (check,) = re.findall(r"^check: (.*)$", told.err, re.MULTILINE)
    assert check.startswith(f"{len(flagged)} pictures may be wrong, ")
    assert "to see them: tellapart curate mine; to take" in check

    again = tell(*train, "--seed", "1").err  # nothing new, so what is known is told without a search
    assert f"check: {check}\n" in again
    assert "suspects:" not in again


@pytest.mark.usefixtures("training_at_once")
def test_training_on_a_folder_of_ones_own_searches_nothing_and_says_so(shapes, tell):
    before = sorted(shapes.rglob("*"))
    told = tell("train", str(shapes), "--name", "mine", *OPTIONS)
    check = f"check: wrong pictures were not looked for; to see them: tellapart curate {shapes}\n"
    assert f"start: loading PyTorch; weights that are not on this machine are downloaded\n{check}" in told.err
    assert "features" not in told.err
    assert sorted(shapes.rglob("*")) == before


def test_apply_and_undo_together_are_wrong_usage(isolated_home, capsys):
    assert cli.main(["curate", "shapes", "--apply", "--undo"]) == 2
    assert capsys.readouterr().err == "error: --apply and --undo together. Give one of them\n"
    assert cli.main(["curate", "shapes", "--undo", "--json", "-"]) == 2
    assert capsys.readouterr().err == "error: --undo looks for no suspects. Leave out --json\n"
    assert cli.main(["curate", "shapes", "--progress", "json", "--json", "-"]) == 2
    assert "both write on the standard output" in capsys.readouterr().out


def test_a_data_set_that_is_not_there_is_one_line(isolated_home, capsys):
    assert cli.main(["curate", "nothing-here"]) == 3
    assert capsys.readouterr().err.count("\n") == 1

"""`tellapart curate` on a plain folder of drawn pictures, with the embedded backbone."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

import cli
from tellapart.folders import open_folder
from tellapart.pictures import Reason
from tellapart.settings import load_settings

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


def taken_out(folder):
    dataset = open_folder(folder, load_settings().home)
    reasons = (Reason.REMOVED, Reason.MOVED)
    return sorted(a.url.rpartition("/")[2] for a in dataset.manifest.attempts() if a.reason in reasons)


def test_suspects_are_named_taken_out_and_put_back(shapes, isolated_home, capsys):
    assert cli.main(["curate", str(shapes), *OPTIONS]) == 0
    told = capsys.readouterr().out
    assert "looks like 'discs', not" in told
    assert f"To take those out: tellapart curate {shapes} --apply" in told
    assert taken_out(shapes) == []

    assert cli.main(["curate", str(shapes), "--apply", *OPTIONS]) == 0
    assert f"tellapart curate {shapes} --undo" in capsys.readouterr().out
    out = taken_out(shapes)
    assert {"discs-50.png", "discs-51.png"} <= set(out)
    assert len(out) <= 5
    assert len(list(shapes.rglob("*.png"))) == 38

    assert cli.main(["curate", str(shapes), "--undo", *OPTIONS]) == 0
    assert f"put back: {len(out)} pictures" in capsys.readouterr().out
    assert taken_out(shapes) == []


def test_apply_and_undo_together_are_wrong_usage(isolated_home, capsys):
    assert cli.main(["curate", "shapes", "--apply", "--undo"]) == 2
    assert capsys.readouterr().err == "error: --apply and --undo together. Give one of them\n"


def test_a_data_set_that_is_not_there_is_one_line(isolated_home, capsys):
    assert cli.main(["curate", "nothing-here"]) == 3
    assert capsys.readouterr().err.count("\n") == 1

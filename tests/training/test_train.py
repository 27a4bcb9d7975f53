"""The bundle that training writes, and its report."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tellapart.actions import apply
from tellapart.bundle import BundleInfo, open_bundle
from tellapart.classifier import Loader
from tellapart.dataset import Dataset
from tellapart.decisions import Action
from tellapart.errors import DataError
from tellapart.flags import Suspect, store_flags
from tellapart.golden import golden_pixels
from tellapart.images import decode
from tellapart.neighbours import read_neighbours
from tellapart.pictures import Reason, Status
from tellapart.predictions import read_predictions
from tellapart.progress import Progress, silent
from tellapart.weights import Weights
from training.fingerprint import fingerprint
from training.options import Circumstances, TrainingOptions
from training.train import train

MakeDataset = Callable[..., Dataset]
Retrain = Callable[[Dataset, Path], BundleInfo]


def page(folder: Path) -> str:
    return (folder / "report" / "index.html").read_text()


def test_the_bundle_opens_and_answers(trained: Any) -> None:
    bundle = open_bundle(trained.folder)
    assert bundle.info == trained.info
    assert bundle.info.class_names == ["red disc", "green box", "blue cross"]
    pixels = np.stack([bundle.info.preprocessing.from_bytes(s.path.read_bytes()) for s in trained.dataset.samples()])
    answers = trained.classifier.probabilities(pixels).argmax(axis=1)
    assert (answers == [s.class_index for s in trained.dataset.samples()]).mean() > 0.9


def test_its_answers_for_the_golden_picture_are_kept_in_both_forms(trained: Any) -> None:
    classifier = Loader(dtype=torch.float32).load(trained.folder)
    found = classifier.probabilities(golden_pixels(trained.info.preprocessing))[0]
    assert trained.info.golden == pytest.approx(found, abs=1e-4)
    assert trained.info.golden_bfloat16 == pytest.approx(found, abs=0.1)
    assert trained.info.golden_bfloat16 != trained.info.golden


def test_the_metrics_are_those_of_the_test_split(trained: Any) -> None:
    metrics = trained.info.metrics
    assert (metrics["protocol"], metrics["n"]) == ("test", 9)
    assert metrics["accuracy_low"] < metrics["accuracy"] <= metrics["accuracy_high"]
    assert set(metrics) >= {"balanced_accuracy", "ece", "per_class", "confusion"}
    held = [s for s in trained.dataset.samples() if s.split == "test"]
    pixels = np.stack([trained.info.preprocessing.from_bytes(s.path.read_bytes()) for s in held])
    right = trained.classifier.probabilities(pixels).argmax(axis=1) == [s.class_index for s in held]
    assert metrics["accuracy"] == pytest.approx(right.mean())
    written = json.loads((trained.folder / "report" / "metrics.json").read_text())
    assert written["metrics"] == metrics


def test_each_judged_picture_and_its_answer_are_kept(trained: Any) -> None:
    judged = read_predictions(trained.folder)
    slugs = [c.slug for c in trained.dataset.classes]
    held = {s.sha256: slugs[s.class_index] for s in trained.dataset.samples() if s.split == "test"}
    assert {row.sha256: row.class_slug for row in judged} == held
    right = sum(row.class_slug == row.predicted_slug for row in judged) / len(judged)
    assert right == pytest.approx(trained.info.metrics["accuracy"])
    assert all(1 / 3 <= row.confidence <= 1 for row in judged)


def test_model_json_tells_how_it_was_made(trained: Any) -> None:
    info = trained.info
    assert info.training["fingerprint"] == fingerprint(trained.dataset, TrainingOptions(backbone="efficientnet_lite0"))
    assert (info.training["seed"], info.training["mode"], info.training["pictures"]) == (0, "head", 18)
    assert info.dataset["digest"] == trained.dataset.digest()
    assert info.dataset["counts"] == {"red disc": 9, "green box": 9, "blue cross": 9}
    assert (info.dataset["licenses"], info.dataset["origins"]) == ({"CC0": 27}, {"folder": 27})
    assert info.packages["torch"]
    assert info.reject_threshold is None


def test_it_keeps_a_record_of_what_it_learned_from_and_of_nothing_else(trained: Any) -> None:
    learned = {s.sha256: s.class_index for s in trained.dataset.samples() if s.split != "test"}
    found = read_neighbours(trained.folder, 2240, 3)
    assert dict(zip((d.tobytes().hex() for d in found.sha256), found.class_index.tolist(), strict=True)) == learned
    np.testing.assert_allclose(np.linalg.norm(found.features.astype(np.float32), axis=1), 1, atol=1e-3)


def test_the_stages_are_reported_in_order(trained: Any) -> None:
    assert [p.stage for p in trained.progress if p.finished] == [
        "features",
        "features, view 2",
        "head",
        "evidence",
        "report",
    ]


def test_training_again_repeats_exactly(trained: Any, retrain: Retrain, tmp_path: Path) -> None:
    again = retrain(trained.dataset, tmp_path)
    assert again.head_sha256 == trained.info.head_sha256
    assert again.temperature == trained.info.temperature
    assert again.metrics == trained.info.metrics
    assert again.training["features_computed"] == 0


def test_the_fingerprint_changes_with_what_matters(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset, options = make_dataset(tmp_path / "a"), TrainingOptions()
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"one")
    given = replace(options, weights=str(weights))
    seen = [fingerprint(dataset, options), fingerprint(dataset, replace(options, seed=1)), fingerprint(dataset, given)]
    weights.write_bytes(b"two")
    seen.append(fingerprint(dataset, given))
    dataset.manifest.assign("split", {dataset.samples()[0].sha256: "test"})
    seen.append(fingerprint(dataset, options))
    assert len(set(seen)) == 5
    assert fingerprint(dataset, options) == seen[-1]


def test_a_note_about_the_weights_reaches_the_user(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.train
    from tellapart.weights import load_weights

    def fall_back(*_: object) -> Weights:
        return replace(load_weights("efficientnet_lite0", "auto"), note="the other one is used instead")

    monkeypatch.setattr(training.train, "load_weights", fall_back)
    seen: list[Progress] = []
    info = train(trained.dataset, TrainingOptions(), tmp_path, seen.append)
    assert "the other one is used instead" in [p.note for p in seen]
    assert info.training["note"] == "the other one is used instead"
    assert "the other one is used instead" in page(tmp_path)


def test_a_class_of_one_picture_is_an_error_and_nothing_is_written(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "few", ("train",) * 2)
    dataset.manifest.set_status(dataset.manifest.kept("green-box")[:1], Status.REJECTED, Reason.CONFLICT)
    with pytest.raises(DataError, match="class 'green box' has 1 usable picture"):
        train(dataset, TrainingOptions(backbone="efficientnet_lite0"), tmp_path / "bundle", silent)
    assert not (tmp_path / "bundle").exists()


@pytest.fixture(scope="module")
def hostile(make_dataset: MakeDataset, retrain: Retrain, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a data set that tries to write the page itself, its markup in every text a stranger gives."""
    root = tmp_path_factory.mktemp("hostile")
    dataset = make_dataset(root / "data", ("train",) * 4, ("one", "two", "three"))
    names = ("<script>alert(1)</script>", "{{ 7 * 7 }}", 'a & b\'c" onload="x')
    dataset = replace(dataset, classes=tuple(replace(c, name=n) for c, n in zip(dataset.classes, names, strict=True)))
    kept = dataset.manifest.kept()
    dataset.manifest.add([replace(a, source="<script>alert(1)</script>", license='"><img src=x>') for a in kept[:6]])
    dataset.image_path(kept[-1]).write_bytes(b"broken since")
    retrain(dataset, root / "bundle")
    return page(root / "bundle")


def test_hostile_text_stays_text(hostile: str) -> None:
    assert "<script" not in hostile
    assert "<img src=x" not in hostile
    assert "a &amp; b&#39;c&#34; onload=&#34;x" in hostile
    assert "{{ 7 * 7 }}" in hostile
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in hostile


def test_the_report_is_self_contained_under_a_strict_policy(hostile: str, trained: Any) -> None:
    for html in (hostile, page(trained.folder)):
        assert html.count("<style") == 1
        assert not re.search(r"""\sstyle=|\son[a-z]+="|<link|<iframe|@import|javascript:""", html)
        assert not re.search(r"(src|href)=\"(?!data:image/jpeg;base64,|#cell-)", html)
        assert not re.search(r"https?://|url\(", html)
        assert len(html) < 2_000_000


def test_the_report_says_what_was_left_out_and_how_it_was_measured(hostile: str) -> None:
    assert "Left out when training began: 1 (the file has changed since it was collected)" in hostile
    assert "a test set put aside would say little" in hostile
    assert "fewer than 50 were there" in hostile


def test_every_linked_cell_leads_to_its_pictures_and_wrong_ones_are_said(hostile: str, trained: Any) -> None:
    for html in (hostile, page(trained.folder)):
        linked = re.findall(r'href="#(cell-[0-9-]+)"', html)
        assert linked
        assert sorted(linked) == sorted(re.findall(r'id="(cell-[0-9-]+)"', html))
        assert html.count('class="mistaken"') == html.count("✗ wrong")


def test_the_evidence_is_beside_the_report(trained: Any) -> None:
    metrics = json.loads((trained.folder / "report" / "metrics.json").read_text())["metrics"]
    for key in ("calibration", "selective", "none_of_these", "random_split", "learning_curve", "suspected"):
        assert key in metrics
    assert [row["promise"] for row in metrics["selective"]] == [0.95, 0.98, 0.99]


def test_flags_on_judging_pictures_and_the_name_stand_in_the_first_lines(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    """Of four flags on the nine that judge, one is of a person's kept picture and one is no more than a hint."""
    dataset = make_dataset(tmp_path / "data", ("train",) * 6 + ("test",) * 3)
    judging = [a for a in dataset.manifest.kept() if a.split == "test"]
    suspects = [
        Suspect(a.sha256, a.class_slug, "label_error", 0.9, "odd", "remove", confident=i < 3)
        for i, a in enumerate(judging[:4])
    ]
    store_flags(dataset, suspects)
    apply(dataset, [Action("keep", judging[0].class_slug, judging[0].sha256)])
    options = TrainingOptions(backbone="efficientnet_lite0")
    info = train(dataset, options, tmp_path / "bundle", silent, Circumstances(name="pets"))
    found = info.metrics["suspected"]
    assert (found["pictures"], found["without"]["n"]) == (2, 7)
    assert found["without"]["count"] + found["right"] == round(9 * info.metrics["accuracy"])
    html = page(tmp_path / "bundle")
    header, _, rest = html.partition("</header>")
    assert "2 of the 9 pictures it was measured on are almost certainly wrong themselves" in header
    assert "<title>Report: pets</title>" in header
    assert "The classifier “pets”, trained on the data set “shapes”" in header
    assert "(2 of 9) before you go by the accuracy: “tellapart curate" in rest


def test_a_folder_named_none_teaches_to_refuse(make_dataset: MakeDataset, retrain: Retrain, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", ("train",) * 16)
    (tmp_path / "data" / "none").mkdir()
    for seed in range(4):
        blobs = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
        picture = Image.fromarray(blobs).resize((64, 64), Image.Resampling.NEAREST)
        picture.save(tmp_path / "data" / "none" / f"{seed}.png")
    info = retrain(dataset, tmp_path / "bundle")
    found = info.metrics["none_of_these"]["false_accept_given"]
    assert found["n"] == 4
    assert info.class_names == ["red disc", "green box", "blue cross"]
    classifier = Loader().load(tmp_path / "bundle")
    pixels = np.stack([info.preprocessing.from_bytes(s.path.read_bytes()) for s in dataset.strangers()])
    assert classifier.answers(pixels)[1].all()
    assert "in the folder “none”" in page(tmp_path / "bundle")


def test_the_report_counts_reasons_and_licences(make_dataset: MakeDataset, retrain: Retrain, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", ("train",) * 4)
    url, reason = "file:///x/box/%3Ci%3E.txt", Reason.TOO_SMALL
    dataset.manifest.add([replace(dataset.manifest.kept()[0], url=url, status=Status.REJECTED, reason=reason)])
    retrain(dataset, tmp_path / "bundle")
    html = page(tmp_path / "bundle")
    assert "too small to tell anything" in html
    assert re.search(r"<td>CC0</td><td>12</td>", html)
    assert "&lt;i&gt;.txt: too small to tell anything" in html
    assert "box/" not in html


def test_mistakes_are_shown_without_metadata(make_dataset: MakeDataset, retrain: Retrain, tmp_path: Path) -> None:
    import base64

    dataset = make_dataset(tmp_path / "data", ("train",) * 5)
    swapped = dataset.manifest.kept("red-disc")[0]
    dataset.manifest.set_status([swapped], Status.REJECTED, Reason.CONFLICT)
    dataset.manifest.add([replace(swapped, class_slug="green-box", url="file:///wrong", split="train")])
    wrong = dataset.root / "images" / "green-box" / f"{swapped.sha256}.png"
    wrong.write_bytes((dataset.root / "images" / "red-disc" / wrong.name).read_bytes())
    retrain(dataset, tmp_path / "bundle")
    html = page(tmp_path / "bundle")
    assert "A picture of green box that was taken for red disc" in html
    found = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert found
    thumbnail = base64.b64decode(found[1])
    assert max(decode(thumbnail).size) <= 200
    assert b"Exif" not in thumbnail

"""Head or whole network: who chooses, what is said, and that a tuned classifier answers everywhere alike."""

import io
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
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import training.candidates
import training.protocol
import training.train
import training.trainer
import training.views
from tellapart.bundle import BundleInfo, open_bundle
from tellapart.classifier import Loader
from tellapart.dataset import Dataset, Sample
from tellapart.errors import UsageError
from tellapart.network import serialize
from tellapart.predictions import read_predictions
from tellapart.progress import Progress, silent
from tellapart.store import StoredModel
from tellapart.weights import load_weights
from tellapart.wording import percent
from tests.training.finetuning import load_module_of
from training.candidates import checkpoint_file, why_not
from training.export import TOLERANCE, export
from training.features import Features
from training.finetune import Job, Tuned
from training.options import Circumstances, Mode, TrainingOptions, check
from training.protocol import cut
from training.protocol_names import Protocol
from training.state import Epoch
from training.train import train

GPU = torch.device("cuda")
CPU = torch.device("cpu")
TUNED = TrainingOptions(backbone="efficientnet_lite0", mode=Mode.FINETUNE, epochs=1)
MakeDataset = Callable[..., Dataset]

pytestmark = pytest.mark.usefixtures("one_core")


def made(splits: dict[str, int], classes: int = 3) -> Features:
    """So many pictures of each class in each split, two of a group."""
    samples = [
        Sample(Path(f"{split}-{c}-{i}"), c, f"{split}-{c}-{i}", split, f"{split}-{c}-{i // 2}")
        for split, count in splits.items()
        for c in range(classes)
        for i in range(count)
    ]
    return Features(np.zeros((len(samples), 4), np.float32), samples)


@pytest.mark.parametrize(
    ("splits", "protocol", "chooses", "judges"),
    [
        ({"train": 20, "val": 4, "test": 4}, Protocol.TEST, {"val"}, {"test"}),
        ({"train": 20, "test": 4}, Protocol.TEST, {"train"}, {"test"}),
        ({"train": 20, "val": 4}, Protocol.VALIDATION, {"train"}, {"val"}),
        ({"": 20}, Protocol.HOLD_OUT, {""}, {""}),
    ],
)
def test_who_judges_neither_learns_nor_chooses(
    splits: dict[str, int], protocol: Protocol, chooses: set[str], judges: set[str]
) -> None:
    features = made(splits)
    parts = cut(features, 0)
    assert parts.protocol is protocol
    assert {s.split for s in parts.choose.samples} == chooses
    assert {s.split for s in parts.judge.samples} == judges
    groups = [set(part.groups.tolist()) for part in (parts.learn, parts.choose, parts.judge)]
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert sum(len(p.samples) for p in (parts.learn, parts.choose, parts.judge)) == len(features.samples)
    assert [s.sha256 for s in cut(features, 0).choose.samples] == [s.sha256 for s in parts.choose.samples]


@pytest.mark.parametrize(
    ("mode", "device", "splits", "words"),
    [
        ("head", GPU, {"train": 90, "val": 30, "test": 9}, "only a head was asked for"),
        ("auto", CPU, {"train": 90, "val": 30, "test": 9}, "without a GPU a head"),
        ("auto", GPU, {"train": 90, "val": 10, "test": 9}, "too few pictures to tell whether fine-tuning helps"),
        ("auto", GPU, {"": 400}, "too few pictures to tell whether fine-tuning helps"),
        ("auto", GPU, {"train": 90, "val": 30, "test": 9}, ""),
        ("finetune", CPU, {"train": 9, "val": 2, "test": 2}, ""),
        ("finetune", CPU, {"": 12}, ""),
        ("finetune", CPU, {"": 2}, "too few pictures to fine-tune"),
    ],
)
def test_when_the_whole_network_learns(mode: str, device: torch.device, splits: dict[str, int], words: str) -> None:
    reason = why_not(TrainingOptions(mode=Mode(mode)), device, made(splits))
    assert reason.startswith(words)
    assert bool(reason) == bool(words)


def test_settings_of_what_is_not_done_are_said_to_have_changed_nothing(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    dataset = make_dataset(tmp_path / "data", ("train",) * 4 + ("test",) * 2)
    train(dataset, replace(TUNED, mode=Mode.AUTO, device="cpu", tune=3), tmp_path / "bundle", seen.append)
    (note,) = [p.note for p in seen if p.stage == "fine-tuning"]
    assert note.startswith("without a GPU a head on fixed features learns; ")
    assert note.endswith("; --tune and --epochs changed nothing")


@pytest.mark.parametrize("options", [{"tune": 3}, {"epochs": 2}])
def test_settings_of_what_is_not_done_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"--(tune|epochs) with --mode head"):
        check(TrainingOptions(mode=Mode.HEAD, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tuned(make_dataset: MakeDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path, BundleInfo, Any]:
    """A network tuned for one epoch on four pictures a class, which made it better, with its log."""
    root = tmp_path_factory.mktemp("tuned")
    dataset = make_dataset(root / "data", ("train",) * 4 + ("val",) * 2 + ("test",) * 2)
    seen: list[Progress] = []
    losses = iter([1.0, 0.5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.trainer, "negative_log_likelihood", lambda *_: next(losses))
        info = train(dataset, TUNED, root / "bundle", seen.append, Circumstances(root / "runs", "shapes"))
    return dataset, root, info, seen


def test_a_tuned_classifier_has_a_backbone_of_its_own_and_says_how_it_learned(tuned: Any, trained: Any) -> None:
    _, root, info, seen = tuned
    assert info.backbone_sha256 != trained.info.backbone_sha256
    assert (info.training["mode"], info.training["mode_asked"]) == ("finetune", "finetune")
    assert info.training["pictures"] == 12
    assert info.metrics["protocol"] == "test"
    assert [row["epoch"] for row in info.training["curves"]] == [0, 1]
    facts = info.training["fine_tuning"]
    assert facts["kept"]
    assert facts["recipe"]["epochs"] == 1
    assert "of 6 validation pictures the fine-tuned network has" in facts["sentence"]
    assert facts["sentence"] in [p.note for p in seen]
    json.loads((root / "bundle" / "model.json").read_text())


def test_evaluation_and_answers_are_the_same_network(tuned: Any) -> None:
    dataset, root, info, _ = tuned
    classifier = Loader().load(root / "bundle")
    held = [s for s in dataset.samples() if s.split == "test"]
    pixels = np.stack([info.preprocessing.from_bytes(s.path.read_bytes()) for s in held])
    probabilities = classifier.probabilities(pixels)
    said = {row.sha256: row.confidence for row in read_predictions(root / "bundle")}
    assert len(said) == len(held)
    for sample, row in zip(held, probabilities, strict=True):
        assert abs(said[sample.sha256] - float(row.max())) < 1e-3


def test_the_labels_of_those_who_judge_change_nothing_that_auto_learns(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: head and network are compared, and one is kept; then all test pictures have another label."""
    for module in (training.candidates, training.train):
        monkeypatch.setattr(module, "may_fine_tune", lambda *_: True)
    monkeypatch.setattr(training.candidates, "LEAST_CHOOSING", 1)
    dataset = make_dataset(tmp_path / "data", ("train",) * 4 + ("val",) * 2 + ("test",) * 2)
    asked = replace(TUNED, mode=Mode.AUTO)
    straight = train(dataset, asked, tmp_path / "straight", silent)
    real = Dataset.training_samples

    def turned(self: Dataset) -> list[Sample]:
        return [replace(s, class_index=(s.class_index + (s.split == "test")) % 3) for s in real(self)]

    monkeypatch.setattr(Dataset, "training_samples", turned)
    crooked = train(dataset, asked, tmp_path / "crooked", silent)
    assert crooked.metrics["confusion"] != straight.metrics["confusion"]
    assert crooked.preprocessing == straight.preprocessing
    assert crooked.training["fine_tuning"]["sentence"] == straight.training["fine_tuning"]["sentence"]
    for file in ("head.safetensors", "backbone.safetensors", "neighbours.safetensors"):
        assert (tmp_path / "crooked" / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()


def test_a_tuned_classifier_is_exported_as_it_answers(tuned: Any, tmp_path: Path) -> None:
    """Under torchvision's and timm's names, so that the script beside it needs nothing of ours."""
    dataset, root, info, _ = tuned
    model = StoredModel("shapes", "tuned", root / "bundle", info, True)
    for kind in ("pt", "torchscript", "onnx"):
        made = export(model, kind, tmp_path / kind, dataset, lambda _: None)
        assert made.difference <= TOLERANCE
        assert made.pictures == 32
    assert learned_weights(tmp_path / "pt" / "shapes-tuned.pt", root / "bundle" / "backbone.safetensors")


def learned_weights(exported: Path, backbone: Path) -> bool:
    """Whether a state dict has the first convolution of a tuned backbone, which is not ImageNet's."""
    name = "conv_stem.weight"
    found = torch.load(exported, weights_only=True)[name]
    usual = load_weights("efficientnet_lite0", "auto").module.state_dict()[name]
    return bool(torch.equal(found, load_file(backbone)[name]) and not torch.equal(found, usual))


def test_the_curves_are_in_the_log(tuned: Any) -> None:
    _, root, info, seen = tuned
    assert f"training curves: tensorboard --logdir {root / 'runs'}" in [p.note for p in seen]
    (folder,) = (root / "runs").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    assert [e.value for e in events.Scalars("val_loss")] == pytest.approx(
        [row["val_loss"] for row in info.training["curves"]][1:]
    )
    assert events.Scalars("held_out/accuracy")[0].value == pytest.approx(info.metrics["accuracy"])


def test_the_report_shows_how_it_learned(tuned: Any) -> None:
    page = (tuned[1] / "bundle" / "report" / "index.html").read_text()
    assert "Of 6 validation pictures the fine-tuned network has" in page
    assert "multinomial logistic regression" not in page
    assert "<polyline" in page


@pytest.mark.parametrize(("accuracies", "kept"), [((0.9, 0.8), True), ((0.8, 0.8), False), ((0.7, 0.8), False)])
def test_auto_keeps_the_better_by_validation(
    tuned: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, accuracies: tuple[float, float], kept: bool
) -> None:
    figures = iter(accuracies)
    monkeypatch.setattr(training.candidates, "_accuracy", lambda *_: next(figures))
    monkeypatch.setattr(training.candidates, "why_not", lambda *_: "")
    dataset, root, info, _ = tuned
    monkeypatch.setattr(training.candidates, "lead", lambda *_: again(root))
    seen: list[Progress] = []
    again_info = train(dataset, replace(TUNED, mode=Mode.AUTO), tmp_path / "bundle", seen.append)
    assert again_info.training["mode"] == ("finetune" if kept else "head")
    assert (again_info.backbone_sha256 == info.backbone_sha256) == kept
    note = next(p.note for p in seen if p.stage == "fine-tuning")
    assert note.startswith(f"of 6 validation pictures the fine-tuned network has {percent(accuracies[0])} right")
    assert note.endswith(f"{percent(accuracies[1])}; the {'fine-tuned network' if kept else 'head'} is kept")
    assert again_info.training["fine_tuning"]["kept"] == kept
    assert again_info.metrics["n"] == 6


def again(root: Path) -> Any:
    """What the fine-tuning of `tuned` came to."""
    bundle = open_bundle(root / "bundle")
    curves = [Epoch(**row) for row in bundle.info.training["curves"]]
    return Tuned(bundle.backbone_file.read_bytes(), bundle.head, curves, 1, False, 0)


def at_the_ends(kind: int, seed: int) -> bytes:
    """A wide PNG of noise, with its class's colour at both ends, where a crop of the centre sees nothing of it."""
    pixels = np.random.default_rng([kind, seed]).integers(90, 255, (64, 192, 3), dtype=np.uint8)
    pixels[:, :32] = pixels[:, -32:] = np.array(((208, 21, 21), (24, 160, 24), (32, 48, 208))[kind])
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(("mode", "fit"), [(Mode.AUTO, "whole"), (Mode.FINETUNE, "crop")])
def test_each_candidate_has_a_view_of_its_own(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode, fit: str
) -> None:
    """As on a GPU: the network sees the centre and learns nothing there, a head sees the whole picture."""
    for module in (training.candidates, training.train):
        monkeypatch.setattr(module, "may_fine_tune", lambda *_: True)
    monkeypatch.setattr(training.candidates, "LEAST_CHOOSING", 1)
    monkeypatch.setattr(training.candidates, "lead", lambda job, *_: unlearned(job))
    splits = ("train",) * 6 + ("val",) * 4 + ("test",) * 4
    dataset = make_dataset(tmp_path / "data", splits, draw=at_the_ends)
    seen: list[Progress] = []
    info = train(dataset, replace(TUNED, mode=mode), tmp_path / "bundle", seen.append)
    assert "new features" not in {p.stage for p in seen}  # it has those that it began with
    assert info.training["mode"] == ("head" if fit == "whole" else "finetune")
    assert (info.preprocessing.fit, info.metrics["n"]) == (fit, 12)
    sentence = info.training["fine_tuning"]["sentence"]
    assert sentence.startswith("fine-tuning made nothing better: of 12 validation pictures the network as it began has")
    assert f"; the {'head' if fit == 'whole' else 'network as it began'} is kept" in sentence
    assert "epoch 0, as it began." in (tmp_path / "bundle" / "report" / "index.html").read_text()
    network, head = re.findall(r"(\d+)(?:\.\d)? %", sentence)
    assert (int(network) < 80, int(head)) == (True, 100)
    assert (info.metrics["accuracy"] == 1) == (fit == "whole")
    held = [s for s in dataset.samples() if s.split == "test"]
    pixels = np.stack([info.preprocessing.from_bytes(s.path.read_bytes()) for s in held])
    answers = Loader().load(tmp_path / "bundle").probabilities(pixels).argmax(axis=1)
    assert (answers == [s.class_index for s in held]).mean() == pytest.approx(info.metrics["accuracy"])


@pytest.mark.parametrize(("view", "fitted"), [(0, 1), (1, 2)])
def test_a_head_that_sees_what_the_network_sees_is_fitted_once(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: int, fitted: int
) -> None:
    heads: list[Any] = []

    def learn(*given: Any, **named: Any) -> Any:
        heads.append(training.protocol.learn(*given, **named))
        return heads[-1]

    def begun(job: Job, *_: object) -> Tuned:
        np.testing.assert_array_equal(job.head.weight, heads[-1][0].weight)
        return unlearned(job)

    monkeypatch.setattr(training.views, "best_view", lambda *_: view)
    monkeypatch.setattr(training.candidates, "learn", learn)
    monkeypatch.setattr(training.candidates, "lead", begun)
    dataset = make_dataset(tmp_path / "data", ("train",) * 4 + ("val",) * 2 + ("test",) * 2)
    train(dataset, TUNED, tmp_path / "bundle", silent)
    assert len(heads) == fitted


def test_the_report_says_why_what_began_by_chance_is_not_the_best(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.candidates, "lead", lambda job, *_: replace(unlearned(job), best=1))
    dataset = make_dataset(tmp_path / "data", ("train",) * 4 + ("val",) * 2 + ("test",) * 2)
    train(dataset, replace(TUNED, weights="none"), tmp_path / "bundle", silent)
    page = (tmp_path / "bundle" / "report" / "index.html").read_text()
    assert "epoch 1; epoch 0 does not count, as there the network still had random weights." in page


def unlearned(job: Job) -> Tuned:
    """A fine-tuning that comes to what it began with."""
    curves = [Epoch(epoch, None, 1.0, 0.3, 0.0, 0.0) for epoch in (0, 1)]
    return Tuned(serialize(load_module_of(job)), job.head, curves, 0, out_of_time=False, resumed=0)


def test_few_pictures_are_measured_on_a_hold_out_that_is_said(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", ("",) * 8)
    info = train(dataset, TUNED, tmp_path / "bundle", lambda _: None)
    assert info.metrics["protocol"] == "hold-out"
    assert 2 <= info.metrics["n"] <= 8
    assert info.training["pictures"] + info.metrics["n"] < 24
    assert "a fifth of all, near-copies together" in (tmp_path / "bundle" / "report" / "index.html").read_text()


def test_where_a_fine_tuning_stands_is_derived_data(tuned: Any) -> None:
    assert checkpoint_file(tuned[0]).is_relative_to(tuned[0].cache)
    assert checkpoint_file(tuned[0]).exists()

"""How well curation finds planted noise, and what that does to a classifier.

    python -m benchmarks.curation FOLDER [--strangers FOLDER] [--seeds 3] [--first-seed 0] [--inside] [--cache FOLDER]

FOLDER holds train/ and validation/ (or val/, test/), each with one folder a class. Into a copy of the
training part, with a fixed seed, are planted: another label for 20 % of the pictures, 10 % strangers under
random labels, 5 % near-duplicates (saved again, smaller). Strangers are pictures of a fifth of the classes,
which are then no classes of the data set, or any pictures below the folder given. The held-out part stays as it is.
With --inside it is not looked at: a fifth of the training part, another for each seed, is held out in its place,
so that bounds may be chosen by what is printed. --cache FOLDER keeps the features.

    label errors   precision where 80 % of the turned labels are found; in brackets without counting a
                   stranger under a label, which is wrong as well, as a mistake
    off topic      AUROC of strangers against all others
    accuracy       on the held-out pictures, of a head trained on the clean, the noisy and the curated pictures, and
                   on those that a perfect curation would leave
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import precision_recall_curve, roc_auc_score

from benchmarks.aims import Aim
from benchmarks.aims import judge as judge_aims
from benchmarks.machine import machine
from curation import curate
from curation.confident import confident_actions
from curation.flagging import flag_suspects
from curation.suspects import judge
from tellapart.actions import apply
from tellapart.backbones import BACKBONES, EMBEDDED_BACKBONE
from tellapart.dataset import Dataset, Sample
from tellapart.flags import from_flags
from tellapart.folders import open_folder
from tellapart.images import decode, sha256
from tellapart.progress import silent
from tellapart.weights import Weights, load_weights
from training.features import Features, FeatureSource
from training.protocol import learn
from training.views import see_all

TURNED, STRANGERS, DUPLICATES = 0.2, 0.1, 0.05
RECALL = 0.8
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Planted:
    """A noisy folder and its truth: the class each picture really shows by digest, "" for a stranger; what judges."""

    folder: Path
    classes: tuple[str, ...]
    truth: dict[str, str]
    copies: dict[str, str]
    held: dict[str, list[Path]]


@dataclass(frozen=True)
class Measured:
    """One seed's figures, in the order of `HEADINGS`."""

    precision: float
    precision_with_strangers: float
    auroc: float
    grouped: float
    out: float
    out_wrong: float
    clean: float
    perfect: float
    noisy: float
    curated: float


HEADINGS = (
    "label-error precision at recall 0.8",
    "  the same, strangers no mistakes",
    "off-topic AUROC",
    "near-duplicates grouped with their original",
    "share of pictures that --apply took out",
    "  of those, really wrong",
    "accuracy, clean training",
    "accuracy without just what is wrong",
    "accuracy, noisy training",
    "accuracy after --apply",
)


def main() -> int:
    """Print a table with a column for each seed, and what of it was aimed at."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strangers", type=Path, help="take strangers from here instead of leaving classes out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--inside", action="store_true", help="hold out a fifth of the training part instead")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--backbone", default=EMBEDDED_BACKBONE, choices=list(BACKBONES))
    arguments = parser.parse_args()
    print(machine())
    weights = load_weights(arguments.backbone, "auto")
    with tempfile.TemporaryDirectory() as scratch:
        cache = arguments.cache or Path(scratch) / "features"
        bench = Bench(arguments.folder, arguments.strangers, weights, Path(scratch), cache, arguments.inside)
        results = [bench.run(arguments.first_seed + i) for i in range(arguments.seeds)]
    for heading, values in zip(HEADINGS, zip(*(vars(r).values() for r in results), strict=True), strict=True):
        print(f"{heading:<46}{np.mean(values):7.3f}   ({', '.join(f'{v:.3f}' for v in values)})")
    return judge_aims(aims(results))


def aims(results: Sequence[Measured]) -> list[Aim]:
    """What was aimed at, by the means of the seeds."""
    lost = np.mean([r.clean - r.curated for r in results])
    return [
        Aim("label-error precision at recall 0.8", float(np.mean([r.precision for r in results])), 0.8),
        Aim("off-topic AUROC", float(np.mean([r.auroc for r in results])), 0.9),
        Aim("points of accuracy after --apply below clean training", 100 * float(lost), 2, at_most=True, digits=1),
    ]


class Bench:
    """Plants and measures, with features computed once for all seeds."""

    def __init__(
        self, folder: Path, strangers: Path | None, weights: Weights, scratch: Path, cache: Path, inside: bool
    ) -> None:
        self.source, _ = FeatureSource.of_weights(weights, torch.device("cpu"))
        self.ways, self.scratch, self.cache, self.inside = weights.backbone.preprocessings, scratch, cache, inside
        self.strangers = pictures(strangers) if strangers else []
        parts = {name: folder / name for name in ("train", "validation", "val", "test")}
        self.train = {d.name: pictures(d) for d in sorted(parts.pop("train").iterdir()) if d.is_dir()}
        self.held = {name: [f for part in parts.values() for f in pictures(part / name)] for name in self.train}

    def parts(self, seed: int) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
        """The pictures that learn and those that are held out, by class."""
        if not self.inside:
            return self.train, self.held
        rng = np.random.default_rng(seed)
        shuffled = {name: [files[i] for i in rng.permutation(len(files))] for name, files in self.train.items()}
        fifths = {name: len(files) // 5 for name, files in shuffled.items()}
        return (
            {name: sorted(files[fifths[name] :]) for name, files in shuffled.items()},
            {name: sorted(files[: fifths[name]]) for name, files in shuffled.items()},
        )

    def run(self, seed: int) -> Measured:
        """Plant with a seed and measure."""
        planted = plant(self, seed)
        dataset = open_folder(planted.folder, self.scratch / f"cache{seed}")
        curate(dataset, seed)
        noisy = self.features(dataset.samples())
        judged = judge(noisy.side_by_side, noisy.targets, noisy.groups, len(dataset.classes), seed)
        names = np.array([c.name for c in dataset.classes])
        truth = np.array([planted.truth[s.sha256] for s in noisy.samples])
        strange = truth == ""
        turned = ~strange & (truth != names[noisy.targets])
        scores = np.where(judged.off_topic > 0.5, 0, judged.label_errors.scores)
        group = {s.sha256: s.group_id for s in noisy.samples}
        together = [group.get(copy) == group.get(original) for copy, original in planted.copies.items()]
        before = {(s.class_index, s.sha256) for s in noisy.samples}
        flag_suspects(dataset, noisy.samples, noisy.side_by_side, seed)
        wrong = {(s.class_index, s.sha256) for s, bad in zip(noisy.samples, strange | turned, strict=True) if bad}
        self.apply(dataset, seed)
        curated = self.features(dataset.samples())
        out = before - {(s.class_index, s.sha256) for s in curated.samples}
        return Measured(
            precision_at(scores, turned),
            precision_at(scores[~strange], turned[~strange]),
            float(roc_auc_score(strange, judged.off_topic)),
            float(np.mean(together)),
            len(out) / len(before),
            len(out & wrong) / max(len(out), 1),
            self.accuracy(self.clean(planted, noisy), planted, seed),
            self.accuracy(noisy.part(~(strange | turned)), planted, seed),
            self.accuracy(noisy, planted, seed),
            self.accuracy(curated, planted, seed),
        )

    def features(self, samples: Sequence[Sample]) -> Features:
        """Of samples in every view, each picture computed once for all seeds."""
        return see_all(samples, self.source, self.ways, self.cache, silent)

    def apply(self, dataset: Dataset, seed: int) -> None:
        """What `tellapart curate --apply` does with the flags there are."""
        actions = confident_actions(dataset, from_flags(dataset.manifest.kept()))
        if actions:
            apply(dataset, actions)
            curate(dataset, seed)

    def clean(self, planted: Planted, noisy: Features) -> Features:
        """The noisy pictures without strangers, each in the class it shows."""
        index = {name: i for i, name in enumerate(planted.classes)}
        samples = [
            Sample(s.path, index[planted.truth[s.sha256]], s.sha256, "train", s.group_id)
            for s in noisy.samples
            if planted.truth[s.sha256]
        ]
        return self.features(samples)

    def accuracy(self, learning: Features, planted: Planted, seed: int) -> float:
        """On the held-out pictures, of a head in the view and with the C that these choose."""
        head, choice = learn(learning, len(planted.classes), seed, lambda: None)
        held = [
            Sample(path, i, sha256(path.read_bytes()), "test", "")
            for i, name in enumerate(planted.classes)
            for path in planted.held[name]
        ]
        judging = self.features(held).view(choice.view)
        return float((head.probabilities(judging.values).argmax(axis=1) == judging.targets).mean())


def plant(bench: Bench, seed: int) -> Planted:
    """Write the noisy folder, all of which learns: what would be split off to judge, --apply would leave as it is."""
    rng = np.random.default_rng(seed)
    train, held = bench.parts(seed)
    names, strange_files = sorted(train), bench.strangers
    if not strange_files:
        left_out = set(rng.choice(names, max(1, len(names) // 5), replace=False))
        strange_files = [f for name in sorted(left_out) for f in train[name]]
        names = [n for n in names if n not in left_out]
    own = [(path.read_bytes(), name) for name in names for path in train[name]]
    chosen = rng.choice(len(strange_files), min(round(STRANGERS * len(own)), len(strange_files)), replace=False)
    rows = [(data, name, name) for data, name in own]
    for i in rng.choice(len(rows), round(TURNED * len(rows)), replace=False):
        data, name, _ = rows[i]
        rows[i] = (data, name, str(rng.choice([n for n in names if n != name])))
    copies = {}
    for i in rng.choice(len(own), round(DUPLICATES * len(own)), replace=False):
        data, name, label = rows[i]
        again = saved_again(data)
        copies[sha256(again)] = sha256(data)
        rows.append((again, name, label))
    rows += [(strange_files[i].read_bytes(), "", str(rng.choice(names))) for i in chosen]
    folder = bench.scratch / f"noisy{seed}"
    for data, _, label in rows:
        (folder / "train" / label).mkdir(parents=True, exist_ok=True)
        (folder / "train" / label / sha256(data)).write_bytes(data)
    return Planted(folder, tuple(names), {sha256(data): name for data, name, _ in rows}, copies, held)


def pictures(folder: Path) -> list[Path]:
    """The picture files below a folder; none where there is no such folder."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def saved_again(data: bytes) -> bytes:
    """The same picture at three quarters of its size, as JPEG of quality 70."""
    image, buffer = decode(data), io.BytesIO()
    image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.BICUBIC).save(
        buffer, "JPEG", quality=70
    )
    return buffer.getvalue()


def precision_at(scores: NDArray[np.float32], wanted: NDArray[np.bool_]) -> float:
    """The best precision among thresholds that find at least 80 % of what is wanted."""
    precision, recall, _ = precision_recall_curve(wanted, scores)
    return float(precision[recall >= RECALL].max())


if __name__ == "__main__":
    sys.exit(main())

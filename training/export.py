"""A classifier as files for other programs, each checked against the classifier itself. Needs torch.

    pt            NAME-VERSION.pt (state dict), model.json, labels.csv, run.py
    onnx          NAME-VERSION.onnx, labels.csv, README.txt
    torchscript   NAME-VERSION.ts, labels.csv, README.txt
    zip           NAME-VERSION.zip: data set and classifier

Files are written into a hidden folder, read back as their user would, and moved to their place
only when they answer 32 pictures like the classifier.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jinja2 import Template

from tellapart.bundle import Bundle, BundleInfo, open_bundle
from tellapart.classifier import Loader
from tellapart.dataset import Dataset
from tellapart.errors import DataError, TellapartError
from tellapart.files import readable_disk_errors
from tellapart.learned import is_unchanged
from tellapart.network import pick_device
from tellapart.progress import Progress, Report, Stage
from tellapart.store import StoredModel
from training.export_archive import check_exportable, write_archive
from training.export_data import check_pictures
from training.export_network import WRITERS
from training.export_readers import READERS, Probabilities, pixels_of
from training.features import torch_threads

TOLERANCE = 1e-3
SUFFIXES = {"pt": ".pt", "onnx": ".onnx", "torchscript": ".ts", "zip": ".zip"}
_SCRIPT = Path(__file__).with_name("run_exported.py")
_README = Path(__file__).resolve().parent.parent / "templates" / "exported.txt"


@dataclass(frozen=True)
class Exported:
    """What was written, and how near its answers are.

    Attributes:
        files: the exported file first.
        pictures: how many were compared.
        difference: the largest between a probability of the file and of the classifier in float32.
        serving_difference: the same to what this machine serves, which rounds to `serving_form`.
    """

    files: list[Path]
    pictures: int
    difference: float
    serving_difference: float
    serving_form: str


def export(model: StoredModel, kind: str, out: Path, dataset: Dataset | None, report: Report) -> Exported:
    """Write a classifier into the folder `out`, which is made where there is none.

    Args:
        kind: a key of SUFFIXES.
        dataset: what it was trained on, where that is on this machine; "zip" needs it.

    Raises:
        NoDataError: a zip was asked for and the data set is not here.
        DataError: `out` holds the files of another export.
        TellapartError: `out` cannot be written, or the file does not answer as the classifier does.
    """
    bundle = open_bundle(model.path)
    check_exportable(model, kind, dataset)
    with readable_disk_errors(out), torch_threads(1):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".part-") as made:
            main = Path(made) / f"{model.name}-{model.version}{SUFFIXES[kind]}"
            with Stage(report, "export", total=1, unit="files") as stage:
                if kind == "zip" and dataset is not None:
                    _write_zip(main, model, bundle.info, dataset, report)
                else:
                    WRITERS[kind](bundle, main)
                    _write_beside(main, model, bundle.info)
                stage.advance()
            with Stage(report, "check") as stage:
                exported = _compare(main, kind, bundle, check_pictures(dataset))
                stage.advance(exported.pictures)
            return _moved(exported, out)


def _write_zip(main: Path, model: StoredModel, info: BundleInfo, dataset: Dataset, report: Report) -> None:
    summary = write_archive(main, model.tag, model.path, dataset, report)
    for note in _notes(dataset, info, summary.missing):
        report(Progress("data set", note=note, finished=True))


def _notes(dataset: Dataset, info: BundleInfo, missing: int) -> list[str]:
    changed = "it has changed since this classifier was trained; what is there now was packed"
    gone = f"{missing} of its pictures are gone or changed and are not in the archive"
    return [*([] if is_unchanged(dataset, info) else [changed]), *([gone] if missing else [])]


def _write_beside(main: Path, model: StoredModel, info: BundleInfo) -> None:
    """The small files that go along with a network."""
    folder = main.parent
    (folder / "labels.csv").write_bytes((model.path / "labels.csv").read_bytes())
    if main.suffix == ".pt":
        said = {"tag": model.tag, "weights_file": main.name, **info.to_json()}
        (folder / "model.json").write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / "run.py").write_bytes(_SCRIPT.read_bytes())
    else:
        (folder / "README.txt").write_text(_readme(model.tag, info, main.name), encoding="utf-8")


def _readme(tag: str, info: BundleInfo, file: str) -> str:
    colour = tuple(map(round, info.preprocessing.mean))
    values = asdict(info.preprocessing) | {"classes": len(info.classes), "colour": colour}
    text = Template(_README.read_text(encoding="utf-8"), keep_trailing_newline=True, trim_blocks=True)
    return str(text.render(values, tag=tag, file=file))


def _compare(main: Path, kind: str, bundle: Bundle, pictures: Sequence[bytes]) -> Exported:
    """Run the same pictures through the file, the classifier in float32, and the classifier as it is served."""
    info = bundle.info
    answers = READERS[kind](main, info, pictures)
    pixels = pixels_of(pictures, info)
    exact = Loader(torch.device("cpu"), torch.float32).load(bundle.path)
    difference = _largest(answers, exact.probabilities(pixels))
    if not difference <= TOLERANCE:
        raise TellapartError(
            f"the exported file answers differently: a probability is off by {difference:.1e}, "
            f"at most {TOLERANCE:.0e} is allowed, and nothing was written",
            "Use another --format",
        )
    served = Loader(pick_device("auto")).load(bundle.path)
    serving_difference = _largest(answers, served.probabilities(pixels))
    files = [main, *sorted(path for path in main.parent.iterdir() if path != main)]
    return Exported(files, len(pictures), difference, serving_difference, served.extractor.form)


def _largest(first: Probabilities, second: Probabilities) -> float:
    """The largest difference of two answers (N, C); NaN where one has a NaN, infinite where shapes differ."""
    return float(np.abs(first - second).max()) if first.shape == second.shape else float("inf")


def _moved(exported: Exported, out: Path) -> Exported:
    """Move the files to their place, the exported file last, so that it is never there without the others."""
    main, *others = exported.files
    for path in others:
        there = out / path.name
        if there.exists() and there.read_bytes() != path.read_bytes():
            raise DataError(f"{there} is there already and belongs to something else", "Give another folder with --out")
    for path in (*others, main):
        path.chmod(0o644)
        path.replace(out / path.name)
    return replace(exported, files=[out / path.name for path in exported.files])

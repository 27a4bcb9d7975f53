"""Data set and classifier in one archive. Needs no torch."""

import zipfile
from pathlib import Path

from tellapart.dataset import Dataset
from tellapart.dataset_zip import ZipSummary, add_dataset, member
from tellapart.errors import NoDataError
from tellapart.progress import Report
from tellapart.store import StoredModel

MODEL_FOLDER = "model/"
DATASET_FOLDER = "dataset/"
_STORE_FILE = "model.yaml"  # the model store's own

_README = """\
{tag}: a classifier made with Tellapart, and the pictures it was trained on.

dataset/images/          the pictures, a folder for each class: tellapart train dataset/images --name NAME
dataset/manifest.csv     every attempt to get a picture, kept or not, with its reason
dataset/ATTRIBUTION.csv  who made each picture, under which licence, and where it was found
model/                   model.json, the weights (safetensors) and labels.csv
model/report/index.html  how good the classifier is, and how that was measured

A picture's licence goes with the picture: name its author where the licence asks for it.
"""


def check_exportable(model: StoredModel, kind: str, dataset: Dataset | None) -> None:
    """Refuse a zip of a classifier whose data set is not here.

    Raises:
        NoDataError: it is not on this machine.
    """
    if kind == "zip" and dataset is None:
        raise NoDataError(
            f"the data set {model.info.dataset.get('name', '')!r} of {model.tag} is not on this machine",
            "Export the classifier alone with --format pt, onnx or torchscript, or set TELLAPART_HOME to its folder",
        )


def write_archive(path: Path, tag: str, bundle: Path, dataset: Dataset, report: Report) -> ZipSummary:
    """Write the archive, picture by picture; see the text inside for what is in it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member("README.txt"), _README.format(tag=tag))
        for file in sorted(f for f in bundle.rglob("*") if f.is_file() and f.name != _STORE_FILE):
            place = f"{MODEL_FOLDER}{file.relative_to(bundle).as_posix()}"
            with file.open("rb") as source, archive.open(member(place), "w", force_zip64=True) as target:
                while part := source.read(2**20):
                    target.write(part)
        return add_dataset(archive, dataset, DATASET_FOLDER, report)

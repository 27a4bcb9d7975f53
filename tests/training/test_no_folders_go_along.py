"""A classifier is passed on: neither its report nor its archive says where on this machine anything lay."""

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tellapart.backbones import BACKBONES
from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.pictures import Reason, Status
from tellapart.progress import silent
from tellapart.weights import _embedded_file
from training.export_archive import write_archive
from training.options import TrainingOptions
from training.train import train


def test_no_folder_of_this_machine_is_in_the_report_or_the_archive(
    tmp_path: Path, make_dataset: Callable[..., Dataset]
) -> None:
    private = tmp_path / "ann-private"
    private.mkdir()
    weights = private / "weights.pth"
    shutil.copyfile(_embedded_file(BACKBONES["efficientnet_lite0"]), weights)
    made = make_dataset(tmp_path / "ann-private-shapes", ("train",) * 3)
    dataset = replace(made, sources=(f"folder:{private}/pets", f"site:{private}/recipe.toml"))
    dataset.save()
    moved = [
        replace(a, source=f"folder:{private}/pets", page_url=f"file://{private}/page") for a in dataset.manifest.kept()
    ]
    url = (private / "not a picture.txt").as_uri()
    lost = Attempt(url, dataset.classes[0].slug, Status.REJECTED, Reason.EMPTY, source=f"site:{private}/recipe.toml")
    dataset.manifest.add([*moved, lost])
    train(dataset, TrainingOptions(backbone="efficientnet_lite0", weights=str(weights)), tmp_path / "bundle", silent)
    write_archive(tmp_path / "all.zip", "shapes:1", tmp_path / "bundle", dataset, silent)
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    assert {"model/model.json", "model/report/index.html", "dataset/manifest.csv"} <= texts.keys()
    told = {name: data for name, data in texts.items() if b"recipe.toml" in data or b"weights.pth" in data}
    assert len(told) >= 3  # what is known by name is still told
    for secret in (str(tmp_path), "ann-private"):
        assert [name for name, data in texts.items() if secret.encode() in data] == []

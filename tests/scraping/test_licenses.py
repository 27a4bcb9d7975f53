"""The licence filter: what it lets in, what it turns away unfetched, and that another run may want others."""

import pytest

import cli
from scraping.collect import collect
from tellapart.errors import SourceError
from tellapart.licenses import LicenseFilter, admits
from tellapart.pictures import Reason, Status
from tellapart.progress import silent

ANY, KNOWN, COMMERCIAL, PUBLIC = LicenseFilter


@pytest.mark.parametrize(
    ("license_", "filters"),
    [
        ("", {ANY}),
        ("  ", {ANY}),
        ("All rights reserved", {ANY, KNOWN}),
        ("CC BY-NC 4.0", {ANY, KNOWN}),
        ("CC BY-NC-SA 2.0", {ANY, KNOWN}),
        ("CC BY 4.0", {ANY, KNOWN, COMMERCIAL}),
        ("cc by-sa 3.0", {ANY, KNOWN, COMMERCIAL}),
        ("CC BY-ND 2.0", {ANY, KNOWN, COMMERCIAL}),
        ("CC BY-NC-ND 2.0", {ANY, KNOWN}),
        ("GPL-2", {ANY, KNOWN, COMMERCIAL}),
        ("CC0 1.0", {ANY, KNOWN, COMMERCIAL, PUBLIC}),
        ("PDM 1.0", {ANY, KNOWN, COMMERCIAL, PUBLIC}),
        ("Public domain", {ANY, KNOWN, COMMERCIAL, PUBLIC}),
        ("not in the public domain", {ANY, KNOWN}),
    ],
)
def test_which_licences_a_filter_admits(license_, filters):
    assert {f for f in LicenseFilter if admits(f, license_)} == filters


def test_other_licences_are_turned_away_unfetched_until_they_are_wanted(
    make_dataset, settings, site, list_source, make_photo
):
    dataset = make_dataset("cat", "dog")
    free = {c: [site.serve(f"/{c}.png", make_photo(i))] for i, c in enumerate(("cat", "dog"))}
    closed = {c: [site.serve(f"/{c}-nc.png", make_photo(i + 9))] for i, c in enumerate(("cat", "dog"))}
    sources = [
        list_source(free, name="free", license="CC BY 4.0"),
        list_source(closed, name="closed", license="CC BY-NC 4.0"),
    ]
    assert collect(dataset, sources, 2, settings, silent, wanted=COMMERCIAL).kept == {"cat": 1, "dog": 1}
    turned_away = dataset.manifest.attempts(status=Status.REJECTED)
    assert [(a.reason, a.detail) for a in turned_away] == [(Reason.LICENSE, "CC BY-NC 4.0")] * 2
    assert site.asked["/cat-nc.png"] == 0
    assert collect(dataset, sources, 2, settings, silent).kept == {"cat": 2, "dog": 2}
    assert site.asked["/cat.png"] == 1


def test_ones_own_files_need_no_licence(tmp_path, isolated_home, make_photo, capsys):
    for i, name in enumerate(("cat", "dog")):
        (tmp_path / "own" / name).mkdir(parents=True)
        (tmp_path / "own" / name / "1.png").write_bytes(make_photo(i))
    words = ["pets", "cat", "dog", "--source", f"folder:{tmp_path / 'own'}", "--license", "public-domain"]
    assert cli.main(["collect", *words]) == 0


def test_a_class_left_empty_by_the_filter_says_so(make_dataset, settings, site, list_source, make_photo):
    source = list_source({c: [site.serve(f"/{c}.png", make_photo(1))] for c in ("cat", "dog")})
    with pytest.raises(SourceError, match="its licence is not one that was asked for"):
        collect(make_dataset("cat", "dog"), [source], 2, settings, silent, wanted=KNOWN)
    assert not site.asked

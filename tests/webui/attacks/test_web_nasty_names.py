"""Nasty names of classes and files, through every page and every file that can be taken along."""

import csv
import io
import re
import zipfile

import pytest

from tests.webui.attacks.site import (
    CLASS_NAMES,
    FILE_NAMES,
    SERVED_CLASS_NAMES,
    Reader,
    Site,
    archive,
    endpoints,
    formulas,
    harmless,
    pages,
    refused,
)


def test_nasty_names_of_classes_are_only_text_on_every_page(site: Site) -> None:
    seen = set()
    for endpoint, answer in pages(site).items():
        assert answer.status_code < 400 or endpoint in ("pages.healthz",), endpoint
        if answer.mimetype == "text/html" and endpoint != "classifiers.report":
            harmless(answer)
            seen |= {name for name in SERVED_CLASS_NAMES if name in Reader(answer.text).text}
        elif answer.mimetype == "text/csv":
            assert formulas(site, site.address(endpoint)) == []
    assert seen == set(SERVED_CLASS_NAMES)


def test_nasty_names_of_files_are_only_text_on_every_page(site: Site) -> None:
    where = [e for e in endpoints(site) if e.split(".")[0] in ("results", "shares", "batches", "classifiers")]
    for name in FILE_NAMES.values():
        member = name.replace("\0", "").encode(errors="replace").decode()
        shown = site.upload(site.picture, name).json["results"][0]
        site.values["record_id"] = shown["url"].split("/")[2]
        site.values["batch_id"] = site.upload(archive({member: site.picture}), name).json["batch"].split("/")[2]
        site.post("bob", site.address("results.tell"), right="no", keep="yes", **{"class": CLASS_NAMES[0]})
        link = site.post("bob", site.address("shares.create"), {}, days="1")
        site.values["token"] = re.search(r"/shared/([\w-]+)", link.text)[1]  # type: ignore[index]
        harmless(link)
        found = pages(site, where)
        for endpoint, answer in found.items():
            assert answer.status_code == 200, (endpoint, name)
            if answer.mimetype == "text/html" and endpoint != "classifiers.report":
                harmless(answer)
            if answer.mimetype == "text/csv":
                assert formulas(site, site.address(endpoint)) == []
        for endpoint in ("results.show", "shares.show", "batches.show", "classifiers.wrong"):
            assert shown["name"] in Reader(found[endpoint].text).text
        assert 0 < len(shown["name"]) <= 120
        assert not set("/\\\0\r\n\u202e") & set(shown["name"])


def test_a_name_that_is_no_text_is_refused_with_its_form(site: Site) -> None:
    assert refused(site.upload(site.picture, "a\ud800b.png")) == (400, "wrong_token")


def test_nasty_names_stay_inside_what_is_taken_along(site: Site) -> None:
    for endpoint in ("classifiers.dataset_zip", "classifiers.model_zip"):
        data = site.person("bob").get(site.address(endpoint)).data
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            assert all(re.fullmatch(r"[\w./ -]+", name) and ".." not in name for name in file.namelist())
            for name in file.namelist():
                if name.endswith(".csv"):
                    rows = csv.reader(io.StringIO(file.read(name).decode()))
                    assert [c for row in rows for c in row if c.strip().startswith(tuple("=+@|%"))] == [], name
    card = site.person("bob").get(site.address("classifiers.card_markdown")).text
    assert not re.search(r"^=|<", card, re.MULTILINE)


@pytest.mark.parametrize("name", [n for n in FILE_NAMES.values() if set(n) & set('/\\<>|"*?:`\0\u202e') or len(n) > 80])
def test_names_that_no_class_may_have_are_refused(site: Site, name: str) -> None:
    sent = {"classes": f"dog, {name}", "sources": "openverse", "license": "any", "per_class": "20"}
    answer = site.post("bob", "/create", {}, **sent)
    assert answer.status_code == 400
    assert "lass name" in answer.text
    harmless(answer)

"""Every address of the page, by those it is not for."""

from tests.webui.attacks.addresses import EVERYBODYS, LAST, MISSING, OPEN, OWNED, ask, foreign
from tests.webui.attacks.site import JSON, Site, changing, refused
from webui.jobs import Kind


def test_every_address_is_one_of_these(site: Site) -> None:
    known = [*OPEN, *EVERYBODYS, *OWNED]
    assert len(known) == len(set(known))
    assert {r.endpoint for r in site.app.url_map.iter_rules()} == set(known)


def test_what_is_ones_own_is_there_for_oneself_alone(site: Site) -> None:
    for endpoint in OWNED:
        status, text = foreign(site, endpoint)
        assert (endpoint, status) == (endpoint, 404)
        assert "holiday" not in text
    assert site.person("bob").get(site.address("jobs.live")).headers["X-Job-Active"] == "no"  # she resumed nothing
    assert site.person("").get(site.address("shares.show")).status_code == 200  # and took nothing back
    order = sorted(OWNED, key=lambda e: (LAST.index(e) if e in LAST else -1, e))
    there = {endpoint: ask(site, "bob", endpoint, site.address(endpoint))[0] for endpoint in order}
    assert {endpoint: status for endpoint, status in there.items() if status == 404} == {}
    job = site.app.extensions["tellapart"].jobs.enqueue(Kind.TRAIN, "bobs-own", {}, owner="bob")
    listed = {
        (who, path): job.id in site.person(who).get(path).text for who in ("ann", "bob") for path in ("/", "/jobs")
    }
    assert listed == {("ann", "/"): False, ("ann", "/jobs"): False, ("bob", "/"): True, ("bob", "/jobs"): True}


def test_who_is_not_logged_in_sees_only_what_is_open(site: Site) -> None:
    for endpoint in EVERYBODYS | OWNED:
        address = site.address(endpoint)
        answer = site.post("", address) if endpoint in changing(site) else site.person("").get(address, headers=JSON)
        assert (endpoint, *refused(answer)) == (endpoint, 401, "unauthorized")
    for endpoint in OPEN - {"login.enter", "pages.healthz"}:
        with site.person("").get(site.address(endpoint)) as answer:
            assert (endpoint, answer.status_code) == (endpoint, 200)


def test_nobody_counts_up_to_what_is_anothers(site: Site) -> None:
    assert {name: len(value) * 6 >= 96 for name, value in site.values.items() if name in MISSING} == dict.fromkeys(
        MISSING, True
    )
    assert len(site.values["token"]) * 6 >= 256

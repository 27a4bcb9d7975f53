"""Every address of the page with every method, those it has not too: what they give, and what they let one reach."""

import gzip
from typing import Any

from werkzeug.routing import Rule

from tellapart.images import sha256
from tests.webui.attacks.addresses import EVERYBODYS, OWNED
from tests.webui.attacks.site import JSON, Site

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
FIXED = {"action", "share_id"}  # arguments that are one of a few words, or a number
Found = set[tuple[str, str, Any]]


def files_outside(site: Site) -> Found:
    """Addresses that give a file which is none of the page's, tell that its content was guessed, or fail."""
    outside = site.app.extensions["tellapart"].settings.home / "web" / "key.svg"
    outside.write_bytes(b"<svg>a secret</svg>")
    ways = ["../" * 20 + str(path).lstrip("/") for path in (outside, outside.with_name("nothing.css"))]
    query, found = {"v": sha256(outside.read_bytes())[:10]}, set()
    for rule, method, way in ((r, m, w) for r in site.app.url_map.iter_rules() for m in METHODS for w in ways):
        for argument in rule.arguments - FIXED:
            address = site.address(rule.endpoint, **{argument: way})
            headers = {"Accept-Encoding": "gzip"}
            with site.person("").open(address, method=method, query_string=query, headers=headers) as answer:
                data = gzip.decompress(answer.data) if answer.content_encoding and answer.data else answer.data
                if b"secret" in data or "immutable" in str(answer.cache_control) or answer.status_code >= 500:
                    found.add((method, rule.endpoint, answer.status_code))
    return found


def surprising(site: Site, name: str) -> Found:
    """Addresses that answer to a method otherwise than they should."""
    found, person = set(), site.person(name)
    for rule in site.app.url_map.iter_rules():
        address = site.address(rule.endpoint)
        has = set(site.app.url_map.bind("localhost").allowed_methods(address))
        for method in METHODS:
            with person.open(address, method=method, headers=JSON) as answer:
                if not _as_it_should(rule, method, has, answer, name):
                    found.add((method, rule.endpoint, answer.status_code))
    return found


def _as_it_should(rule: Rule, method: str, has: set[str], answer: Any, name: str) -> bool:
    """Nobody is told to log in; without a token nothing changes; OPTIONS tells the methods, and nothing else."""
    if not name and rule.endpoint in EVERYBODYS | OWNED:
        return bool(answer.status_code == 401)
    if method not in has:
        return bool(answer.status_code == (405 if name else 401))
    if method == "POST":
        return bool(answer.status_code == 400)
    if method == "OPTIONS":
        return (answer.status_code, answer.data, answer.content_encoding) == (200, b"", None)
    return answer.status_code < 400 or rule.endpoint == "pages.healthz"

"""`--since` on the command line reaches the source."""

import json

import pytest
from werkzeug.wrappers import Response

import cli


@pytest.mark.parametrize("command", [("collect",), ("create", "--yes")])
def test_since_reaches_the_source(command, site, isolated_home, monkeypatch, capsys):
    monkeypatch.setenv("TELLAPART_INATURALIST_URL", site.url)
    site.on("/observations", lambda _: Response(json.dumps({"results": []}), mimetype="application/json"))
    words = ["animals", "cat", "dog", "--source", "inaturalist", "--since", "2026-03-01"]
    assert cli.main([*command, *words]) == 4
    assert site.requests[0].args["created_d1"] == "2026-03-01"
    assert "inaturalist has nothing for 'cat' since 2026-03-01" in capsys.readouterr().err

"""`--since` on the command line reaches the source."""

import pytest
from werkzeug.wrappers import Response

import cli


@pytest.mark.parametrize("command", [("collect",), ("create", "--yes")])
def test_since_reaches_the_source(command, site, isolated_home, monkeypatch, capsys):
    monkeypatch.setenv("TELLAPART_INATURALIST_URL", site.url)
    site.on("/observations", lambda _: Response(status=403))
    words = ["animals", "cat", "dog", "--source", "inaturalist", "--since", "2026-03-01"]
    assert cli.main([*command, *words]) == 4
    assert [request.args["created_d1"] for request in site.requests] == ["2026-03-01"]
    assert "inaturalist refused the request" in capsys.readouterr().err

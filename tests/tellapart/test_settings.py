from pathlib import Path

import pytest

from tellapart.errors import UsageError
from tellapart.settings import load_settings


def test_defaults_are_local_and_have_no_secret():
    settings = load_settings({})
    assert (settings.host, settings.web_port, settings.service_port) == ("127.0.0.1", 5000, 3000)
    assert settings.service_url == "http://127.0.0.1:3000"
    assert settings.token == ""
    assert settings.home == Path("~/.tellapart").expanduser()
    assert settings.datasets == settings.home / "datasets"
    assert settings.cache == settings.home / "cache"


def test_every_setting_comes_from_the_environment():
    settings = load_settings(
        {
            "TELLAPART_HOME": "/data/home",
            "TELLAPART_HOST": "0.0.0.0",
            "TELLAPART_WEB_PORT": "8080",
            "TELLAPART_SERVICE_PORT": "8081",
            "TELLAPART_TOKEN": "secret",
            "TELLAPART_CONTACT": "me@example.org",
            "TELLAPART_OPENVERSE_URL": "http://127.0.0.1:9/v1/",
            "TELLAPART_GALLERY": "/pictures",
            "TELLAPART_CHROMIUM": "/c",
            "TELLAPART_CHROMEDRIVER": "/d",
            "TELLAPART_CACHE_URL": "redis://localhost",
        }
    )
    assert settings.home == Path("/data/home")
    assert (settings.web_port, settings.service_port) == (8080, 8081)
    assert settings.service_url == "http://127.0.0.1:8081"
    assert (settings.token, settings.contact, settings.cache_url) == ("secret", "me@example.org", "redis://localhost")
    assert settings.openverse_url == "http://127.0.0.1:9/v1"
    assert (settings.gallery_folder, settings.chromium, settings.chromedriver) == (
        Path("/pictures"),
        Path("/c"),
        Path("/d"),
    )
    found = load_settings({"TELLAPART_SERVICE_URL": "http://s:1"})
    assert (found.service_url, found.service_address) == ("http://s:1", "http://s:1")
    found = load_settings({"TELLAPART_SERVICE_URL": "http://s:1", "TELLAPART_PUBLIC_SERVICE_URL": "https://p/"})
    assert (found.service_url, found.service_address) == ("http://s:1", "https://p")


def test_a_home_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_settings({"TELLAPART_HOME": "here"}).home == tmp_path / "here"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80.5", " 80", "²"])
@pytest.mark.parametrize("name", ["TELLAPART_WEB_PORT", "TELLAPART_SERVICE_PORT"])
def test_a_port_that_is_no_port(name, port):
    with pytest.raises(UsageError, match=f"{name}=.* is not a port"):
        load_settings({name: port})


@pytest.mark.parametrize(("text", "honoured"), [("", True), ("on", True), ("off", False), ("OFF", False)])
def test_robots_txt_is_honoured_unless_told_otherwise(text, honoured):
    assert load_settings({"TELLAPART_ROBOTS": text}).robots is honoured


def test_a_switch_is_on_or_off():
    with pytest.raises(UsageError, match="TELLAPART_ROBOTS='no' is neither on nor off"):
        load_settings({"TELLAPART_ROBOTS": "no"})

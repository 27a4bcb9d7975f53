"""The hostile site and a stranger to it, for the tests in this folder."""

import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tellapart.dataset import Dataset
from tellapart.names import parse_class_names
from tellapart.settings import Settings
from tests.scraping.hostile.site import HostileSite, Stranger


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody but its maker vouches for, with its key."""
    file = tmp_path_factory.mktemp("tls") / "self-signed.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tls.test -addext subjectAltName=DNS:tls.test"
    made = subprocess.run(
        [*command.split(), "-keyout", str(file), "-out", f"{file}.crt"], capture_output=True, check=True
    )
    assert made.returncode == 0
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


@pytest.fixture(scope="session")
def hostile(certificate: Path) -> Generator[HostileSite, None, None]:
    site = HostileSite(certificate)
    yield site
    site.close()


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    classes = parse_class_names(("cat", "dog"))
    dataset = Dataset.create(tmp_path / "dataset", "dataset", classes, ["list"])
    return Stranger(dataset, Settings(home=tmp_path / "home", contact="someone@example.org"))

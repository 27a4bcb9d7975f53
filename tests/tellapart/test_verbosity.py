"""How much is logged: by default what goes wrong, where it is asked for all that is done."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tellapart import servers
from tellapart.settings import load_settings
from tellapart.verbosity import is_quiet

ROOT = Path(__file__).resolve().parents[2]
SAY = "log = logging.getLogger('tellapart.x'); log.info('the table'); log.warning('it ended')"
BENTOML = "from bentoml._internal.log import configure_server_logging; configure_server_logging()"


@pytest.mark.parametrize(
    ("environ", "quiet"),
    [
        ({}, False),
        ({"BENTOML_QUIET": "true"}, True),
        ({"BENTOML_QUIET": "True", "BENTOML_VERBOSITY": "0"}, False),
        ({"BENTOML_VERBOSITY": "-1"}, True),
        ({"BENTOML_VERBOSITY": "1"}, False),
    ],
)
def test_what_bentoml_was_told_counts(environ: dict[str, str], quiet: bool) -> None:
    assert is_quiet(environ) == quiet


def test_our_service_is_quiet_unless_more_is_asked_for() -> None:
    assert "--quiet" in servers.service(load_settings({})).command
    assert "--quiet" not in servers.service(load_settings({"TELLAPART_LOG": "info"})).command


def logged(code: str, quiet: bool) -> str:
    environ = os.environ | {"BENTOML_VERBOSITY": "-1" if quiet else "0"}
    code = f"import logging; from tellapart import verbosity; {code}; {SAY}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("quiet", [True, False])
def test_a_runner_logs_its_table_unless_it_is_to_be_quiet_and_always_what_goes_wrong(quiet: bool) -> None:
    said = logged("verbosity.log_as_runner()", quiet)
    assert ("the table" in said, "it ended" in said) == (not quiet, True)


def test_a_quiet_front_still_says_what_goes_wrong() -> None:
    assert "it ended" not in logged(BENTOML, quiet=True)
    assert "it ended" in logged(f"{BENTOML}; verbosity.log_as_front()", quiet=True)

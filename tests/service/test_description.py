"""The service does what its own description (/docs.json) says, asked by a generator of requests that fit and do not."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig

from benchmarks.attacks import FORMATS, picture
from tellapart.openapi import describe

pytestmark = pytest.mark.service

Server = Any
schemathesis.openapi.format("binary", st.sampled_from(FORMATS).map(picture))  # no schema can say what a picture is
SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(describe())), config=SchemathesisConfig())


@SCHEMA.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: Any, server: Server) -> None:
    case.call_and_validate(base_url=server.url, timeout=30)

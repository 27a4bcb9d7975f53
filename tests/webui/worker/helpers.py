"""What the tests of the worker share."""

from webui.claims import Claim, Claims
from webui.jobs import Job, Jobs, Kind

OPTIONS = {"classes": ["cat", "-dog"], "sources": ["gallery"], "per_class": 5, "license": "known"}
ALL = frozenset(Kind)


def taken(claims: Claims, kinds: frozenset[Kind] = ALL) -> Claim:
    claim = claims.take(kinds)
    assert claim is not None
    return claim


def reread(jobs: Jobs, job: Job) -> Job:
    found = jobs.find(job.id)
    assert found is not None
    return found

"""What a download may cost, and how considerate of a web site it is."""

from dataclasses import dataclass

from tellapart.images import DEFAULT_LIMITS


@dataclass(frozen=True)
class FetchLimits:
    """What a download may cost; times are in seconds.

    Attributes:
        max_bytes: of one picture, after decompression.
        concurrency: requests at once; per_host: of these, to one host.
        delay: between the starts of two requests to one host, at least; none for local sources.
        connect_timeout, total_timeout: for one request.
        min_rate: bytes a second, on average since a body began, once it has had `grace`.
        redirects: followed at most.
        tries: of one address in all, 1 or more.
        backoff: before the second try, doubled with each further one, with up to as much jitter.
        longest_wait: between two tries at most, whatever a Retry-After asks for.
        circuit: failures of a host in a row after which it is left alone for `circuit_rest`.
        robots_bytes: read of a robots.txt; robots_timeout: for it; robots_rest: until one that
            could not be read is asked for again.
    """

    max_bytes: int = DEFAULT_LIMITS.max_bytes
    concurrency: int = 24
    per_host: int = 2
    delay: float = 0.1
    connect_timeout: float = 5
    total_timeout: float = 30
    min_rate: float = 1024
    grace: float = 5
    redirects: int = 5
    tries: int = 3
    backoff: float = 0.5
    longest_wait: float = 20
    circuit: int = 10
    circuit_rest: float = 60
    robots_bytes: int = 500 * 1024
    robots_timeout: float = 10
    robots_rest: float = 300

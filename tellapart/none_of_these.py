"""From how many pictures a classifier can learn when to say "none of these", and what is said of one that cannot."""

LEAST_PICTURES = 40  # that it has not learned from: a threshold is set at their lowest 5 %


def always_answers(pictures: int | None = None) -> str:
    """That a classifier cannot say "none of these", and how many pictures it could have learned that from."""
    were = "" if pictures is None or pictures >= LEAST_PICTURES else f"{pictures} held back from learning; "
    return (
        "It always answers one of its classes: there were too few pictures to learn when to say none of these "
        f"({were}at least {LEAST_PICTURES} are needed)."
    )


ALWAYS_ANSWERS = always_answers()

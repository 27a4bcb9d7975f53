"""How numbers are written for people, on pages and in a terminal."""


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 picture", "2 pictures"; `many` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def percent(value: float) -> str:
    """A fraction as a percentage; never rounded up to certainty or down to nothing."""
    if 0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1:
        return "> 99.9 %"
    return f"{value * 100:.1f} %"

"""How an accuracy was measured, by name. Needs no torch."""

from enum import StrEnum


class Protocol(StrEnum):
    """How the accuracy was measured; the values are those of model.json."""

    TEST = "test"
    VALIDATION = "validation"
    CROSS_VALIDATION = "cross-validation"
    HOLD_OUT = "hold-out"


PROTOCOL_TEXT = {
    Protocol.TEST: "test (held out, looked at once)",
    Protocol.VALIDATION: "validation (held out, not used for choosing anything)",
    Protocol.CROSS_VALIDATION: "cross-validation (each picture judged by a classifier that had not seen it)",
    Protocol.HOLD_OUT: "hold-out (a fifth of the pictures, put aside by chance and looked at once)",
}

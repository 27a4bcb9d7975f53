"""The exception tree. Each kind of error has one exit code of the command line.

TellapartError          1   a failure of ours or of this machine: a folder or disk that cannot be written
  Busy                  1   others are at work on it
  UsageError            2   wrong usage
  DataError             3   bad input or data set
    ImageError          3   one picture that cannot be used (see `images`)
    BundleError         3   a classifier's files do not match what they say
  SourceError           4   a source refused or is unreachable
  MissingError          5   weights or a model not found
    NoDataError         3   a data set, a folder or a file that was named is not there
"""


class TellapartError(Exception):
    """An error a person can act on: what went wrong and where, then what to do.

    `str(error)` is always a single line.
    """

    exit_code = 1

    def __init__(self, what: str, fix: str = "") -> None:
        self.what = " ".join(what.split())
        self.fix = " ".join(fix.split())
        super().__init__(f"{self.what}. {self.fix}" if self.fix else self.what)


class Busy(TellapartError):
    """Others are at work on it, and take longer than one waits; a moment later it can be done."""


class UsageError(TellapartError):
    """The command or its arguments are wrong."""

    exit_code = 2


class DataError(TellapartError):
    """The input or the data set cannot be used as it is."""

    exit_code = 3


class BundleError(DataError):
    """A classifier's files do not agree with its model.json."""


class SourceError(TellapartError):
    """A source refused, is unreachable, or had nothing."""

    exit_code = 4


class MissingError(TellapartError):
    """Something that was named is not there: weights or a model, unless it is a `NoDataError`."""

    exit_code = 5


class NoDataError(MissingError):
    """A data set, a folder, a file or a person that was named is not there."""

    exit_code = 3

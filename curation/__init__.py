"""Pictures to a data set one can trust: duplicates, conflicts, leaks and splits. Never loads torch."""

from curation.curate import ClassCounts, CurationSummary, curate

__all__ = ["ClassCounts", "CurationSummary", "curate"]

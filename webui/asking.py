"""Pictures in, entries out: what became of each, kept so that it has a page of its own."""

from collections.abc import Sequence

from flask import url_for

from tellapart.wire import Problem, ServiceError
from webui.answers import Answer, Question
from webui.client import Unavailable
from webui.intake import Upload
from webui.login import current_user
from webui.parts import parts
from webui.records import Entry, Record, new_id


def ask(uploads: Sequence[Upload], question: Question, many: bool = False) -> list[Entry]:
    """One entry for each picture, in their order; of `many` few are looked at, so copies are made when they are.

    Raises:
        ServiceError: the question is wrong, such as `unknown_model`.
        Unavailable: the service cannot answer.
    """
    answers = parts().answers.answer([u.data for u in uploads], question)
    says_none = _says_none(question.tag)
    return [_entry(upload, answer, says_none, many) for upload, answer in zip(uploads, answers, strict=True)]


def for_programs(entry: Entry) -> dict[str, object]:
    """An entry as scripts and programs read it."""
    if entry.error:
        return {"name": entry.name, "error": entry.error.model_dump()}
    return {
        "name": entry.name,
        "url": url_for("results.show", record_id=entry.id),
        "picture": url_for("results.picture", record_id=entry.id),
        "from_cache": entry.from_cache,
        "says_none": entry.says_none,
        "result": entry.result.model_dump(mode="json") if entry.result else None,
    }


def _says_none(tag: str) -> bool:
    """Whether a version can say "none of these"; taken to be so where that cannot be known."""
    try:
        return parts().catalog.resolve(tag).says_none
    except (ServiceError, Unavailable):
        return True


def _entry(upload: Upload, answer: Answer, says_none: bool, many: bool) -> Entry:
    """What became of one upload; a result gets its own record and a preview."""
    if isinstance(answer.outcome, Problem):
        return Entry(name=upload.name, sha256=answer.digest, error=answer.outcome)
    entry = Entry(
        name=upload.name,
        sha256=answer.digest,
        id=new_id(),
        result=answer.outcome,
        from_cache=answer.from_cache,
        says_none=says_none,
    )
    keep = parts().previews.save_later if many else parts().previews.save
    keep(answer.digest, upload.data)
    parts().records.save(Record(entries=[entry], owner=current_user()), entry.id)
    return entry

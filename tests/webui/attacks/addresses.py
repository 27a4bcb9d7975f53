"""Every address of the page: whose it is, and what somebody else gets there."""

import re

from tests.webui.attacks.site import JSON, Site, changing

OPEN = {"static", "login.form", "login.enter", "pages.healthz", "pages.livez", "shares.show", "shares.picture"}
EVERYBODYS = {  # who is logged in may use all classifiers and their pictures
    *(
        "lists.classifiers",
        "lists.datasets",
        "lists.jobs",
        "pages.index",
        "pages.api",
        "create.submit",
        "uploads.form",
        "uploads.classify",
        "batches.start",
        "login.leave",
        "passwords.form",
        "passwords.change",
    ),
    *("classifiers.show", "classifiers.report", "classifiers.card", "classifiers.card_markdown", "classifiers.export"),
    *("classifiers.exported", "classifiers.dataset_zip", "classifiers.model_zip", "classifiers.learned"),
    *("classifiers.wrong", "classifiers.wrong_picture", "classifiers.confirm", "classifiers.change"),
    *("review.show", "review.pictures", "review.picture", "review.details", "audit.show", "audit.reply"),
    *("review_changes.stage", "review_changes.discard", "review_changes.apply_staged", "review_changes.undo_last"),
    *("review_changes.train", "additions.add", "own_pictures.add", "removal.confirm", "removal.delete"),
}
OWNED = {
    *(
        "jobs.show",
        "jobs.live",
        "jobs.events",
        "jobs.picture",
        "jobs.stop",
        "jobs.resume",
        "jobs.remove",
        "create.look",
    ),
    *("batches.show", "batches.add", "batches.part", "batches.json", "batches.csv"),
    *("results.show", "results.download", "results.download_csv", "results.picture", "results.heat_map"),
    *("results.explanation", "results.nearest", "results.tell", "shares.create", "shares.revoke"),
}
LAST = ("jobs.resume", "jobs.stop", "jobs.remove")  # as a stream of a job that goes on has no end
MISSING = {
    "job_id": "A" * 22,
    "record_id": "A" * 16,
    "batch_id": "A" * 22,
    "folder_id": "B" * 22,
    "sample_id": "A" * 22,
}


def ask(site: Site, name: str, endpoint: str, address: str) -> tuple[int, str]:
    """The status and what it says, once as a page and once as JSON."""
    post, answers = endpoint in changing(site), []
    for accept in ({}, JSON):
        answer = site.post(name, address, accept) if post else site.person(name).get(address, headers=accept)
        with answer:
            answers.append(
                (
                    answer.status_code,
                    re.sub(r'value="[\w.-]{60,}"|nonce="[^"]+"', "", answer.data.decode(errors="replace")),
                )
            )
    return answers[0][0], "".join(text for _, text in answers)


def foreign(site: Site, endpoint: str) -> tuple[int, str]:
    return ask(site, "ann", endpoint, site.address(endpoint))


def missing(site: Site, endpoint: str) -> tuple[int, str]:
    return ask(site, "ann", endpoint, site.address(endpoint, **MISSING))

"""Samples are for looking at before a create; a day later they are gone."""

import shutil
from datetime import timedelta

from sqlalchemy import select

from tellapart.settings import Settings
from webui.database import Database
from webui.job_command import sample_folder
from webui.jobs import ACTIVE, Job, Kind, utc_now

KEEP = timedelta(days=1)


def forget_old(database: Database, settings: Settings) -> None:
    """Delete the samples that are older than `KEEP`, with their pictures."""
    old = select(Job).where(Job.kind == Kind.SAMPLE, Job.created < utc_now() - KEEP, Job.state.not_in(ACTIVE))
    with database.writing() as session:
        for job in session.scalars(old):
            shutil.rmtree(sample_folder(job, settings), ignore_errors=True)
            session.delete(job)

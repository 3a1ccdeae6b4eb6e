"""Dashboards at the start: files are read, and what this version refuses is logged."""

import asyncio
import functools
import logging
from pathlib import Path
from typing import Final

from graphql import GraphQLSchema

from api.graphql.dashboards.checks import content_problems, source_error
from resolvers.dashboards import dashboards
from resolvers.dashboards.files import read_folder
from schema.errors import AnalyticsError
from schema.limits import LimitTable
from store import Store
from store.dashboards.versions import spend_nothing

_LOG: Final = logging.getLogger("analytics.dashboards")
_MAX_NAMES: Final = 20
"""Dashboards that a line of the log names."""


async def load_files(store: Store, folder: Path, schema: GraphQLSchema, limits: LimitTable) -> None:
    """Read the dashboards of a mounted folder; log a line for each file that can't be used."""
    check = functools.partial(source_error, schema)
    has_project = store.keys.registry.has_project
    entries, problems = await asyncio.to_thread(read_folder, folder, check, limits, has_project)
    store.dashboards.use_files(entries)
    for problem in problems:
        _LOG.warning("a file of dashboards is left out: %s", problem)


async def report_invalid_dashboards(
    store: Store, schema: GraphQLSchema, limits: LimitTable
) -> None:
    """Log the dashboards with parts that this version refuses, in one line; find all problems."""
    check = functools.partial(content_problems, schema, limits)
    names = []
    for project in await asyncio.to_thread(store.dashboards.projects):
        try:
            for header in await store.dashboards.all_headers(project):
                found_problems = await dashboards.problems(
                    store, project, header, check, spend_nothing
                )
                names += [
                    f"{project}/{header.slug}: {problem.field}: {problem.message}"
                    for problem in found_problems[:1]
                ]
        except AnalyticsError:
            continue  # the store has logged why a file can't be read
    if names:
        extra = {"count": len(names), "dashboards": names[:_MAX_NAMES]}
        _LOG.warning("dashboards have panels that are no longer valid", extra=extra)

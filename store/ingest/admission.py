"""Admission of rows by their names: a row with a new name beyond the limit is refused alone."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from schema.errors import AnalyticsError, bad_input
from store.ingest.body_reader import BodyReader
from store.ingest.decoder import Batch, batch_of
from store.ingest.names import AdmittedNames, Names
from store.ingest.row_errors import rename_field, row_error
from store.ingest.rows import Row, RowType
from store.ingest.streams import Stream


async def admit_row(names: Names, stream: Stream[Row], project: str, name: str) -> AdmittedNames:
    """Admit the name of one row; return it, to be settled.

    Raises `AnalyticsError` that names the field and the limit, and UNAVAILABLE as `admit_batch`.
    """
    await names.await_stored()
    admitted_names, refused_names = names.of_project(stream.table, project).admit((name,))
    if refused_names:
        admitted_names.settle()
        names.require_ready(stream.table)
        raise _refusal(stream.row_type, names.limit)
    return admitted_names


async def admit_names(
    names: Names, stream: Stream[Row], batch: Batch[Row]
) -> tuple[AdmittedNames, frozenset[str]]:
    """Admit the names of a batch, those of its first rows first; return them, to be settled.

    Also return the refused names. Raises UNAVAILABLE as `admit_batch` does.
    """
    await names.await_stored()
    row_names = list(map(batch.row_type.name_of, batch.rows))
    admitted_names, refused_names = names.of_project(stream.table, batch.project).admit(row_names)
    if refused_names and not names.is_ready:
        admitted_names.settle()
        names.require_ready(stream.table)
    return admitted_names, refused_names


async def admit_batch(
    names: Names,
    stream: Stream[Row],
    batch: Batch[Row],
    reader: BodyReader,
    field_names: Mapping[str, str],
) -> tuple[Batch[Row], AdmittedNames | None]:
    """Return the rows of a batch whose names are admitted, and these names, to be settled.

    The names are None if no name is new and nothing can happen before the rows are appended. The
    other rows are among the errors of the returned batch. The first rows of the batch get the room.
    Raises UNAVAILABLE when a name may be stored, and the stored names can't be read.
    """
    project_names = names.of_project(stream.table, batch.project)
    row_type = batch.row_type
    batch_names = (
        frozenset(map(row_type.name_of, batch.rows)) if batch.names is None else batch.names
    )
    if batch_names <= project_names.stored:
        # Only a batch without ids is appended at once.
        return batch, None if batch.id_hashes is None else project_names.hold(batch_names)
    await names.await_stored()
    admitted_names, refused_names = project_names.admit(batch_names)
    if not refused_names:
        return batch, admitted_names
    admitted_names.settle()
    names.require_ready(stream.table)
    row_names = await reader.run(len(batch.lines), lambda: list(map(row_type.name_of, batch.rows)))
    admitted_names, refused_names = project_names.admit(row_names)
    error = rename_field(_refusal(row_type, names.limit), field_names)
    try:
        narrowed_batch = await reader.run(
            len(batch.lines), lambda: _without_names(batch, row_names, refused_names, error)
        )
    except BaseException:
        admitted_names.settle()
        raise
    return narrowed_batch, admitted_names


def _refusal(row_type: RowType[Row], limit: int) -> AnalyticsError:
    field = row_type.name_field
    message = f"is new, and the project has {limit} names already, the maximum"
    return bad_input(field, message, limit=limit)


def _without_names(
    batch: Batch[Row],
    row_names: Sequence[str],
    refused_names: AbstractSet[str],
    error: AnalyticsError,
) -> Batch[Row]:
    """Return a batch without the rows of some names, which become errors."""
    if not refused_names:
        return batch
    rejected_indexes = {entry.index for entry in batch.errors}
    rows, errors = [], list(batch.errors)
    index = 0
    for row, name in zip(batch.rows, row_names, strict=True):
        while index in rejected_indexes:
            index += 1
        if name in refused_names:
            errors.append(row_error(index, row, error))
        else:
            rows.append(row)
        index += 1
    errors.sort(key=lambda entry: entry.index)
    narrowed_batch = batch_of(batch.row_type, rows, errors)
    narrowed_batch.has_arrival_times = batch.has_arrival_times
    narrowed_batch.project = batch.project
    return narrowed_batch

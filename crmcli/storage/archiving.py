"""The archive: which clients are in it, and what to say of them where only their ids are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crmcli.storage import kernels as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmcli.storage.reading import Reader

ERASED = "(erased)"


def archived_clients(reader: Reader, ids: Sequence[int] | None = None) -> pa.ChunkedArray:
    """Return the ids of the archived clients, or of those among `ids`."""
    where = None if ids is None else ("client_id", ids)
    # Most often nobody is, which takes no ids to see.
    if where is None and not pc.any_true(reader.merged("clients", ["archived"]).column("archived")):
        return pa.chunked_array([], pa.int64())
    rows = reader.merged("clients", ["client_id", "archived"], where)
    return pc.filtered(rows, pc.is_true(rows.column("archived"))).column("client_id")


def in_sight(reader: Reader, rows: pa.Table) -> pa.Table:
    """Return the rows of clients who are not archived; the rows have a `client_id`."""
    hidden = archived_clients(reader)
    if not len(hidden):
        return rows
    return pc.filtered(rows, pc.invert(pc.is_in(rows.column("client_id"), hidden.combine_chunks())))

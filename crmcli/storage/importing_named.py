"""Which deals the names in a file mean, all at once, for the import of stages in columns."""

from __future__ import annotations

import pyarrow as pa

from crmcli.storage import kernels as pc
from crmcli.storage.importing_columns import require


def numbers_of(keys: pa.Array, notes: pa.RecordBatch, ids: pa.ChunkedArray) -> pa.Array:
    """Return the record of each external id, or null. Raises: NotPlainError if several deals have one of them."""
    key = pc.index_in(notes.column("text"), keys)
    # Most notes are of records that the file does not name.
    found = pa.record_batch([key, notes.column("about_id")], ["key", "id"])
    found = pc.filtered(found, pc.is_valid(key)) if key.null_count else found
    if len(pc.distinct(found.column("key"))) < found.num_rows:
        # Records of other kinds may share an external id with a deal; of deals the last one counts: told row by row.
        found = pc.filtered(found, pc.is_in(found.column("id"), pc.whole(ids)))
        require(len(pc.distinct(found.column("key"))) == found.num_rows)
    order = pc.order_of_places(found.column("key"), len(keys))
    place, number = pc.taken(found.column("key"), order), pc.taken(found.column("id"), order)
    if len(place) == len(keys):
        return number
    is_found = pc.is_in(pa.arange(0, len(keys)), pc.cast_to(place, pa.int64()))
    return pc.replaced(pa.nulls(len(keys), pa.int64()), is_found, number)


def used(deals: pa.RecordBatch, numbers: pa.Array) -> tuple[pa.RecordBatch, pa.Array]:
    """Return the deals that are named, in the order of clients, and the place of each name among them.

    Raises: NotPlainError for a name that none has.
    """
    if not pc.is_ascending(deals.column("client_id")):
        deals = pc.sorted_by(deals, "client_id")
    place = pc.index_in(numbers, deals.column("deal_id"))
    require(not place.null_count)
    used = pc.distinct(place)
    if len(used) < deals.num_rows:
        used = pc.taken(used, pc.order_of_places(used, deals.num_rows))
        deals, place = pc.taken(deals, used), pc.index_in(place, used)
    return deals, place

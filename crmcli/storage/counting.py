"""Counting: the rows of clients who exist; what reports, reminds or plans reads tables through here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.storage import kernels as pc
from crmcli.storage.members import LEAD, MANAGER
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from crmcli.storage.reading import Reader


def counted(reader: Reader, table: str, columns: Sequence[str], *, coded: bool = False) -> pa.Table:
    """Return columns of a table without what is about canaries: for all that counts, reports or reminds.

    To who has clients of their own and is no admin a canary counts like anybody: they would tell it by what is missing.
    """
    if reader.keyring.role in (MANAGER, LEAD):
        return reader.merged(table, columns, coded=coded)
    planted = reader.merged("canaries", ["client_id"]).column("client_id").combine_chunks()
    if not len(planted) or "client_id" not in TABLES[table].kinds:
        return reader.merged(table, columns, coded=coded)
    rows = reader.merged(table, list(dict.fromkeys((*columns, "client_id"))), coded=coded)
    return pc.filtered(rows, pc.invert(pc.is_in(rows.column("client_id"), planted))).select(list(columns))

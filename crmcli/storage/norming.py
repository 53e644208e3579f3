"""Norms in the store: figures of the whole base, published to the book that everybody opens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crmcli.errors import NotPermittedError
from crmcli.model.records import Document
from crmcli.storage.returning import counted_norms, works_by_published
from crmcli.storage.suggesting import counted_pairs

if TYPE_CHECKING:
    from crmcli.model.acting import Acting
    from crmcli.model.returning import Norms
    from crmcli.storage.view import Draft


def publish(draft: Draft, acting: Acting) -> Norms:
    """Put the norms of today as the newest version, unless they are but for their day those of before; return them.

    Raises: NotPermittedError for who opens but a part of the clients.
    """
    if works_by_published(draft):
        raise NotPermittedError("norms are of the whole base", "an admin or a service publishes them")
    draft.depends_on("norms")
    norms = counted_norms(draft, acting.now)
    plain: dict[str, Any] = norms.to_plain() | {"pairs": [pair.to_plain() for pair in counted_pairs(draft, acting.now)]}
    newest = draft.newest_or_none("norms")
    if newest is None or json.loads(newest.text) | {"as_of": plain["as_of"]} != plain:
        version = newest.version + 1 if newest else 1
        text = json.dumps(plain, ensure_ascii=False)
        draft.put_document("norms", Document(acting.new_id(), version, text, acting.now, acting.by))
    return norms

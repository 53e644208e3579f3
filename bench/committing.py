"""Our side of the rows about commits: many in one process, and a log grown long.

Usage: python -m bench.committing loop COUNT | grow SEQ
"""

from __future__ import annotations

import os
import sys
import time
from unittest.mock import patch

from crmcli.model.capture import Introduction, introduce
from crmcli.model.process import DEFAULT
from crmcli.model.records import CALL, Activity
from crmcli.session import Session, new_op_id, random_id
from crmcli.storage import upkeep

# Commits between two rounds of upkeep while a log grows: as many files of a table as a reader may meet at any time.
ROUND = 16
# Commits of one opening of the store, which remembers each that it has seen.
SITTING = 1000


def loop(count: int) -> None:
    """Commit, one by one, a client and the contact, with the upkeep due; print how many seconds it took."""
    session = Session.of_process()
    store = session.store()
    start = time.perf_counter()
    for number in range(count):
        with session.writing() as draft:
            person = Introduction(f"Client {number}", [f"+7812{number:07}"])
            draft.put(*introduce(session.acting(draft), DEFAULT, person, "RU"))
        upkeep.run(store, new_op_id, session.now)
    print(time.perf_counter() - start)
    session.close(succeeded=True)


def grow(seq: int) -> None:
    """Commit calls until the log has `seq` commits.

    Building it is not measured, so it neither waits for the disk nor looks for commits of others, who are not there.
    """
    with patch.object(os, "fsync", _skipped):
        while _grown(seq) < seq:
            pass


def _grown(most: int) -> int:
    """Commit a thousand calls, but not beyond the commit `most`; return the last commit."""
    session = Session.of_process()
    store = session.store()
    with session.reading() as view:
        client = view.records("clients")[0]
    end = min(most, store.state.seq + SITTING)
    with patch.object(store, "refresh", _skipped), patch.object(store.memory, "set_pin", _skipped):
        while store.state.seq < end:
            for _ in range(min(ROUND, end - store.state.seq)):
                with session.writing() as draft:
                    at, by = session.now, store.member_number
                    draft.put(Activity(random_id(), client.client_id, CALL, at, by, None, "out", "answered", 60))
            upkeep.run(store, new_op_id, session.now)
    store.memory.set_pin(store.state.seq, store.state.hash)
    session.close(succeeded=True)
    return store.state.seq


def _skipped(*_: object) -> None:
    pass


def main() -> None:
    """Do what the command line says."""
    what, *numbers = sys.argv[1:]
    {"loop": loop, "grow": grow}[what](*map(int, numbers))


if __name__ == "__main__":
    main()

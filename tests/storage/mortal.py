"""Programs of the kill loop: a writer that commits until it is killed, born again and again, and a patient reader."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from select import select
from typing import Any

from crmcli.errors import OvertakenError
from crmcli.model.records import Activity, Note
from crmcli.session import Session, new_op_id
from crmcli.storage import log, upkeep
from crmcli.storage.view import Draft, View
from tests.storage.company import Company
from tests.storage.faulty import CALLS

LIFE = 1 << 20
UPKEEP_EVERY = 3
MOMENT = 0.001


def tell(*words: object) -> None:
    """Say something in one call, which a kill does not cut in two."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def keep_small() -> None:
    """Let compaction and packing be due often."""
    upkeep.MANY = 6
    log.LOOSE = 20
    log.SEGMENT = 20


def slow_disk() -> None:
    """Let every call that changes the disk take a moment, so that kills fall between any two of them alike."""

    def slowed(call: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*arguments: Any, **options: Any) -> Any:
            if call.__name__ == "write" and arguments[0] < 3:
                return call(*arguments, **options)
            done = call(*arguments, **options)
            time.sleep(MOMENT)
            return done

        return slow

    for name in (*CALLS, "fchmod"):
        setattr(os, name, slowed(getattr(os, name)))


def session_of(company: Company, who: str, machine: str) -> Session:
    """Return the session of a member at a machine of that name, whose clock is right."""
    home = company.home(machine)
    session = replace(company, now=datetime.now(UTC)).session(who)
    return replace(session, cache=home / "cache/crmcli", pins=home / "state/crmcli")


def put(draft: Draft, client_id: int, number: int) -> None:
    """Put a call, what was said and the client's new state: three files in two groups, that are there all or not."""
    now = datetime.now(UTC)
    [client] = draft.records("clients", "client_id", [client_id])
    call = Activity(number, client_id, "call", now, 1)
    draft.put(call, Note(number, client_id, number, "said", f"call {number}", now, 1))
    draft.put(replace(client, cadence_days=number))


def commit(session: Session, client_id: int, number: int) -> None:
    """Commit number after number, again if overtaken, as the program does."""
    for session.attempt in range(2):
        try:
            with session.writing() as draft:
                put(draft, client_id, number)
                tell("begin", number)
        except OvertakenError:
            if session.attempt:
                raise
        else:
            break
    tell("saved", number)


def live(company: Company, who: str, client_id: int, life: int) -> None:
    """Commit until killed."""
    session = session_of(company, who, who)
    for number in count(life * LIFE + 1):
        commit(session, client_id, number)
        if number % UPKEEP_EVERY == 0:
            tell("upkeep", number)
            upkeep.run(session.store(), new_op_id, session.now)
            session.store().close()
            tell("kept", number)


def bear(company: Company, who: str, client_id: int) -> None:
    """Bear a writer for each number that is read, one at a time, each in a process group of its own."""
    slow_disk()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            tell("born", os.getpid())
            try:
                live(company, who, client_id, int(line))
            except BaseException:  # noqa: BLE001 - a writer has no way out but a kill
                traceback.print_exc()
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        tell("dead" if os.WIFSIGNALED(status) else "failed")


def half_done(view: View) -> list[str]:
    """Return what is there in part only."""
    calls = [call for call in view.records("activities") if call.activity_id > LIFE]
    newest: dict[int, int] = defaultdict(int)
    for call in calls:
        newest[call.client_id] = max(newest[call.client_id], call.activity_id)
    clients: list[Any] = view.records("clients")
    said = sorted(note.note_id for note in view.records("notes") if note.field == "said")
    wrong = [f"client {x.client_id}" for x in clients if (x.cadence_days or 0) != newest[x.client_id]]
    if said != sorted(call.activity_id for call in calls):
        wrong.append("calls and what was said")
    known = sorted(x.client_id for x in clients)
    tables = ("contacts", "deals")
    return wrong + [name for name in tables if sorted(x.client_id for x in view.records(name)) != known]


def watch(company: Company) -> None:
    """Read, now with what this machine remembers and now without, until told to stop; then say how often."""
    for times in count(1):
        machine = "reader" if times % 4 else f"reader {times}"
        session = session_of(company, "admin", machine)
        with session.reading() as view:
            wrong = half_done(view)
        session.close(succeeded=False)
        if wrong:
            raise SystemExit(f"half done: {wrong}")
        if select([0], [], [], 0)[0]:
            tell(times)
            return


def main() -> None:
    """Run `bear FOLDER WHO CLIENT` or `watch FOLDER`."""
    keep_small()
    company = Company(Path(sys.argv[2]))
    if sys.argv[1] == "bear":
        bear(company, sys.argv[3], int(sys.argv[4]))
    else:
        watch(company)


if __name__ == "__main__":
    main()

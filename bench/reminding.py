"""The rows about reminders, and what fills a store and a database with as many of them.

Usage: python -m bench.reminding fill DATABASE
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measure import Job, pair, run
from bench.stores import SQLITE_UTILS, Bench
from bench.table import Line, ratio

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
# So many reminders are overdue already; of the others one is due every `_STEP`.
OVERDUE = 1_000
_STEP = timedelta(minutes=3)
_EACH_RUN = 20
_COLUMNS = "r.due_at, r.who, c.name, r.about, c.phone, r.id"
_QUERY = (
    "select {} from reminders r join clients c on c.id = r.client_id where r.status = 'open' and {} order by r.due_at"
)


def reminding(bench: Bench) -> Iterator[Line]:
    """Compare the agenda, and a run of `remind`, with queries.

    Every client has an open reminder with a text. The agenda shows the first 50 of a thousand that are overdue. A run
    of `remind` finds 20 that have come due since its last one, commits a claim, prints them and commits that. The
    database has as many clients and reminders, with an index on when they are due, and selects the same rows.
    """
    home = bench.team.copy(bench.folder / "reminding")
    database = home.folder / "reminders.db"
    run(home.python("reminding", "fill", database))
    count = f"{bench.sizes.clients:,} open reminders"
    first = f"{_QUERY.format(_COLUMNS, _before(NOW))} limit 50"
    agenda = at(home.crmcli("agenda"), NOW)
    query = home.job(SQLITE_UTILS, "query", database, first)
    found = pair(lambda _: agenda, lambda _: query, bench.sizes.runs, _same)
    yield ratio(f"agenda, {count}", "sqlite-utils query", found.compare(), 1.3)

    # A run delivers as many as a listing may show, so that it takes one for all that are overdue.
    run(at(home.crmcli("settings", "set", "reveal_rows", "1000"), NOW))
    run(at(home.crmcli("remind"), NOW))
    idle = pair(lambda _: at(home.crmcli("remind"), NOW), lambda _: query, bench.sizes.runs)
    yield ratio(f"remind, nothing due, {count}", "sqlite-utils query", idle.compare(), 1.3)

    def due(number: int) -> tuple[datetime, datetime]:
        start = NOW + _EACH_RUN * (number + 1) * _STEP
        return start, start + _EACH_RUN * _STEP

    def select(number: int) -> Job:
        start, end = due(number)
        return home.job(
            SQLITE_UTILS, "query", database, _QUERY.format(_COLUMNS, f"not {_before(start)} and {_before(end)}")
        )

    found = pair(lambda n: at(home.crmcli("remind"), due(n)[1]), select, bench.sizes.runs, _same)
    yield ratio(f"remind, {_EACH_RUN} due, {count}", "sqlite-utils query", found.compare(), 1.3)


def _before(at: datetime) -> str:
    return f"r.due_at < '{at:%Y-%m-%d %H:%M:%S}'"


def at(job: Job, now: datetime) -> Job:
    """Return a job under another clock."""
    return Job(job.command, job.environ | {"CRMCLI_NOW": now.isoformat()})


def _same(ours: str, theirs: str) -> bool:
    """Say whether a table and JSON are about the same number of reminders, the first of which is the same."""
    rows = ours.splitlines()[1:]
    return len(rows) == theirs.count('"due_at"') and all(
        f'about {row.split("about ")[1].split()[0]}"' in theirs for row in rows
    )


def fill(database: Path) -> None:
    """Give each client in the store of this environment a reminder, and a database the same clients and reminders."""
    import pyarrow as pa

    from crmcli.session import Session
    from crmcli.storage.tables import TABLES

    session = Session.of_process()
    with session.writing() as draft:
        contacts = sorted(draft.records("contacts"), key=lambda contact: contact.client_id)
        book, me, zone_free = draft.store.own_book, draft.store.member_number, NOW.replace(tzinfo=None)
        times = [zone_free + (n - OVERDUE) * _STEP + _STEP / 2 for n in range(len(contacts))]
        ids = [contact.client_id ^ 5 for contact in contacts]
        texts = [f"about {n}" for n in range(len(contacts))]
        rows = {
            "reminders": {"reminder_id": ids, "cause": "manual", "due_at": times, "has_time": True, "assignee_id": me,
                          "created_at": zone_free, "created_by": me, "is_promise": False, "status": "open"},
            "notes": {"note_id": [number ^ 7 for number in ids], "about_id": ids, "field": "about", "text": texts,
                      "noted_at": zone_free, "by_id": me},
        }  # fmt: skip
        for name, cells in rows.items():
            table = TABLES[name]
            cells |= {"client_id": [contact.client_id for contact in contacts]}
            columns = [
                pa.array(value if isinstance(value, list) else [value] * len(contacts), field.type)
                for field in table.schema
                for value in [cells.get(field.name)]
            ]
            draft.put_rows(book, table, "insert", pa.table(columns, schema=table.schema))
    session.close(succeeded=True)
    connection = sqlite3.connect(database)
    connection.execute("create table clients (id text primary key, name text, phone text)")
    connection.execute(
        "create table reminders (id integer, client_id text, due_at text, status text, who text, about text)"
    )
    people = [(str(contact.client_id), contact.name, next(iter(contact.phones), None)) for contact in contacts]
    connection.executemany("insert into clients values (?, ?, ?)", people)
    lines = zip(ids, times, texts, contacts, strict=True)
    connection.executemany(
        "insert into reminders values (?, ?, ?, 'open', 'Olga', ?)",
        [(number, str(c.client_id), f"{at_:%Y-%m-%d %H:%M:%S}", text) for number, at_, text, c in lines],
    )
    connection.execute("create index due on reminders (due_at)")
    connection.commit()
    connection.close()


if __name__ == "__main__":
    fill(Path(sys.argv[2]))

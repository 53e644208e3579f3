"""Made-up rows, the same ones each time: csv files; and tables, put into a store and beside it as plain Parquet.

Usage: python -m bench.fill csv KIND FILE ROWS OTHERS
       python -m bench.fill tables FOLDER CHANGES DOCUMENTS BOOKS
       python -m bench.fill purchases FOLDER CLIENTS
       python -m bench.fill bulk FILES BYTES
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from crmcli.model.process import DEFAULT
from crmcli.session import Session
from crmcli.storage import kernels, log
from crmcli.storage.keys import random_bytes, sha256
from crmcli.storage.layout import file_path
from crmcli.storage.log import FileEntry
from crmcli.storage.tables import TABLES
from tests.storage.company import Company, by_hand, enrol

STAGES = [stage.id for stage in DEFAULT.pipelines[0].stages]
# A deal of the generated tables has this many entries on average.
ENTRIES = 4.6
# Rows of a commit, which the store keeps as a file of each table.
BATCH = 1_000_000

# $rows: how many; $others: how many clients or deals they are spread over.
CSV = {
    "clients": """
        SELECT 'Client ' || i AS name, '+79' || lpad(CAST(i * 700001 % 1000000000 AS VARCHAR), 9, '0') AS phone,
            'c' || i || '@example.com' AS email, 'web' AS source, 'K-' || i AS external_id
        FROM range($rows) t(i) WHERE $others = 0""",
    "sales": """
        SELECT 'K-' || hash(i) % $others AS client, strftime(DATE '2022-01-01' + CAST(i * 700 // $rows AS INTEGER),
            '%Y-%m-%d') AS sold_at, printf('%.2f', (100 + i % 89999) / 100) AS amount
        FROM range($rows) t(i) ORDER BY i""",
    "calls": """
        SELECT 'K-' || hash(i) % $others AS client, CASE WHEN hash(i, 'direction') % 3 = 0 THEN 'in' ELSE 'out' END
            AS direction, strftime(TIMESTAMP '2022-01-01' + to_seconds(i * 60 + hash(i, 'at') % 60),
            '%Y-%m-%d %H:%M:%S') AS called_at, ['answered', 'no-answer', 'busy'][CAST(1 + hash(i, 'result') % 3
            AS INTEGER)] AS result, hash(i, 'seconds') % 900 AS seconds
        FROM range($rows) t(i) ORDER BY i""",
    "deals": """
        SELECT 'D-' || i AS external_id, 'K-' || hash(i) % $others AS client, 'call' AS stage,
            strftime(DATE '2022-01-01' + CAST(i % 600 AS INTEGER), '%Y-%m-%d') AS opened_at
        FROM range($rows) t(i) ORDER BY i""",
    "stages": """
        SELECT 'D-' || i % $others AS deal, ['call', 'discovery', 'proposal', 'meeting', 'revision', 'closing', 'won']
            [CAST(1 + i // $others AS INTEGER)] AS stage, strftime(TIMESTAMP '2022-01-01'
            + to_minutes(CAST(i % $others % 600 * 1440 + i // $others * 14400 + 1 + hash(i) % 1439 AS BIGINT)),
            '%Y-%m-%d %H:%M') AS changed_at
        FROM range($rows) t(i) ORDER BY changed_at, i""",
}

# $changes entries in the history of deals, in $parts parts; $documents sales and as many activities.
TABLE = {
    "made": """
        SELECT i, i * $parts // $deals AS part, TIMESTAMP '2021-01-01' + to_seconds(hash(i, 'opened') % 86400000)
            AS opened_at, CAST(1 + hash(i, 'reach') % (len($stages) + 1) AS INTEGER) AS reach,
            CASE WHEN reach > len($stages) THEN 'won' WHEN hash(i, 'open') % 10 < 3 THEN 'open' ELSE 'lost' END
            AS status
        FROM range($deals) t(i)""",
    "deals": """
        SELECT number(i, 'deal') AS deal_id, number(i % ($deals // 3), 'client') AS client_id, 1 + i % 20 AS owner_id,
            'new' AS pipeline, $stages[least(reach, len($stages))] AS stage, status, opened_at,
            moved_at(i, opened_at, least(reach, len($stages))) AS entered_at,
            CASE WHEN status <> 'open' THEN moved_at(i, opened_at, least(reach, len($stages)) + 1) END AS closed_at,
            CASE WHEN status = 'won' THEN CAST(1000 + i % 9000 AS DECIMAL(18, 2)) END AS amount,
            NULL::BIGINT AS product_id, CASE WHEN status = 'lost' THEN 'price' END AS lost_reason,
            NULL::DATE AS return_on, part
        FROM made""",
    "stage_changes": """
        SELECT number(i, 'change ' || place) AS change_id, number(i, 'deal') AS deal_id,
            number(i % ($deals // 3), 'client') AS client_id, 'new' AS pipeline, $stages[place - 1] AS from_stage,
            CASE WHEN place > least(reach, len($stages)) THEN status ELSE $stages[place] END AS to_stage,
            CASE WHEN place = 1 THEN 'open' WHEN place > least(reach, len($stages)) THEN status ELSE 'forward' END
            AS move, moved_at(i, opened_at, place) AS changed_at, 1 + i % 20 AS by_id, part
        FROM made, (SELECT unnest(range(1, len($stages) + 2)) AS place)
        WHERE place <= least(reach, len($stages)) + CAST(status <> 'open' AS INTEGER)""",
    "sales": """
        SELECT number(i, 'sale') AS sale_id, number(i % ($documents // 10 + 1), 'client') AS client_id,
            TIMESTAMP '2021-01-01' + to_seconds(hash(i, 'sold') % 94608000) AS sold_at,
            CAST(CASE WHEN i % 50 = 49 THEN -1 ELSE 1 END * (100 + hash(i, 'amount') % 90000) / 100 AS DECIMAL(18, 2))
            AS amount, 1 + i % 20 AS by_id, NULL::BIGINT AS deal_id,
            CASE WHEN i % 50 = 49 THEN number(i - 1, 'sale') END AS refund_of, i % 200 = 7 AS voided,
            i * $parts // $documents AS part
        FROM range($documents) t(i)""",
    "activities": """
        SELECT number(i, 'activity') AS activity_id, number(i % ($documents // 10 + 1), 'client') AS client_id,
            CASE WHEN i % 5 = 0 THEN 'meeting' ELSE 'call' END AS kind,
            TIMESTAMP '2021-01-01' + to_seconds(hash(i, 'happened') % 94608000) AS happened_at, 1 + i % 20 AS by_id,
            NULL::BIGINT AS deal_id, CASE WHEN i % 3 = 0 THEN 'in' ELSE 'out' END AS direction,
            CASE WHEN i % 8 = 3 THEN 'no-answer' ELSE 'answered' END AS result,
            hash(i, 'seconds') % 900 AS seconds, NULL::VARCHAR AS source, i % 200 = 7 AS voided,
            i * $parts // $documents AS part
        FROM range($documents) t(i)""",
}
# What a query reads besides: here the stages and two years; no report that is measured reads clients or lines of sales.
SMALL = {
    "stages": "SELECT unnest($stages) AS stage, unnest(range(1, len($stages) + 1)) AS position",
    "clients": "SELECT 0::BIGINT AS client_id, NULL::VARCHAR AS source, NULL::VARCHAR AS segment LIMIT 0",
    "sale_lines": "SELECT 0::BIGINT AS sale_id, 0::BIGINT AS product_id, 0::DECIMAL(18, 2) AS amount LIMIT 0",
    "periods": """
        SELECT * FROM (VALUES ('value', TIMESTAMP '2022-01-01', TIMESTAMP '2023-01-01'),
            ('previous', TIMESTAMP '2021-01-01', TIMESTAMP '2022-01-01')) t(period, from_at, to_at)""",
}
# $clients clients with ten sales each, the rarer the client the longer ago; some are being worked on.
PURCHASES = {
    "clients": """
        SELECT number(i, 'client') AS client_id, TIMESTAMP '2020-12-01' AS created_at, 1::BIGINT AS created_by,
            1 + i % 20 AS owner_id, ['web', 'phone', 'shop'][1 + i % 3] AS source,
            ['private', 'business', 'public'][1 + i % 3] AS segment, NULL::DATE AS buy_by, i % 100 = 3 AS archived,
            i % 100 = 4 AS do_not_contact, NULL::BIGINT AS cadence_days,
            CASE WHEN i % 50 = 5 THEN 45 END::BIGINT AS period_days, i * $parts // $clients AS part
        FROM range($clients) t(i)""",
    "contacts": """
        SELECT number(i, 'client') AS client_id, 'Client ' || i AS name, NULL::VARCHAR AS company,
            ['+79' || lpad(CAST(i * 700001 % 1000000000 AS VARCHAR), 9, '0')] AS phones, []::VARCHAR[] AS raw_phones,
            []::VARCHAR[] AS emails, NULL::VARCHAR AS tax_id, NULL::VARCHAR AS address,
            []::VARCHAR[] AS external_ids, i * $parts // $clients AS part
        FROM range($clients) t(i)""",
    "sales": """
        SELECT number(i, 'sale') AS sale_id, number(i // 10, 'client') AS client_id,
            TIMESTAMP '2024-01-01' - to_seconds(CAST(hash(i, 'sold') % 94608000
                * (0.2 + 0.8 * (hash(i // 10, 'rhythm') % 1000) / 1000) AS BIGINT)) AS sold_at,
            CAST(CASE WHEN i % 50 = 49 THEN -1 ELSE 1 END * (100 + hash(i, 'amount') % 90000) / 100 AS DECIMAL(18, 2))
            AS amount, 1 + i % 20 AS by_id, NULL::BIGINT AS deal_id,
            CASE WHEN i % 50 = 49 THEN number(i - 1, 'sale') END AS refund_of, i % 200 = 7 AS voided,
            i * $parts // (10 * $clients) AS part
        FROM range(10 * $clients) t(i)""",
    "deals": """
        SELECT number(i, 'deal') AS deal_id, number(i * 10, 'client') AS client_id, 1 + i % 20 AS owner_id,
            'new' AS pipeline, 'call' AS stage, CASE WHEN i % 2 = 0 THEN 'open' ELSE 'lost' END AS status,
            TIMESTAMP '2023-06-01' AS opened_at, opened_at AS entered_at,
            CASE WHEN i % 2 = 1 THEN TIMESTAMP '2023-07-01' END AS closed_at, NULL::DECIMAL(18, 2) AS amount,
            NULL::BIGINT AS product_id, NULL::VARCHAR AS lost_reason, NULL::DATE AS return_on,
            i * 10 * $parts // $clients AS part
        FROM range($clients // 10) t(i)""",
    "activities": """
        SELECT number(i, 'activity') AS activity_id, number(i, 'client') AS client_id, 'call' AS kind,
            TIMESTAMP '2023-01-01' + to_seconds(hash(i, 'happened') % 31536000) AS happened_at, 1 + i % 20 AS by_id,
            NULL::BIGINT AS deal_id, 'out' AS direction, 'answered' AS result, NULL::BIGINT AS seconds,
            NULL::VARCHAR AS source, i % 200 = 7 AS voided, i * $parts // $clients AS part
        FROM range($clients) t(i)""",
    "reminders": """
        SELECT number(i, 'reminder') AS reminder_id, number(i * 10, 'client') AS client_id,
            ['promise', 'process', 'reactivation'][1 + i % 3] AS cause, TIMESTAMP '2024-01-05' AS due_at,
            false AS has_time, 1 + i % 20 AS assignee_id, TIMESTAMP '2023-12-01' AS created_at, 1::BIGINT AS created_by,
            NULL::BIGINT AS deal_id, i % 3 = 0 AS is_promise, CASE WHEN i % 2 = 0 THEN 'open' ELSE 'done' END AS status,
            CASE WHEN i % 2 = 1 THEN TIMESTAMP '2023-12-15' END AS done_at, NULL::VARCHAR AS repeat,
            NULL::VARCHAR AS repeat_from, i * 10 * $parts // $clients AS part
        FROM range($clients // 10) t(i)""",
}
# What the statement reads besides: nothing is published, and where the bands of lateness end.
BESIDES = {
    "published": "SELECT NULL::VARCHAR AS segment, 0::DOUBLE AS period_days, NULL::VARCHAR AS basis LIMIT 0",
    "bands": """
        SELECT * FROM (VALUES ('on time', '-inf'::DOUBLE, 1::DOUBLE), ('due', 1, 1.5), ('late', 1.5, 2),
            ('at risk', 2, 3), ('leaving', 3, 5), ('lost', 5, 'inf')) t(band, above, upto)""",
}
MACROS = """
    CREATE MACRO number(i, what) AS CAST(hash(i, what) >> 4 AS BIGINT);
    CREATE MACRO moved_at(i, opened_at, place) AS opened_at
        + to_seconds((place - 1) * 172800 + hash(i, place) % CASE WHEN place = 1 THEN 1 ELSE 160000 END)
"""


def csv(kind: str, path: str, rows: int, others: int) -> None:
    """Write a csv file."""
    duckdb.connect().execute(f"COPY ({CSV[kind]}) TO '{path}' (HEADER)", {"rows": rows, "others": others})


def tables(folder: Path, changes: int, documents: int, books: int) -> None:
    """Put made-up tables into the store of this environment, spread over books, and as Parquet into a folder."""
    parts = max(books, -(-changes // BATCH))
    every = {"deals": round(changes / ENTRIES), "documents": documents, "parts": parts, "stages": STAGES}
    _fill(folder, TABLE, SMALL, every, parts, books)


def purchases(folder: Path, clients: int) -> None:
    """Put made-up clients and what they bought into the store of this environment, and as Parquet into a folder."""
    parts = -(-10 * clients // BATCH)
    _fill(folder, PURCHASES, BESIDES, {"clients": clients, "parts": parts}, parts, 1)


def _fill(
    folder: Path, made: dict[str, str], besides: dict[str, str], every: dict[str, Any], parts: int, books: int
) -> None:
    """Make tables, put those of the store into it, and write them and those `besides` into a folder."""
    connection = duckdb.connect()
    connection.execute(MACROS)
    for name, query in (made | besides).items():
        used = {key: value for key, value in every.items() if f"${key}" in query}
        connection.execute(f"CREATE TABLE {name} AS {query}", used)
    stored = [name for name in made if name in TABLES]
    _put(connection, stored, parts, books)
    folder.mkdir()
    for name in (*stored, *besides):
        order = f"ORDER BY {', '.join(TABLES[name].order)}" if name in stored else ""
        columns = "* EXCLUDE (part)" if name in stored else "*"
        target = folder / f"{name}.parquet"
        connection.execute(
            f"COPY (SELECT {columns} FROM {name} {order}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608 - our own names
        )


def _put(connection: duckdb.DuckDBPyConnection, names: list[str], parts: int, books: int) -> None:
    """Put each part of the tables into a book of the store, in a commit of its own."""
    session = Session.of_process()
    store = session.store()
    for number in range(1, books):
        enrol(Company(store.root.parent), store, f"manager-{number}", "manager")
    owned = [store.own_book, *(book.book for book in store.state.books.values() if book.kind == "member")]
    targets = list(dict.fromkeys(owned))
    for part in range(parts):
        with session.writing() as draft:
            for name in names:
                query = f"SELECT * EXCLUDE (part) FROM {name} WHERE part = $part"  # noqa: S608 - our own names
                rows: pa.Table = connection.sql(query, params={"part": part}).to_arrow_table()
                if rows.num_rows:
                    rows = kernels.cast(rows, TABLES[name].schema)
                    draft.put_rows(targets[part % books], TABLES[name], "insert", rows)
    session.close(succeeded=True)


def bulk(files: int, size: int) -> None:
    """Put files of random bytes into the store, signed like any: to whoever has no key, encrypted ones are no other."""
    store = Session.of_process().store()
    member = store.identity.member
    entries = []
    for _ in range(files):
        file_id, content = random_bytes(16).hex(), random_bytes(size)
        (store.root / file_path(file_id)).write_bytes(content)
        entry = FileEntry(
            file_id, store.own_book, "activities", "facts", 1, "insert", 1, size, sha256(content), None, None
        )
        entries.append(entry)
    commit = by_hand(store.state, member, add=tuple(entries))
    (store.root / "log" / log.loose_name(commit.seq)).write_bytes(commit.sealed(store.identity.keys))


def main() -> None:
    """Fill what the command line names."""
    what, *rest = sys.argv[1:]
    if what == "csv":
        kind, path, rows, others = rest
        csv(kind, path, int(rows), int(others))
    elif what == "purchases":
        folder, clients = rest
        purchases(Path(folder), int(clients))
    elif what == "bulk":
        bulk(*map(int, rest))
    else:
        folder, changes, documents, books = rest
        tables(Path(folder), int(changes), int(documents), int(books))


if __name__ == "__main__":
    main()

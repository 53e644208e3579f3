"""The other side of a report: DuckDB runs the same .sql files over plain Parquet and prints the rows as JSON.

Usage: python bench/plain_report.py NAME FOLDER
"""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

SQL = Path(__file__).parents[1] / "crmcli" / "storage" / "sql"
LATER = datetime.fromisoformat("2100-01-01")
# Six stages and won.
PARAMETERS: dict[str, dict[str, Any]] = {
    "funnel": {"by": None, "pipeline": "new", "from_at": None, "to_at": None, "as_of": LATER, "stages": 7},
    "summary": {"as_of": LATER, "zone": "UTC"},
    "sales": {"as_of": LATER, "zone": "UTC", "by": None},
    "calls": {"as_of": LATER, "zone": "UTC", "by": None},
    "reactivation": {
        "as_of": datetime.fromisoformat("2024-01-01T23:59:59.999999"),
        "zone": "UTC",
        "today": date(2024, 1, 1),
        "quarter": datetime.fromisoformat("2024-01-01"),
        "cooling": datetime.fromisoformat("2023-10-03T23:59:59.999999"),
        "soon": datetime.fromisoformat("2024-01-16"),
        "fewest": 5,
        "prior": 5,
        "default_days": 90,
        "rule": "segment",
        "segment": None,
        "band": None,
        "lost": "lost",
        "limit": 50,
    },
}
# What a statement shares with others, and what it is told of the rows that it finds.
SHARED = {"funnel": "stops", "summary": "stops", "sales": "buying", "reactivation": "buying"}
NAMED = {
    "reactivation": "SELECT client_id, name, phones[1] AS phone FROM contacts WHERE client_id IN (SELECT unnest($ids))"
}


def main() -> None:
    """Run one report over the tables of a folder."""
    name, folder = sys.argv[1:]
    connection = duckdb.connect()
    for path in Path(folder).iterdir():
        connection.read_parquet(str(path)).create_view(path.stem)
    if name in SHARED:
        connection.execute((SQL / f"{SHARED[name]}.sql").read_text(encoding="utf-8"))
    found = connection.execute((SQL / f"{name}.sql").read_text(encoding="utf-8"), PARAMETERS[name])
    columns = [column[0] for column in found.description or ()]
    rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    if name in NAMED:
        rows = [row for row in rows if row["client_id"] is not None]
        who = connection.execute(NAMED[name], {"ids": [row["client_id"] for row in rows]}).fetchall()
        names = {client_id: rest for client_id, *rest in who}
        rows = [row | {"who": names[row["client_id"]]} for row in rows]
    print(json.dumps(rows, default=str))


if __name__ == "__main__":
    main()

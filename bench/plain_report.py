"""The other side of a report: DuckDB runs the same .sql file over plain Parquet and prints the rows as JSON.

Usage: python bench/plain_report.py NAME FOLDER
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

SQL = Path(__file__).parents[1] / "crmcli" / "storage" / "sql"
LATER = datetime.fromisoformat("2100-01-01")
# Six stages and won.
PARAMETERS: dict[str, dict[str, Any]] = {
    "funnel": {"by": None, "pipeline": "new", "from_at": None, "to_at": None, "as_of": LATER, "stages": 7},
    "summary": {"as_of": LATER, "zone": "UTC"},
}


def main() -> None:
    """Run one report over the tables of a folder."""
    name, folder = sys.argv[1:]
    connection = duckdb.connect()
    for path in Path(folder).iterdir():
        connection.read_parquet(str(path)).create_view(path.stem)
    found = connection.execute((SQL / f"{name}.sql").read_text(encoding="utf-8"), PARAMETERS[name])
    columns = [column[0] for column in found.description or ()]
    print(json.dumps([dict(zip(columns, row, strict=True)) for row in found.fetchall()], default=str))


if __name__ == "__main__":
    main()

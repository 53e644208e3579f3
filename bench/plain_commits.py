"""The other side of many commits in one process: sqlite3 in WAL mode, each commit on the disk when it returns.

Usage: python bench/plain_commits.py FILE.db COUNT
"""

from __future__ import annotations

import sqlite3
import sys
import time


def main() -> None:
    """Commit, one by one, a row in each of two tables; print how many seconds it took."""
    path, count = sys.argv[1:]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS clients (client_id INTEGER PRIMARY KEY, created_at, owner_id)")
    connection.execute("CREATE TABLE IF NOT EXISTS contacts (client_id INTEGER PRIMARY KEY, name, phone)")
    start = time.perf_counter()
    for number in range(int(count)):
        connection.execute("BEGIN")
        client = connection.execute("INSERT INTO clients VALUES (NULL, ?, 1)", (time.time(),)).lastrowid
        row = (client, f"Client {number}", f"+7812{number:07}")
        connection.execute("INSERT INTO contacts VALUES (?, ?, ?)", row)
        connection.execute("COMMIT")
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()

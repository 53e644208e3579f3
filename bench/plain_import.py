"""The other side of an import: DuckDB writes a csv file as plain Parquet.

Usage: python bench/plain_import.py FILE.csv FILE.parquet
"""

from __future__ import annotations

import sys

import duckdb


def main() -> None:
    """Convert the file."""
    source, target = sys.argv[1:]
    duckdb.read_csv(source).write_parquet(target, compression="zstd")


if __name__ == "__main__":
    main()

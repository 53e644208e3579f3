"""The program, with compaction, packing and the removal of what was dropped due at every turn."""

from __future__ import annotations

from crmcli import cli
from tests.storage.faulty import crowd

if __name__ == "__main__":
    crowd()
    cli.main()

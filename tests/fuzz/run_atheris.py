"""Runs one target under atheris: `python -m tests.fuzz.run_atheris TARGET [libFuzzer's options]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

# What is imported in here is watched, branch by branch.
with atheris.instrument_imports(include=["crmcli"]):
    from tests.fuzz.targets import TARGETS, with_another_cell


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Change bytes as libFuzzer does, or, where they are JSON, as often one value."""
    changed = with_another_cell(data, seed) if seed % 2 else data
    return changed[:most] if changed != data else bytes(atheris.Mutate(data, most))


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    with tempfile.TemporaryDirectory() as corpus:
        for place, seed in enumerate(target.seeds):
            (Path(corpus) / str(place)).write_bytes(seed)
        atheris.Setup([*sys.argv, "-timeout=10", "-rss_limit_mb=1500", corpus], target, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

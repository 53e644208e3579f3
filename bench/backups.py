"""The rows about backups: the same files copied, copied again, checked and restored by restic and borg."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

from bench.measure import Job, Jobs, pair, repeat, run
from bench.rows import plainly
from bench.stores import BIN, Bench, Home
from bench.table import Line, ratio, time_of

# How many times faster than each of the others a step has to be.
FASTER = {"first backup": 3, "unchanged second backup": 8, "check of every byte": 4, "restore": 3}
# The least of what some of them take.
LEAST = {
    "first backup": "that many files, written and nothing else",
    "unchanged second backup": "crmcli --help",
    "restore": "that many files, written and nothing else",
}
_GONE = "gone"
# Each step as a line of shell: $STORE is copied to $PLACE, and restored to $TARGET, which is not there yet.
SCRIPTS = {
    "crmcli": {
        "prepare": "true",
        "first backup": "exec crmcli backup --anew --to $PLACE",
        "unchanged second backup": "exec crmcli backup --to $PLACE",
        "check of every byte": "exec crmcli backup verify --deep --to $PLACE",
        "restore": "exec crmcli restore latest --exact --from $PLACE --to $TARGET",
    },
    "restic": {
        "prepare": "restic init --repo $PLACE",
        "first backup": "exec restic --repo $PLACE backup $STORE",
        "unchanged second backup": "exec restic --repo $PLACE backup $STORE",
        "check of every byte": "exec restic --repo $PLACE check --read-data",
        "restore": "exec restic --repo $PLACE restore latest --target $TARGET",
    },
    "borg": {
        "prepare": "borg init --encryption repokey $PLACE",
        "first backup": "exec borg create $PLACE::first $STORE",
        "unchanged second backup": "exec borg create $PLACE::{utcnow:%s.%f} $STORE",
        "check of every byte": "exec borg check --verify-data $PLACE",
        "restore": "mkdir $TARGET && cd $TARGET && exec borg extract $PLACE::first",
    },
}


def copying(bench: Bench) -> Iterator[Line]:
    """Compare backups with those of restic and borg: of the same store, to the same disk.

    The row below a step says what the least of it takes: to write as many files and nothing else, or to start and print
    a help text. The files hold random bytes, as encrypted ones seem to. The place is new for each first backup, and the
    target for each restore; those before are removed later, for a disk is busy with what was just removed.
    """
    files, size = bench.sizes.copied
    home = bench.home("copying")
    run(home.python("fill", "bulk", files, size))
    for step, faster in FASTER.items():
        what = f"{step}, {files:,} files of {size // 1000:,} kB"
        for other in ("restic", "borg"):
            if shutil.which(other) is None:
                ran = repeat(_jobs(home, "crmcli", step), bench.sizes.long_runs)
                took = time_of(median(one.seconds for one in ran))
                yield Line(what, took, "", missed=False, ours=took, against=f"{other}: not installed")
            else:
                found = pair(_jobs(home, "crmcli", step), _jobs(home, other, step), bench.sizes.long_runs)
                yield ratio(what, other, found.compare(), 1 / faster)
                if step in LEAST:
                    yield _least(home, step, other, median(ran.seconds for ran in found.theirs), bench)
            shutil.rmtree(home.folder / _GONE, ignore_errors=True)


def _least(home: Home, step: str, other: str, theirs: float, bench: Bench) -> Line:
    """Return a row about the least that a step takes, in the same run as the other side's time."""
    files, size = bench.sizes.copied

    def job(_: int) -> Job:
        _set_aside(home, "least")
        os.sync()
        if step == "unchanged second backup":
            return home.crmcli("--help")
        return plainly(home, "files", "copy", home.folder / "least", files, size)

    took = median(ran.seconds for ran in repeat(job, bench.sizes.long_runs))
    return Line(
        LEAST[step],
        f"{took / theirs:.2f} ×",
        "",
        missed=False,
        ours=time_of(took),
        theirs=time_of(theirs),
        against=other,
    )


def _jobs(home: Home, tool: str, step: str) -> Jobs:
    """Return the runs of one step; what it needs before it is made ready, and on the disk."""

    def job(number: int) -> Job:
        is_first = step == "first backup"
        if is_first or number < 0:
            _set_aside(home, tool)
            run(_script(home, tool, "prepare"))
        if not is_first and number < 0:
            run(_script(home, tool, "first backup"))
        _set_aside(home, f"{tool}-target")
        os.sync()
        # Some take what they have read out of the cache.
        for folder in (home.store, home.folder / tool):
            _warm(folder)
        return _script(home, tool, step)

    return job


def _set_aside(home: Home, name: str) -> None:
    """Move what lies under a name, if anything, to where it waits to be removed."""
    gone = home.folder / _GONE
    gone.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        (home.folder / name).rename(gone / f"{name}-{time.monotonic_ns()}")


def _warm(folder: Path) -> None:
    """Read all files below a folder, so that the next to read them need not wait for the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", 0) as file:
                while file.read(1 << 20):
                    pass


def _script(home: Home, tool: str, step: str) -> Job:
    sh = shutil.which("sh") or "/bin/sh"
    job = home.job(sh, "-c", SCRIPTS[tool][step])
    secrets = {"RESTIC_PASSWORD": "correct horse", "BORG_PASSPHRASE": "correct horse"}
    places = {"PLACE": str(home.folder / tool), "TARGET": str(home.folder / f"{tool}-target"), "STORE": str(home.store)}
    return Job(job.command, job.environ | secrets | places | {"PATH": f"{BIN}:{job.environ['PATH']}"})

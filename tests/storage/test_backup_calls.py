"""What backups and restores ask of the kernel: nothing has a name before it is durable, and each failure is told."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.storage.company import Company, Result
from tests.storage.test_backups import grow, ok, rows
from tests.storage.tracing import require_strace, trace

RENAMES = "?rename,?renameat,?renameat2"
CALLS = f"?write,?fsync,?syncfs,?mkdir,?mkdirat,?open,?openat,{RENAMES}"
# Without the kind of a file system, none is trusted to be synced by one call.
WAYS = {"by one call": (), "one by one": ("-e", "inject=?fstatfs:error=ENOSYS")}


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    """Skips where there is no strace or it may not trace."""
    require_strace()


@pytest.fixture
def company(company: Company) -> Company:
    grow(company, 4)
    # Files that are large enough to go past the cache.
    names = company.folder / "names.csv"
    names.write_text("name\n" + "".join(f"{number * 0x9E3779B97F4A7C15 % 2**64:x}\n" for number in range(9_000)))
    ok(company, "import", "clients", str(names))
    assert max(path.stat().st_size for path in company.root.glob("files/*/*")) > 1 << 17
    company.home("nobody").mkdir()
    return company


def traced(company: Company, *arguments: str, options: tuple[str, ...] = ()) -> Result:
    """Run the program under strace, which writes down each call in `calls`."""
    shown = ("-e", f"trace={CALLS},?fstatfs", *options)
    return trace(company, "nobody", company.folder / "calls", shown, ("crmcli", *arguments))


@dataclass
class Call:
    """A call: its name, what follows it in the line, and the numbers of the lines where it began and ended."""

    name: str
    text: str
    start: int
    end: int = 0


def calls(file: Path) -> Iterator[Call]:
    """Yield the calls that were written down, in the order of their ends."""
    begun: dict[str, Call] = {}
    for number, line in enumerate(file.read_text(errors="replace").splitlines()):
        process, _, rest = line.partition(" ")
        rest = rest.strip()
        if match := re.match(r"<\.\.\. (\w+) resumed>", rest):
            call = begun.pop(process)
            assert call.name == match[1]
        elif match := re.match(r"(\w+)\((.*)", rest):
            call = Call(match[1], match[2], number)
            if rest.endswith("<unfinished ...>"):
                begun[process] = call
                continue
        else:
            continue
        call.end = number
        yield call


@dataclass
class Disk:
    """Which files have been written and which names given, and since when each of them is durable."""

    root: Path
    changed: dict[str, int] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)
    syncs: list[tuple[str | None, int, int]] = field(default_factory=list)

    def take(self, call: Call) -> tuple[str, str] | None:
        """Add a call; return the old and the new name if it is a renaming."""
        # What is written may look like a path itself.
        text = call.text.partition(",")[0] if call.name == "write" else call.text
        paths = [path for path in re.findall(r'"(/[^"]*)"|\d<(/[^>]*)>', text) for path in path if path]
        # A new folder has its name in the one above.
        if not paths or not (paths[-1].startswith(str(self.root)) or paths[-1] == str(self.root.parent)):
            return None
        if call.name == "write":
            self.changed[paths[0]] = call.end
        elif call.name.startswith("mkdir") or (call.name.startswith("open") and "O_CREAT" in call.text):
            self.named[paths[0]] = call.end
        elif call.name in ("fsync", "syncfs"):
            self.syncs.append((paths[0] if call.name == "fsync" else None, call.start, call.end))
        elif call.name.startswith("rename"):
            return paths[0], paths[1]
        return None

    def require_durable(self, path: str, since: int, before: int) -> None:
        """Check that what was done to a file or folder in a line was made durable before another line."""
        assert any(what in (None, path) and since < start and end < before for what, start, end in self.syncs), path

    def rename(self, old: str, new: str, line: int) -> None:
        """Give a file another name; its contents have to be durable by now."""
        if old in self.changed:
            self.require_durable(old, self.changed.pop(old), line)
        self.named.pop(old, None)
        self.named[new] = line

    def require_names(self, before: int) -> None:
        """Check that all names that were given are durable."""
        for path, line in self.named.items():
            self.require_durable(str(Path(path).parent), line, before)


@pytest.mark.parametrize("way", WAYS)
def test_a_snapshot_has_its_name_after_all_it_needs(company: Company, way: str) -> None:
    place = company.folder / "backups"
    result = traced(company, "backup", options=WAYS[way])
    assert result.code == 0, result
    disk, names = Disk(place), []
    last = 0
    for call in calls(company.folder / "calls"):
        renamed = disk.take(call)
        last = call.end
        if renamed is not None:
            if "/snapshots/" in renamed[1]:
                del disk.named[renamed[0]]
                disk.require_names(call.start)
            disk.rename(*renamed, call.start)
            names.append(renamed[1])
    disk.require_names(last + 1)
    assert [name for name in names if "/snapshots/" in name] == names[-1:]
    objects = {str(path) for path in (place / "objects").glob("??/*")}
    assert objects == {name for name in names if "/objects/" in name}
    assert len(objects) > 8
    is_one = any(what is None for what, _, _ in disk.syncs)
    assert is_one == (way == "by one call")


@pytest.mark.parametrize("way", WAYS)
def test_a_restored_store_has_its_name_after_all_of_it(company: Company, way: str) -> None:
    ok(company, "backup")
    target = company.folder / "target"
    result = traced(company, "restore", "latest", "--exact", "--to", str(target), options=WAYS[way])
    assert result.code == 0, result
    disk = Disk(company.folder)
    last = 0
    for call in calls(company.folder / "calls"):
        renamed = disk.take(call)
        last = call.end
        if renamed is not None:
            assert renamed == (str(company.folder / ".target.restoring"), str(target))
            stage = Path(renamed[0])
            written = {str(stage / path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
            assert {path for path in disk.changed if path.startswith(str(stage))} | {str(stage / "lock")} == written
            for path in written & disk.changed.keys():
                disk.require_durable(path, disk.changed[path], call.start)
            disk.named = {path: line for path, line in disk.named.items() if path.startswith(f"{stage}/")}
            disk.require_names(call.start)
            disk.named = {str(target): call.end}
    disk.require_names(last + 1)


@pytest.mark.parametrize("failure", ["error=EIO", "error=ENOSPC", "signal=KILL"])
@pytest.mark.parametrize("job", ["backup", "restore"])
def test_a_sync_that_fails_leaves_no_snapshot_and_no_store(company: Company, job: str, failure: str) -> None:
    place, target = company.folder / "backups", company.folder / "target"
    if job == "restore":
        ok(company, "backup")
    arguments = ("backup",) if job == "backup" else ("restore", "latest", "--exact", "--to", str(target))
    number = 0
    while True:
        number += 1
        options = ("-e", f"inject=?syncfs:{failure}:when={number}")
        result = traced(company, *arguments, options=options)
        if result.code == 0:
            break
        assert result.code == {"error=EIO": 1, "error=ENOSPC": 17, "signal=KILL": -9}[failure], result
        assert result.err.count("\n") <= 2
        if job == "backup":
            assert list((place / "snapshots").iterdir()) == []
            shutil.rmtree(place)
        else:
            assert not target.exists()
    assert number > 1 + (job == "backup")
    if job == "backup":
        assert rows(company, "backup", "verify", "--deep")[0]["problems"] == 0

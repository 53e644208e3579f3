"""What a whole crmcli asks of the kernel is what fault tests see of it; failures of the kernel itself end as well."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.storage.company import Company, Result, problems
from tests.storage.crowd import Job, make_job
from tests.storage.faulty import Fault, interrupt
from tests.storage.tracing import require_strace, trace

# Everything that can change a disk; those that a machine does not have are passed over.
CHANGES = [
    "open", "openat", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "truncate", "ftruncate",
    "fallocate", "copy_file_range", "sendfile", "splice", "fsync", "fdatasync", "sync", "syncfs", "msync",
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat",
    "mkdir", "mkdirat", "rmdir", "mknod", "mknodat",
]  # fmt: skip
KILLED = -9


def calls(*names: str) -> str:
    return ",".join(f"?{name}" for name in names)


def traced(job: Job, company: Company, output: Path, *options: str) -> Result:
    """Run the command of a job under strace."""
    shown = ("-e", f"trace={calls(*CHANGES)}", *options)
    return trace(company, "admin", output, shown, ("tests.storage.faulty", "0", "before", *job.arguments))


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    """Skips where there is no strace or it may not trace."""
    require_strace()


@pytest.fixture(scope="module")
def add_client(crowded: None, founded: Company, tmp_path_factory: pytest.TempPathFactory) -> Job:  # noqa: ARG001
    return make_job("add-client", founded, tmp_path_factory.mktemp("job"))


def kind(line: str) -> str | None:
    """Return what a line of strace changes, in the words of the fault tests."""
    match = re.match(r"\d+ +(\w+)\(", line)
    if match is None:
        return None
    name = match[1]
    if name in ("open", "openat"):
        return "create" if "O_CREAT" in line or "O_TRUNC" in line else None
    return name.replace("pwrite64", "write").removesuffix("at").removesuffix("at2")


def test_the_kernel_sees_no_other_change_than_the_fault_tests(job: Job, tmp_path: Path) -> None:
    company, other = job.copy(tmp_path / "traced"), job.copy(tmp_path / "watched")
    for shard in range(256):
        # Whether one has to be made is no matter of chance then.
        for root in (company.root, other.root):
            (root / "files" / f"{shard:02x}").mkdir(exist_ok=True)
    assert traced(job, company, tmp_path / "calls").code == 0
    lines = [line for line in (tmp_path / "calls").read_text().splitlines() if kind(line)]
    inside = [line for line in lines if str(company.folder) in line]
    # What goes to the terminal is no change of the disk; nothing is written anywhere else.
    assert [line for line in lines if line not in inside and not re.match(r"\d+ +write\([12]<", line)] == []
    fault = Fault(0, interrupt)
    assert job.run(other, fault).code == 0
    seen = Counter(name.replace("replace", "rename") for name in fault.seen if name != "open")
    assert Counter(map(kind, inside)) == seen


# The n-th fsync of the kernel is of a file, of the folder of files, of the commit, of the log, of the pin ...
@pytest.mark.parametrize(
    ("failure", "codes"),
    [
        (f"{calls('fsync')}:signal=KILL:when=2", {KILLED}),
        (f"{calls('fsync')}:signal=KILL:when=6", {KILLED}),
        (f"{calls('link', 'linkat')}:signal=KILL:when=1", {KILLED}),
        (f"{calls('rename', 'renameat', 'renameat2')}:signal=KILL:when=1", {KILLED}),
        (f"{calls('fsync')}:error=EIO:when=1+", {1}),
        (f"{calls('fsync')}:error=EIO:when=6+", {1, 18}),
        (f"{calls('fsync')}:error=ENOSPC:when=7+", {17, 18}),
        (f"{calls('link', 'linkat')}:error=EIO:when=1+", {1}),
        # Only what this machine remembers is put in place of something, and the next run does without.
        (f"{calls('rename', 'renameat', 'renameat2')}:error=ENOSPC:when=1+", {0}),
        (f"{calls('unlink', 'unlinkat')}:error=EIO:when=1+", {0}),
    ],
)
def test_failure_of_a_system_call_leaves_all_or_nothing(
    add_client: Job, failure: str, codes: set[int], tmp_path: Path
) -> None:
    company = add_client.copy(tmp_path / "company")
    result = traced(add_client, company, tmp_path / "calls", "-e", f"inject={failure}")
    assert result.code in codes, result
    done = add_client.is_done(company)
    assert done or result.code != 0
    op_id = re.search(r"--op-id ([0-9a-f]{32})", result.err)
    again = ("--op-id", op_id[1]) if op_id else ()
    if op_id or not done:
        assert add_client.run(company, None, *again).code == 0
    assert add_client.is_done(company)
    assert problems(company) == []

"""The harness of attacks: a company to be attacked, the commands that follow, and how each of them must end."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from crmcli.model.process import DEFAULT
from crmcli.model.settings import Settings
from crmcli.storage import log
from tests.storage.company import Company, Result, by_hand

SAME, DAMAGED, ROLLED_BACK = None, 13, 14
MOST_KIB = 300 * 1024
MOST_SECONDS = 10
MOST_TALK = 2500

# In this order, so that what shows comes before what changes.
COMMANDS = {
    "process": ("process", "show"),
    "list": ("list", "clients"),
    "find": ("find", "Anna"),
    "show": ("show", "Anna"),
    "funnel": ("report", "funnel"),
    "doctor": ("doctor",),
    "verify": ("verify",),
    "gc": ("gc",),
    "add-client": ("add-client", "Gleb", "--phone", "8 916 000-00-01"),
    "log-call": ("log-call", "Anna", "out", "--said", "again"),
    "import": ("import", "clients", "{folder}/leads.csv"),
}
SHOWING = ("process", "list", "find", "show", "funnel")
EVERY = frozenset(COMMANDS)
NOBODY: frozenset[str] = frozenset()
ONLY_VERIFY = frozenset({"verify"})
# Which commands open the files of a table, and so find what is wrong with one.
READERS = {
    "contacts": frozenset({"list", "find", "show", "verify", "add-client", "log-call", "import"}),
    "clients": frozenset({"list", "find", "show", "verify", "add-client", "log-call", "import"}),
    "deals": frozenset({"show", "funnel", "verify", "add-client", "log-call"}),
    "notes": frozenset({"find", "show", "verify"}),
    "process": frozenset({"process", "funnel", "verify", "add-client", "import"}),
    "deliveries": ONLY_VERIFY,
}


Machine: TypeAlias = Literal["seen", "pinned", "new"]


@dataclass(frozen=True)
class Attack:
    """What somebody does to a company's folder, and which of an admin's commands must end with which code after it.

    The other commands end, and the showing ones show, what they did before the attack; `honest` is False where a
    member wrote into a book of his own what nobody but `verify` can know to be untrue. The admin's machine has seen the
    store, or lost its cache but not its pin, or has never seen it.
    """

    name: str
    harm: Callable[[Company], object]
    found_by: frozenset[str] = EVERY
    code: int = DAMAGED
    machine: Machine = "seen"
    honest: bool = True
    is_nasty: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-") + ("" if self.machine == "seen" else f"-{self.machine}")


def raid(scene: Company, folder: Path, attack: Attack) -> Company:
    """Return a copy of the scene after the attack."""
    company = copied(scene, folder)
    attack.harm(company)
    if attack.machine == "new":
        company.forget("admin")
    elif attack.machine == "pinned":
        shutil.rmtree(company.home("admin") / "cache")
    return company


def copied(scene: Company, folder: Path) -> Company:
    return Company(Path(shutil.copytree(scene.folder, folder, symlinks=True)))


def arguments(company: Company, command: str) -> list[str]:
    return [word.format(folder=company.folder) for word in COMMANDS[command]]


def run(company: Company, command: str) -> Result:
    """Run a command in this process."""
    return company.crmcli(*arguments(company, command))


def run_whole(company: Company, command: str) -> Result:
    """Run a command in a process of its own, and check that it kept within time and memory."""
    result = measured(company, *arguments(company, command))
    seconds, kib = result.err.splitlines()[-1].split()
    assert float(seconds) < MOST_SECONDS, (command, seconds)
    assert int(kib) < MOST_KIB, (command, kib)
    return Result(result.code, result.out, result.err[: result.err.rindex("\n", 0, -1) + 1])


# A small process in between, for a child is charged with the memory of who started it; a bound on the address space, so
# that a bomb that goes off ends there.
_MEASURE = """
import resource, subprocess, sys, time
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
start = time.monotonic()
code = subprocess.run(sys.argv[1:], timeout=20).returncode
print("\\n%.3f" % (time.monotonic() - start), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def measured(company: Company, *words: str) -> Result:
    """Run the program; the last line on stderr is its seconds and the most KiB it held."""
    process = company.start(sys.executable, "-m", "crmcli", *words, program=("-c", _MEASURE))
    try:
        out, err = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Result(process.returncode, out, err)


def judge(attack: Attack, command: str, result: Result, before: Mapping[str, Result]) -> None:
    """Check that a command ended as it must after an attack, told it in two lines, and showed nothing untrue."""
    found = command in attack.found_by
    assert result.code == (attack.code if found else before[command].code), (command, result)
    assert is_civil(result.err), (command, result)
    if command in SHOWING and attack.honest:
        # What `show` says before it comes to the damage has been checked.
        shown = before[command].out.startswith(result.out) if found else before[command].out == result.out
        assert shown, (command, result)


def is_civil(err: str) -> bool:
    """Say whether what was said on stderr is short, in our form, and moves no cursor."""
    told = sum(line.startswith(("crmcli: error: ", "crmcli: hint: ")) for line in err.splitlines())
    is_clean = all(letter.isprintable() or letter == "\n" for letter in err)
    return told <= 2 and is_clean and len(err) < MOST_TALK and "Traceback" not in err and "unforeseen" not in err


def make_scene(founded: Company, folder: Path) -> Company:
    """Give a company some clients, a packed log, an `old` copy of its store, and its admin another store."""
    company = Company(Path(shutil.copytree(founded.folder, folder)))
    (folder / "leads.csv").write_text("name,phone\nDina,+79160000002\n", encoding="utf-8")
    for words in (
        ("add-client", "Anna", "--phone", "8 916 123-45-60", "--note", "likes tea"),
        ("log-call", "Anna", "out", "--said", "hello"),
        ("log-sale", "Anna", "100"),
    ):
        assert company.crmcli(*words).code == 0
    assert company.crmcli("add-client", "Vera", who="manager").code == 0
    shutil.copytree(company.root, folder / "old")
    assert company.crmcli("add-client", "Boris").code == 0
    other = company.session(store_path=folder / "other")
    (folder / "other").mkdir()
    other.found(Settings("Other"), DEFAULT, None, None, with_passphrase=False)
    other.store().close()
    packed(company)
    return company


def packed(company: Company, loose: int = 6, segment: int = 5) -> None:
    """Pack the log into a few small segments."""
    before = log.LOOSE, log.SEGMENT
    try:
        log.LOOSE, log.SEGMENT = loose, segment
        log.pack(company.log, 0o600)
    finally:
        log.LOOSE, log.SEGMENT = before


def head_of(company: Company) -> Path:
    """The newest commit."""
    return max(company.log.glob("*.json"))


def files_of(company: Company, table: str) -> list[Path]:
    """The live files of a table, the oldest first."""
    from crmcli.storage.layout import file_path

    return [company.root / file_path(entry.file_id) for entry in company.open().state.entries(table)]


def next_line(company: Company, who: str, kind: str = "data", **parts: Any) -> bytes:
    """The line of JSON of a next commit, without its newline."""
    state = company.open().state
    commit = by_hand(state, company.identity(who).member, kind, **parts)
    return commit.sealed(company.identity(who).keys).split(b"\n")[0]


def put_line(company: Company, who: str, line: bytes, label: str = log.COMMIT_LABEL, signature: str = "") -> None:
    """Put a line into the log as the next commit, signed by a member whatever it says."""
    signed = signature or company.identity(who).keys.sign(label, line).hex()
    put_raw(company, line + b"\n" + signed.encode() + b"\n")


def put_raw(company: Company, raw: bytes) -> None:
    """Put bytes into the log as the next commit."""
    seq = company.open().state.seq + 1
    (company.log / log.loose_name(seq)).write_bytes(raw)

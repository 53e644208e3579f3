"""An office: a store made for a Unix group, and members who are Unix users of their own, with real processes."""

from __future__ import annotations

import grp
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.storage.company import Company, Result

ROOT = Path(__file__).parents[2]
# Numbers that no account has; the group is one that every system has.
USERS = {"ada": 61_001, "boris": 61_002, "clara": 61_003, "stranger": 61_004}
GROUP = grp.getgrgid(min(entry.gr_gid for entry in grp.getgrall() if entry.gr_gid))
# Makes compaction, packing and the removal of what was dropped due after every command.
CROWDED = ("-m", "tests.team.crowded")


@dataclass(frozen=True)
class Office(Company):
    """A company whose members are Unix users; `python` and `path` are where these find the program."""

    python: str = sys.executable
    path: str = ""

    @property
    def root(self) -> Path:
        return self.folder / "shared" / "store"

    def environment(self, who: str) -> dict[str, str]:
        own = super().environment(who) | {"PATH": os.defpath, "PYTHONPATH": self.path, "PYTHONDONTWRITEBYTECODE": "1"}
        # What is removed goes by the clock of the disk too, so the real one it is.
        del own["CRMCLI_NOW"]
        return own

    def start(self, *arguments: str, who: str = "ada", program: Any = ("-m", "crmcli"), **options: Any) -> Any:
        """Start the program in a process of that user."""
        return self.process(self.python, *program, *arguments, who=who, **options)

    def run(self, *arguments: str, who: str = "ada", program: Any = ("-m", "crmcli")) -> Result:
        """Run the program in a process of that user."""
        return super().run(*arguments, who=who, program=program)

    def process(self, *command: str, who: str, **options: Any) -> subprocess.Popen[str]:
        """Start any program in a process of that user."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        groups = [] if who == "stranger" else [GROUP.gr_gid]
        return subprocess.Popen(
            command,
            env=self.environment(who),
            cwd=self.home(who),
            user=USERS[who],
            group=USERS[who],
            extra_groups=groups,
            umask=0o022,
            text=True,
            **(pipes | options),
        )

    def done(self, *arguments: str, who: str = "ada", program: Any = ("-m", "crmcli")) -> str:
        """Run a command that has to succeed and return what it printed."""
        result = self.run(*arguments, who=who, program=program)
        assert result.code == 0, (who, arguments, result)
        return result.out

    def clients(self, who: str) -> set[str]:
        """The names of the clients that a member sees."""
        lines = self.done("list", "clients", "--format", "tsv", who=who).splitlines()[1:]
        return {line.split("\t")[1] for line in lines}


@contextmanager
def opened() -> Iterator[Office]:
    """Give an office with an admin, Ada, two managers, Boris and Clara, and a stranger; skip where it cannot be."""
    if os.geteuid() != 0:
        pytest.skip("only root can run processes of several users")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="office-")))
        folder.chmod(0o755)
        office = Office(folder, python=sys.executable, path=f"{ROOT}:{sysconfig.get_path('purelib')}")
        for who, number in USERS.items():
            office.home(who).mkdir(parents=True)
            office.home(who).chmod(0o700)
            os.chown(office.home(who), number, number)
        if not _runs(office):
            office = _moved(office, stack)
        if not _runs(office):
            pytest.skip("other users cannot run this Python")
        shared = folder / "shared"
        shared.mkdir()
        shutil.chown(shared, USERS["ada"], GROUP.gr_gid)
        shared.chmod(0o770)
        _found(office)
        yield office


def _runs(office: Office) -> bool:
    try:
        return office.run("--version", who="boris").code == 0
    except OSError:
        return False


def _moved(office: Office, stack: ExitStack) -> Office:
    """Show this Python and this program in a folder that everybody can get at, for they may lie in somebody's home."""
    places = {"python": sys.base_prefix, "code": str(ROOT), "packages": sysconfig.get_path("purelib")}
    for name, source in places.items():
        place = office.folder / "program" / name
        place.mkdir(parents=True)
        bound = subprocess.run(["mount", "--bind", "-o", "ro", source, place], capture_output=True, check=False)
        if bound.returncode:
            pytest.skip("other users cannot run this Python, and it cannot be shown to them elsewhere")
        stack.callback(_unmount, place)
    program = office.folder / "program"
    python = program / "python" / Path(os.path.realpath(sys.executable)).relative_to(sys.base_prefix)
    return Office(office.folder, python=str(python), path=f"{program}/code:{program}/packages")


def _unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", place], check=True)


def _found(office: Office) -> None:
    made = office.done("init", "--company", "Acme", "--admin", "Ada", "--no-passphrase", "--group", GROUP.gr_name)
    fingerprint = re.search(r"fingerprint +(\S+)", made)
    assert fingerprint
    for who in ("boris", "clara"):
        card = office.root.parent / f"{who}.card"
        office.done("identity", "new", "--name", who, "--no-passphrase", who=who)
        office.done("identity", "join", fingerprint[1], who=who)
        office.done("identity", "card", "--out", str(card), who=who)
        office.done("member", "add", who.title(), "--card", str(card), "--role", "manager")

"""What is measured on: homes with a store in them, founded and filled by the program itself, all in one folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.measure import Job, run

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
CRMCLI, SQLITE_UTILS, TODO = (str(BIN / name) for name in ("crmcli", "sqlite-utils", "todo"))


@dataclass(frozen=True)
class Sizes:
    """How much is generated, and how many runs make a median: `runs` of short commands, `long_runs` of long ones."""

    runs: int
    long_runs: int
    clients: int
    people: int
    changes: tuple[tuple[int, float, float], ...]
    """Stage changes of a funnel, and how much time and memory it may take of those of plain DuckDB."""
    documents: int
    """Sales, activities and stage changes, each, of a summary."""
    buyers: int
    """Clients with ten sales each, for repeat sales."""
    rows: tuple[int, ...]
    """Rows of the files of sales, calls or stages."""
    commits: int
    writes: int
    logs: tuple[int, int, int]
    dropped: tuple[int, int, int]
    books: tuple[int, int, int]
    spread: int
    copied: tuple[int, int]
    """Files of a store to back up, and bytes of each."""


FULL = Sizes(
    runs=11,
    long_runs=5,
    clients=100_000,
    people=100_000,
    changes=((1_000_000, 1.3, 2.0), (10_000_000, 1.2, 1.5)),
    documents=1_000_000,
    buyers=1_000_000,
    rows=(100_000, 1_000_000),
    commits=500,
    writes=200,
    logs=(1, 1_000, 100_000),
    dropped=(10, 1_000, 50_000),
    books=(1, 10, 100),
    spread=1_000_000,
    copied=(2_000, 500_000),
)
QUICK = Sizes(
    runs=5,
    long_runs=5,
    clients=5_000,
    people=20_000,
    changes=((200_000, 1.3, 2.0),),
    documents=200_000,
    buyers=50_000,
    rows=(100_000,),
    commits=100,
    writes=48,
    logs=(1, 200, 2_000),
    dropped=(10, 200, 2_000),
    books=(1, 4, 16),
    spread=100_000,
    copied=(400, 250_000),
)


@dataclass(frozen=True)
class Home:
    """A folder with an identity, the memory of one machine, and a store."""

    folder: Path
    passphrase: bool = False

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return self.folder / "store"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of whoever lives here."""
        plain = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "CRMCLI_STORE": str(self.store),
        }
        return plain | ({"CRMCLI_PASSPHRASE_FILE": str(self.folder / "passphrase")} if self.passphrase else {})

    def crmcli(self, *arguments: object) -> Job:
        """Return the job that runs the program here."""
        return self.job(CRMCLI, *arguments)

    def python(self, module: str, *arguments: object) -> Job:
        """Return the job that runs one of our modules here."""
        return self.job(sys.executable, "-m", f"bench.{module}", *arguments)

    def job(self, *command: object) -> Job:
        """Return the job that runs any command here."""
        return Job([str(word) for word in command], self.environ)

    def found(self) -> Home:
        """Make the store and the identity."""
        self.folder.mkdir(parents=True)
        if self.passphrase:
            (self.folder / "passphrase").write_text("correct horse battery staple\n")
        open_file = () if self.passphrase else ("--no-passphrase",)
        run(self.crmcli("init", "--company", "Bench", "--timezone", "UTC", *open_file))
        return self

    def copy(self, folder: Path) -> Home:
        """Return a copy in a folder, in place of what is there; the disk has nothing left to write of it."""
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["cp", "-a", self.folder, folder], check=True)
        os.sync()
        return Home(folder, self.passphrase)

    def forget(self) -> Home:
        """Take this machine back to before it saw the store."""
        for kind in (".cache", ".local/state"):
            shutil.rmtree(self.folder / kind)
        return self


class Bench:
    """The folder of one run of the benchmarks, and what several rows share in it."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder = folder
        self.sizes = sizes

    def home(self, name: str, *, passphrase: bool = False) -> Home:
        """Return a new home with an empty store."""
        return Home(self.folder / name, passphrase).found()

    def csv(self, kind: str, rows: int, others: int) -> Path:
        """Return a file of made-up rows; `others`: how many clients, or deals, they are spread over."""
        path = self.folder / f"{kind}-{rows}.csv"
        if not path.exists():
            run(Home(self.folder).python("fill", "csv", kind, path, rows, others))
        return path

    @cached_property
    def team(self) -> Home:
        """A home whose store holds many clients, with a database of as many rows, and a list of things to do."""
        home = self.home("team")
        people = self.csv("clients", self.sizes.clients, 0)
        run(home.crmcli("import", "clients", people))
        run(home.job(SQLITE_UTILS, "insert", home.folder / "other.db", "clients", people, "--csv"))
        for column in ("name", "phone", "email"):
            run(home.job(SQLITE_UTILS, "create-index", home.folder / "other.db", "clients", column))
        row = {"name": "New", "phone": "+78120000000", "email": None, "source": "web", "external_id": None}
        (home.folder / "row.json").write_text(json.dumps(row))
        config = home.folder / ".config/todoman/config.py"
        config.parent.mkdir()
        config.write_text(f'path = "{home.folder}/lists/*"\ndefault_list = "work"\n')
        (home.folder / "lists/work").mkdir(parents=True)
        return home

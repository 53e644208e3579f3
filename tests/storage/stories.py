"""What people do to a store, recorded call by call, and what must hold of every disk that a power cut leaves of it."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from crmcli import cli
from crmcli.errors import CrmError, NoStoreError
from crmcli.output import Output
from crmcli.storage import log, upkeep
from crmcli.storage.erasure import remaining
from crmcli.storage.tables import TABLES
from tests.storage.company import Company, environment
from tests.storage.crash_model import Disk, Trace
from tests.storage.faulty import KINDS, Fault, injected
from tests.storage.recorder import Recorder

Contents = dict[str, list[str]]
LATER = "2027-12-01T09:00:00+00:00"
ANNA = ("add-client", "Anna", "--phone", "+79161234567", "--op-id", "a" * 32)
BORIS = ("add-client", "Boris", "--phone", "+79161234568", "--op-id", "b" * 32)


class Killed(BaseException):
    """Ends a command as SIGKILL does: nothing that it does afterwards reaches the disk."""


def kill() -> NoReturn:
    raise Killed


@dataclass
class Story:
    """What was done in a folder to the company that lies `below`, and what it held before that and after every step.

    What it holds is None while there is no store.
    """

    folder: Path
    scratch: Path
    below: str = ""
    recorder: Recorder = field(init=False)
    contents: list[Contents | None] = field(default_factory=list)
    last: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pristine = self.scratch / "pristine"
        shutil.copytree(self.folder, pristine)
        self.recorder = Recorder(self.folder, pristine)
        self._look()

    @property
    def company(self) -> Company:
        return Company(self.folder / self.below)

    @property
    def trace(self) -> Trace:
        return self.recorder.trace

    def _look(self) -> None:
        copy = self.scratch / f"step{len(self.contents)}"
        shutil.copytree(self.folder, copy)
        self.contents.append(contents(Company(copy / self.below)))

    def tell(self, *arguments: str, now: str | None = None, killed_after: str | None = None) -> None:
        """Let the admin run a command to its end, or until it has done its first call of that kind."""
        heard = self.recorder.hearing(len(self.contents))
        # That there is nothing left to do is told on stderr.
        out = Output(heard, heard if arguments == self.last else io.StringIO(), io.StringIO())
        changes = self.company.environment("admin") | ({"CRMCLI_NOW": now} if now else {})
        with environment(os.environ | changes), self.recorder.recording():
            if killed_after is None:
                assert cli.run(arguments, out) == 0
            else:
                fault = Fault(1, kill, late=True, calls=(killed_after,), lasting=KINDS)
                with injected(fault), pytest.raises(Killed):
                    cli.run(arguments, out)
        self.last = arguments
        self._look()


def contents(company: Company) -> Contents | None:
    """Return all that the admin can read, table by table, or None if there is no store."""
    try:
        reader = company.open().reader
    except NoStoreError:
        return None
    return {name: sorted(map(repr, reader.merged(name).to_pylist())) for name in TABLES}


def flaw(story: Story, disk: Disk, place: Path, *, going_on: bool) -> str:
    """Return what is wrong with what a power cut left, or nothing; `going_on` also works on with it."""
    disk.lay_out(place)
    company = Company(place / story.below)
    try:
        there = contents(company)
        if there not in story.contents[story.trace.acknowledged(disk.end) :]:
            return "it holds something that nobody saved, or lacks something that was acknowledged"
        if story.trace.acknowledged(disk.end) and there is not None and remaining(company.open()):
            return "files are back that were erased"
        return _flaw_in_going_on(story, company, is_founded=there is not None) if going_on else ""
    except CrmError as error:
        return f"it does not open: {error.message}"
    finally:
        shutil.rmtree(place)


def _flaw_in_going_on(story: Story, company: Company, *, is_founded: bool) -> str:
    again = [] if is_founded and story.last[0] == "init" else [story.last]
    for arguments in (*again, ("add-client", "Next", "--phone", "+79169999999")):
        result = company.crmcli(*arguments)
        if result.code:
            return f"{arguments[0]} fails: {result.err}"
    company.forget("admin")
    return "" if "Next" in company.names() else "another machine does not see what was saved since"


def a_client(story: Story) -> None:
    story.tell(*ANNA)


def a_client_without_folders(story: Story) -> None:
    """Nobody made the folders of the files again that a copying program left out because they were empty."""
    story.tell(*ANNA)


def two_imports(story: Story) -> None:
    clients, calls = story.scratch / "clients.csv", story.scratch / "calls.csv"
    clients.write_text("name,phone,note\n" + "".join(f"Client {n},+7916000{n:04},tea\n" for n in range(9)))
    calls.write_text("client,direction,called_at\n" + "".join(f"Client {n},in,2026-02-0{n}\n" for n in range(1, 9)))
    story.tell("import", "clients", str(clients), "--op-id", "a" * 32)
    story.tell("import", "calls", str(calls), "--op-id", "b" * 32)


def compaction(story: Story) -> None:
    story.tell("gc")


def collection(story: Story) -> None:
    story.tell("gc")
    story.tell("gc", now=LATER)


def erasure(story: Story) -> None:
    story.tell("erase", "Old 1", "--yes", "--op-id", "a" * 32)


def packing(story: Story) -> None:
    story.tell("gc")


def packing_after_one_was_killed(story: Story) -> None:
    story.tell("gc", killed_after="rename")
    story.tell("gc")


def reading_after_a_writer_was_killed(story: Story) -> None:
    story.tell(*ANNA, killed_after="link")
    story.tell("list", "clients")


def writing_after_a_writer_was_killed(story: Story) -> None:
    story.tell(*ANNA, killed_after="link")
    story.tell(*BORIS)


def retrying_after_a_writer_was_killed(story: Story) -> None:
    story.tell(*ANNA, killed_after="link")
    story.tell(*ANNA)


def founding(story: Story) -> None:
    story.tell("init", "--company", "Acme", "--admin", "Ada", "--no-passphrase")


def founding_in_a_folder(story: Story) -> None:
    """The folder is there and holds a README; the admin has an identity, of another store, already."""
    story.tell("init", "--company", "Acme")


STORIES: dict[str, Callable[[Story], None]] = {
    story.__name__: story
    for story in (
        a_client,
        a_client_without_folders,
        two_imports,
        compaction,
        collection,
        erasure,
        packing,
        packing_after_one_was_killed,
        reading_after_a_writer_was_killed,
        writing_after_a_writer_was_killed,
        retrying_after_a_writer_was_killed,
        founding,
        founding_in_a_folder,
    )
}


def record(name: str, founded: Company, scratch: Path) -> Story:
    """Prepare for a story and let it happen."""
    if name.startswith("founding"):
        story = _unfounded(name, founded, scratch)
        STORIES[name](story)
        return story
    company = Company(Path(shutil.copytree(founded.folder, scratch / "company")))
    for home in (company.folder / "homes").iterdir():
        if home.name != "admin":
            shutil.rmtree(home)
    for n in range(3):
        assert company.crmcli("add-client", f"Old {n}", "--phone", f"+7916123000{n}").code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "MANY", 2 if name in ("compaction", "collection") else 64)
        if name == "collection":
            patch.setattr(upkeep, "KEEP", timedelta(0))
        if name.startswith("packing"):
            patch.setattr(log, "LOOSE", 3)
            patch.setattr(log, "SEGMENT", 7)
        if name.endswith("without_folders"):
            for folder in (company.root / "files").iterdir():
                if not any(folder.iterdir()):
                    folder.rmdir()
        story = Story(company.folder, scratch)
        STORIES[name](story)
    return story


def _unfounded(name: str, founded: Company, scratch: Path) -> Story:
    base = scratch / "base"
    if name == "founding":
        base.mkdir()
        return Story(base, scratch, "deep/down")
    company = Company(base)
    company.root.mkdir(parents=True)
    (company.root / "README.md").write_text("Here will be a store.\n")
    company.home("admin").mkdir(parents=True)
    shutil.copy(founded.home("admin") / "identity.json", company.home("admin"))
    return Story(base, scratch)

"""A company in which compaction, packing and collection are due at every turn, and commands to try faults on."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from crmcli.storage import log, upkeep
from tests.storage.company import Company, Result
from tests.storage.faulty import Fault, injected
from tests.storage.stories import LATER, contents

JOBS = ("add-client", "import", "undo", "gc")
PHONE = "+79161234567"


class LateCompany(Company):
    """A company at a time when everything that was dropped may be collected."""

    def environment(self, who: str) -> dict[str, str]:
        return super().environment(who) | {"CRMCLI_NOW": LATER}


@dataclass(frozen=True)
class Job:
    """A company made ready, and a command; `adds` says whose names it brings into the store."""

    ready: Company
    arguments: tuple[str, ...]
    adds: tuple[str, ...] = ()

    def copy(self, place: Path) -> Company:
        return LateCompany(Path(shutil.copytree(self.ready.folder, place, copy_function=os.link)))

    def run(self, company: Company, fault: Fault | None = None, *options: str) -> Result:
        """Run the command, with a fault or none."""
        if fault is None:
            return company.crmcli(*options, *self.arguments)
        with injected(fault):
            return company.crmcli(*options, *self.arguments)

    def is_done(self, company: Company) -> bool:
        """Say whether what the command adds is all there; fail if some is, or if something else is not as it was."""
        there, before = contents(company), contents(self.ready)
        assert there is not None
        assert before is not None
        assert {name: set(before[name]) - set(there[name]) for name in before} == {name: set() for name in before}
        names = [name for name in self.adds if any(f"'name': '{name}'" in row for row in there["contacts"])]
        assert names in ([], list(self.adds))
        assert len(there["contacts"]) == len(before["contacts"]) + len(names)
        assert bool(names) == (there != before)
        return names == list(self.adds)


def make_job(name: str, founded: Company, scratch: Path) -> Job:
    """Return a job in a company that was compacted once and is crowded again."""
    company = Company(Path(shutil.copytree(founded.folder, scratch / "company")))
    for n in range(5):
        with pytest.MonkeyPatch.context() as patch:
            if n > 2:
                patch.setattr(upkeep, "MANY", 64)
                patch.setattr(log, "LOOSE", 1000)
            assert company.crmcli("add-client", f"Old {n}", "--phone", f"+7916123000{n}").code == 0
    for folder in (company.root / "files").iterdir():
        if not any(folder.iterdir()):
            folder.rmdir()
    if name == "gc":
        return Job(company, ("gc",))
    if name == "add-client":
        return Job(company, ("add-client", "Anna", "--phone", PHONE), ("Anna",))
    if name == "undo":
        # What is undone is the undoing of what added her.
        assert company.crmcli("add-client", "Anna", "--phone", PHONE).code == 0
        assert company.crmcli("undo").code == 0
        return Job(company, ("undo", str(company.open().state.seq)), ("Anna",))
    file = scratch / "clients.csv"
    file.write_text("name,phone,note\n" + "".join(f"Client {n},+7916000{n:04},tea\n" for n in range(3)))
    return Job(company, ("import", "clients", str(file)), tuple(f"Client {n}" for n in range(3)))

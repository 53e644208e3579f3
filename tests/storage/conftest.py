"""Fixtures: a company of its own for each test, copied from one that is founded once a run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmcli.storage import log, upkeep
from tests.storage.company import MEMORY, Company, make_company
from tests.storage.crowd import JOBS, Job, make_job
from tests.storage.faulty import crowd


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The company as it was founded; nobody changes this one."""
    return make_company(tmp_path_factory.mktemp("founded") / "company")


@pytest.fixture
def company(founded: Company, tmp_path: Path) -> Company:
    """A company with an admin, two managers, a lead, an analyst, a service and one who left; no clients yet."""
    return Company(Path(shutil.copytree(founded.folder, tmp_path / "company")))


@pytest.fixture
def quick(founded: Company) -> Iterator[Company]:
    """The same company in memory, for tests that commit thousands of times."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Company(Path(shutil.copytree(founded.folder, Path(folder) / "company")))


@pytest.fixture(scope="module")
def quick_disk() -> Iterator[None]:
    """Spares the real disk where faults are many: what tests look at is whether an fsync is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def crowded(quick_disk: None) -> Iterator[None]:  # noqa: ARG001
    """Makes compaction and packing due after every command."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((upkeep, "MANY"), (upkeep, "KEEP"), (log, "LOOSE"), (log, "SEGMENT")):
            patch.setattr(module, name, getattr(module, name))
        crowd()
        yield


@pytest.fixture(scope="module", params=JOBS)
def job(
    request: pytest.FixtureRequest,
    crowded: None,  # noqa: ARG001
    founded: Company,
    tmp_path_factory: pytest.TempPathFactory,
) -> Job:
    """A command to try faults on, and a company made ready for it."""
    return make_job(request.param, founded, tmp_path_factory.mktemp("job"))

"""Fixtures: a company of its own for each test, copied from one that is founded once a run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.company import MEMORY, Company, make_company


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

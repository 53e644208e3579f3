"""Fixtures: the company of the storage tests, and two stores that differ in a colleague's clients."""

from __future__ import annotations

import pytest

from tests.storage.company import Company
from tests.storage.conftest import company, founded
from tests.team.twins import Twins, make_twins

__all__ = ["company", "founded"]


@pytest.fixture(scope="module")
def twins(founded: Company, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """The two stores; the tests of a module share them, for whatever is done is done to both."""
    return make_twins(founded, tmp_path_factory.mktemp("twins"))

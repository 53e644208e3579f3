"""Loads the transcript runner for the whole tree, for README.md and docs/ lie outside tests/; no test is a race."""

import pytest
from hypothesis import settings

pytest_plugins = ["pytester", "tests.replay"]

settings.register_profile("crmcli", deadline=None, max_examples=60)
settings.load_profile("crmcli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes a minute or more, so that nobody waits for it alone in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)

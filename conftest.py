"""Loads the transcript runner for the whole tree, for README.md and docs/ lie outside tests/; no test is a race."""

from hypothesis import settings

pytest_plugins = ["pytester", "tests.replay"]

settings.register_profile("crmcli", deadline=None)
settings.load_profile("crmcli")

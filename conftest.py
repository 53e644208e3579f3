"""Loads the transcript runner for the whole tree, for README.md and docs/ lie outside tests/."""

pytest_plugins = ["pytester", "tests.replay"]

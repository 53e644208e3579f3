"""Fixtures: the company of the storage tests."""

from __future__ import annotations

from tests.storage.conftest import company, founded

__all__ = ["company", "founded"]

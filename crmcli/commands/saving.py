"""How commands that may have nothing to save, or are told not to, say what came of it."""

from __future__ import annotations


def saved_as(commit: int | None, *, dry_run: bool) -> int | str:
    """Return what to show as the commit."""
    if dry_run:
        return "none, this was a dry run"
    return "none, nothing changed" if commit is None else commit

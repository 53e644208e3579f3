"""A program under strace, which writes down what it asks of the kernel, and may make a call fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.company import Company, Result


def require_strace() -> None:
    """Skip where there is no strace or it may not trace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace processes here")


def trace(company: Company, who: str, output: Path, options: tuple[str, ...], program: tuple[str, ...]) -> Result:
    """Run a Python module with its arguments as a member's process; the calls are written to `output`."""
    done = subprocess.run(
        ["strace", "-f", "-y", "-qq", "-o", output, *options, sys.executable, "-m", *program],
        env=os.environ | company.environment(who) | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)

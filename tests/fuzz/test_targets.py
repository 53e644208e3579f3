"""Every target meets changed seeds for a moment in `make test`, and atheris for a minute in `make soak`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, with_another_cell

# What parsers trip over.
TOKENS = [
    *(bytes([byte]) for byte in b'"\\{}[],:\n\r\0=;0'),
    *(b"null", b"true", b"[]", b"{}", b'""', b"-1", b"1.5", b"1e9", b"NaN", b"9007199254740992"),
    *(b"\\u0000", b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"\xd0\x90", b"0" * 32, b"[" * 5000, b"a" * 5000),
]


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of the seeds with a few places cut out, put in again, or filled with what parsers trip over."""
    raw = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(raw)))
        length = draw(st.sampled_from([0, 0, 1, 2, 8, 64, len(raw)]))
        piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=4) | st.just(raw[start : start + length] * 2))
        raw = raw[:start] + piece + raw[start + length :]
    return with_another_cell(raw, draw(st.integers(0, 1 << 32))) if draw(st.booleans()) else raw


@pytest.mark.parametrize("name", TARGETS)
def test_changed_seed_is_parsed_or_refused(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        target.parse(seed)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(changed(target.seeds))
    def meet(data: bytes) -> None:
        target(data)

    meet()


@pytest.mark.parametrize("name", ["map", "process"])
def test_refusal_moves_no_cursor(name: str) -> None:
    # The key stands in the error.
    TARGETS[name](b'"\\u001b[2J\\u202e\\n" = 1\n')


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed for this Python")
@pytest.mark.parametrize("name", TARGETS)
def test_atheris_finds_nothing(name: str) -> None:
    command = [sys.executable, "-m", "tests.fuzz.run_atheris", name, "-max_total_time=60"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr[-4000:]

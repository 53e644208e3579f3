"""A manager sees the same, byte for byte, whether a colleague's clients are there or not: with every command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from crmcli.commands import COMMANDS
from tests.team.commands import ELSEWHERE, KEYLESS, OF_THE_LOG, TRIES, command_lines, spread
from tests.team.twins import COLLEAGUE, ME, TEXT, Twins

COUNTS = {"list": 60, "show": 30, "find": 30}


def test_every_command_is_tried_here_or_reads_no_book() -> None:
    """A new command has to be put on one of the lists."""
    assert sorted([*TRIES, *OF_THE_LOG, *KEYLESS, *ELSEWHERE]) == sorted(COMMANDS)


def test_the_twins_do_differ(twins: Twins) -> None:
    assert twins.full.names(ME) == twins.bare.names(ME) == ["Anna Petrova", "Boris Orlov", "Ivan Archived"]
    assert len(twins.full.names(COLLEAGUE)) == 6
    assert twins.bare.names(COLLEAGUE) == []
    assert twins.full.open().state.seq == twins.bare.open().state.seq
    full, bare = twins.both(["report", "funnel", "--format", "csv"], who="admin")
    assert full != bare
    for who in twins.guesses["who"]:
        codes = {command: twins.full.crmcli(command, who, who="admin").code for command in ("show", "find")}
        assert codes["show"] in (0, 4, 5) or codes["find"] == 0, who


@pytest.mark.parametrize("most", [20, pytest.param(None, marks=pytest.mark.soak)])
@pytest.mark.parametrize("command", TRIES)
def test_what_a_manager_sees_does_not_depend_on_a_colleagues_rows(twins: Twins, command: str, most: int | None) -> None:
    lines = list(command_lines(TRIES[command], twins.guesses))
    assert len(lines) >= COUNTS.get(command, 1)
    ends = set()
    for arguments in spread(lines, most):
        full, bare = twins.both(arguments)
        assert full == bare, arguments
        assert "unforeseen" not in full[2], arguments
        ends.add(full[0])
    # A schedule ends with 1 if one of its jobs did not work out: here there are no backups to try.
    assert ends <= {0, 2, 3, 4, 5, 15} | ({1} if command == "schedule run" else set())


@given(
    name=st.sampled_from(["Anna Petrova", "anna", "Wqx Orlov", "Ян"]),
    phone=st.sampled_from(["+79161234567", "+79167773150", "89167773151"]),
    options=st.lists(st.sampled_from(["--no-deal", "--source=web", "--note=tea", "--segment=business"]), unique=True),
    wanted=st.lists(st.integers(0, 10**6), min_size=5, max_size=5),
)
@settings(max_examples=8, phases=[Phase.generate])
def test_nor_on_whatever_else_the_colleague_adds(
    twins: Twins, name: str, phone: str, options: list[str], wanted: list[int]
) -> None:
    twins.full.crmcli("add-client", name, "--phone", phone, *options, who=COLLEAGUE)
    twins.full.crmcli("log-sale", phone, "100", "--when", "2026-02-01", who=COLLEAGUE)
    twins.catch_up()
    lines = [line for tries in TRIES.values() for line in command_lines(tries, twins.guesses | {"who": [name, phone]})]
    for number in wanted:
        arguments = lines[number % len(lines)]
        full, bare = twins.both(arguments)
        assert full == bare, arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "clients"],
        ["find", TEXT],
        ["show", "+79167773142"],
        ["report", "summary", "--format", "csv"],
        ["log-call", "zqxbert@marker.example", "in"],
    ],
)
def test_nor_does_it_in_processes_of_their_own(twins: Twins, arguments: list[str]) -> None:
    full, bare = (desk.run(*arguments, who=ME) for desk in (twins.full, twins.bare))
    assert full == bare
    assert full.code in (0, 3)


@pytest.mark.parametrize("words", ["crmcli show ", "crmcli show Z", "crmcli list clients --owner ", "crmcli find zq"])
def test_nor_what_a_shell_completes(twins: Twins, words: str) -> None:
    asked = {"_CRMCLI_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    ends = []
    for desk in (twins.full, twins.bare):
        done = subprocess.run(
            [sys.executable, "-m", "crmcli"],
            env=os.environ | desk.environment(ME) | asked,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        ends.append((done.returncode, done.stdout, done.stderr))
    assert ends[0] == ends[1]
    assert ends[0][0] == 0
    assert "qx" not in ends[0][1]

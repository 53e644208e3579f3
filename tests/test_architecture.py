"""The promises that the code makes about its own shape: layers, start-up, help, documentation, exit codes, sizes."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import crmcli
from crmcli.commands import COMMANDS
from crmcli.errors import CrmError
from tests.replay import parse

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SOURCES = sorted((ROOT / "crmcli").rglob("*.py"))
MAX_LINES = 400
SLOW_TO_IMPORT = {"duckdb", "pyarrow", "cryptography", "phonenumbers"}


def source_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run_crmcli(*arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, "-m", "crmcli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def error_classes(base: type[CrmError] = CrmError) -> list[type[CrmError]]:
    return [base, *(found for child in base.__subclasses__() for found in error_classes(child))]


def mentions(text: str, command: str) -> bool:
    """Whether the text has `crmcli COMMAND`, perhaps with global options between the two."""
    return re.search(rf"\bcrmcli (-[^|;&\n]* )?{re.escape(command)}(?![\w-])", text) is not None


@pytest.fixture(scope="module")
def shown_commands() -> str:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests" / "transcripts").rglob("*.md")]
    steps = [step for page in pages for step in parse(page.read_text(encoding="utf-8"))]
    return "\n".join(step.command for step in steps if step.is_shown)


def test_import_contracts_hold() -> None:
    result = subprocess.run([BIN / "lint-imports", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("arguments", [["--help"], *([*name.split(), "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_works_and_loads_no_engine(arguments: list[str]) -> None:
    result = run_crmcli(*arguments, python=("-X", "importtime"))
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
    assert "typer" in loaded
    assert not loaded & SLOW_TO_IMPORT


def test_reading_loads_nothing_that_is_put_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CRMCLI_STORE", str(tmp_path / "store"))
    assert run_crmcli("init", "--company", "Acme", "--no-passphrase").returncode == 0
    result = run_crmcli("list", "clients", python=("-X", "importtime"))
    loaded = {line.split("|")[-1].strip() for line in result.stderr.splitlines()}
    assert result.returncode == 0, result.stderr
    assert "pyarrow.lib" in loaded
    assert not loaded & {"dateutil.relativedelta", "socket", "ssl", "subprocess", "tokenize"}


def test_backups_load_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CRMCLI_STORE", str(tmp_path / "store"))
    assert run_crmcli("init", "--company", "Acme", "--no-passphrase").returncode == 0
    assert run_crmcli("backup").returncode == 0
    # The second one has nothing to copy, and needs no threads for it.
    for arguments, more in (
        (("backup",), {"concurrent", "logging", "hashlib"}),
        (("backup", "verify", "--deep"), set()),
        (("backup", "status", "--days", "8"), set()),
        (("restore", "latest", "--exact", "--to", str(tmp_path / "copy")), set()),
    ):
        result = run_crmcli(*arguments, python=("-X", "importtime"))
        loaded = {line.split("|")[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
        assert result.returncode == 0, result.stderr
        assert "cryptography" in loaded
        assert not loaded & ((SLOW_TO_IMPORT - {"cryptography"}) | more), arguments


def test_help_lists_every_command_with_its_line() -> None:
    groups = {name.rpartition(" ")[0] for name in COMMANDS}
    listed = {group: " ".join(run_crmcli(*group.split(), "--help").stdout.split()) for group in groups}
    for name, (_, line) in COMMANDS.items():
        group, _, command = name.rpartition(" ")
        assert line
        assert f"{command} {line}"[:60] in listed[group]
        assert not group or f" {group} " in listed[""]


@pytest.mark.parametrize(
    ("words", "place", "offered"),
    [
        ("crmcli sho", 1, ["show"]),
        ("crmcli report ", 2, [name.removeprefix("report ") for name in COMMANDS if name.startswith("report ")]),
        ("crmcli list clients --arch", 3, ["--archived"]),
        ("crmcli list clients --format ", 4, ["table", "json", "jsonl", "csv", "tsv", "ids"]),
    ],
)
def test_shell_completes_and_opens_no_store(
    words: str, place: int, offered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_CRMCLI_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}.items():
        monkeypatch.setenv(name, value)
    result = run_crmcli(python=("-X", "importtime"))
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert (result.returncode, result.stdout.split()) == (0, offered)
    assert not loaded & SLOW_TO_IMPORT


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_an_example_that_runs(name: str, shown_commands: str) -> None:
    assert mentions(shown_commands, name)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_in_the_reference(name: str) -> None:
    assert mentions((ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8"), name)


def test_every_exit_code_is_owned_by_one_error_class_and_documented() -> None:
    for module in pkgutil.walk_packages(crmcli.__path__, "crmcli."):
        importlib.import_module(module.name)
    codes = [error.__dict__["exit_code"] for error in error_classes() if "exit_code" in error.__dict__]
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    documented = [int(code) for code in re.findall(r"^\| *`?(\d+)`? *\|", page, re.MULTILINE)]
    assert len(codes) == len(set(codes))
    assert documented == sorted({0, *codes})


@pytest.mark.parametrize("path", SOURCES, ids=source_name)
def test_source_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_LINES
    assert ast.get_docstring(ast.parse(text))

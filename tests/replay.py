"""Replays the console blocks of Markdown files against the real program, so that no example can be wrong.

A file is one test: its commands run in one bash, in a fresh folder, and share files, variables and the current folder.

    ```console                a block that is run; ```console skip: shown, not run
    $ crmcli find ann         a command; lines beginning with "> " right below continue it (here-documents too)
    ann […] @example.com      what it prints, stdout and stderr as they come; […] stands for any characters
    ...                       a line of dots stands for any lines
    [exit 4]                  its exit code, when it is not 0
    ```
    ```csv file=leads.csv     a block that is written to that file before the commands below it
    <!-- run: crmcli demo --> a command that is run but not shown: it has to succeed, its output does not matter
    <!-- needs: cdnow -->     sample data, linked here as cdnow/; the file is skipped where it is absent

`pytest --update-transcripts` writes what the program printed into the files, for the author to read the diff.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SAMPLE_DATA = Path(__file__).parents[2] / "shared" / "data"
NOW = "2026-03-02T09:00:00+00:00"
TIME_LIMIT_S = 300

FENCE = re.compile(r"(?P<indent> *)(?P<ticks>`{3,})(?P<info>.*)")
COMMENT = re.compile(r"<!-- (?P<key>run|needs): (?P<value>.*?) -->")
END_OF_STEP = re.compile(r"\n\x1e(\d+)\n")
# `$?` is what the command left, so that a transcript may show `echo $?`.
SHELL_PRELUDE = r"""__end() { local code=$?; printf '\n\036%s\n' "$code"; export CRMCLI_SEED=$1; return "$code"; }"""


class TranscriptError(Exception):
    """A transcript that is not of the form above, or does not tell what happens; the message is for its author."""


@dataclass(frozen=True)
class Step:
    """One command and where in the file its output stands: the lines [start, stop), all moved right by `indent`."""

    command: str
    line_number: int
    start: int
    stop: int
    indent: str = ""
    is_shown: bool = True


@dataclass(frozen=True)
class Result:
    """What a step printed and the code it ended with."""

    output: str
    exit_code: int

    @property
    def lines(self) -> list[str]:
        """The output as a transcript shows it."""
        lines = self.output.removesuffix("\n").split("\n") if self.output else []
        return [*lines, f"[exit {self.exit_code}]"] if self.exit_code else lines


def parse(text: str) -> list[Step]:
    """Return the steps of a Markdown text in order; TranscriptError if a block is of no known form."""
    steps: list[Step] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if fence := FENCE.fullmatch(lines[at]):
            stop = _end_of_block(lines, at, fence["ticks"])
            steps += _block_steps(lines, at + 1, stop, fence)
            at = stop
        elif (comment := COMMENT.fullmatch(lines[at].strip())) and comment["key"] == "run":
            steps.append(Step(comment["value"], at + 1, at, at, is_shown=False))
        at += 1
    return steps


def _end_of_block(lines: list[str], opening: int, ticks: str) -> int:
    for at in range(opening + 1, len(lines)):
        if re.fullmatch(rf" *{ticks}`* *", lines[at]):
            return at
    raise TranscriptError(f"line {opening + 1}: the block is not closed")


def _block_steps(lines: list[str], start: int, stop: int, fence: re.Match[str]) -> Iterator[Step]:
    words = fence["info"].split()
    body = [line.removeprefix(fence["indent"]) for line in lines[start:stop]]
    if words[:1] == ["console"] and "skip" not in words:
        yield from _console_steps(body, start, fence["indent"])
    for name in (shlex.quote(word[5:]) for word in words if word.startswith("file=")):
        content = shlex.quote("\n".join([*body, ""]))
        command = f'mkdir -p "$(dirname {name})" && printf %s {content} > {name}'
        yield Step(command, start, start, start, is_shown=False)


def _console_steps(body: list[str], offset: int, indent: str) -> Iterator[Step]:
    at = 0
    while at < len(body):
        if not body[at].startswith("$ "):
            raise TranscriptError(f"line {offset + at + 1}: a console block begins with a command: `$ crmcli ...`")
        line_number = offset + at + 1
        command = [body[at][2:]]
        at += 1
        while at < len(body) and (body[at] == ">" or body[at].startswith("> ")):
            command.append(body[at][2:])
            at += 1
        start = at
        while at < len(body) and not body[at].startswith("$ "):
            at += 1
        yield Step("\n".join(command), line_number, offset + start, offset + at, indent)


def run(steps: list[Step], folder: Path) -> list[Result]:
    """Run the steps in one bash below `folder`; TranscriptError if the shell ends before the last step does."""
    here, home = folder / "here", folder / "home"
    here.mkdir(exist_ok=True)
    home.mkdir()
    script = folder / "script"
    seeds = [*_seeds(steps), 0]
    ends = [f"__end {seed}" for seed in seeds[1:]]
    pairs = zip((step.command for step in steps), ends, strict=True)
    script.write_text("\n".join([SHELL_PRELUDE, *(line for pair in pairs for line in pair), ""]), encoding="utf-8")
    done = subprocess.run(
        ["timeout", "--kill-after=5", str(TIME_LIMIT_S), "bash", str(script)],
        cwd=here,
        env=_environment(home, seeds[0]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    *parts, rest = END_OF_STEP.split(done.stdout.decode(errors="backslashreplace"))
    results = [Result(output, int(code)) for output, code in zip(parts[::2], parts[1::2], strict=True)]
    if len(results) < len(steps):
        step = steps[len(results)]
        raise TranscriptError(f"line {step.line_number}: the shell did not get past `{step.command}`\n{rest.strip()}")
    return results


def _seeds(steps: list[Step]) -> list[int]:
    """Return a seed for each step, made of its command: new lines in a transcript leave the ids of others alone."""
    commands = [step.command for step in steps]
    return [zlib.crc32(f"{command}\n{commands[:at].count(command)}".encode()) for at, command in enumerate(commands)]


def _environment(home: Path, seed: int) -> dict[str, str]:
    folders = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
    return folders | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "CRMCLI_NOW": NOW,
        "CRMCLI_SEED": str(seed),
    }


def is_as_shown(shown: list[str], happened: list[str]) -> bool:
    """Whether the lines that happened are the lines shown, where dots and […] stand for anything but an exit code."""
    pattern = "".join(
        r"(?:(?!\[exit ).*\n)*?"
        if re.fullmatch(r"\.{3,}", line)
        else ".*?".join(re.escape(part) for part in line.split("[…]")) + r"\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in happened)) is not None


def replay(text: str, folder: Path) -> str:
    """Run a Markdown text below `folder` and return it as it should read: the same text, if it tells the truth.

    TranscriptError if it cannot be run or a command that is not shown fails.
    """
    steps = parse(text)
    lines = text.split("\n")
    for step, result in reversed(list(zip(steps, run(steps, folder), strict=True))):
        shown = [line.removeprefix(step.indent) for line in lines[step.start : step.stop]]
        if not step.is_shown and result.exit_code:
            raise TranscriptError("\n".join([f"line {step.line_number}: `{step.command}` failed", *result.lines]))
        if step.is_shown and not is_as_shown(shown, result.lines):
            lines[step.start : step.stop] = [f"{step.indent}{line}" if line else "" for line in result.lines]
    return "\n".join(lines)


class Transcript(pytest.Item):
    """One Markdown file with console blocks."""

    def runtest(self) -> None:
        """Replay the file; where it is wrong, fail with a diff or, when asked to, write it anew."""
        text = self.path.read_text(encoding="utf-8")
        try:
            with tempfile.TemporaryDirectory(prefix="transcript-") as name:
                _link_sample_data(text, Path(name))
                truth = replay(text, Path(name))
        except TranscriptError as error:
            pytest.fail(f"{self.path}: {error}", pytrace=False)
        if truth != text and self.config.getoption("--update-transcripts"):
            self.path.write_text(truth, encoding="utf-8")
        elif truth != text:
            diff = difflib.unified_diff(text.split("\n"), truth.split("\n"), "as written", "as it happens", lineterm="")
            pytest.fail("\n".join([str(self.path), *diff]), pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Name the file in reports."""
        return self.path, 0, self.path.name


def _link_sample_data(text: str, folder: Path) -> None:
    (folder / "here").mkdir()
    for comment in COMMENT.finditer(text):
        for name in comment["value"].split() if comment["key"] == "needs" else []:
            if not (SAMPLE_DATA / name).is_dir():
                pytest.skip(f"no sample data {name}")
            (folder / "here" / name).symlink_to(SAMPLE_DATA / name)


class MarkdownFile(pytest.File):
    """A Markdown file; it holds one test if it holds a console block."""

    def collect(self) -> Iterator[Transcript]:
        """Yield the transcript, if there is one."""
        if re.search(r"^ *```console *$", self.path.read_text(encoding="utf-8"), re.MULTILINE):
            yield Transcript.from_parent(self, name="console")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> MarkdownFile | None:
    """Take every Markdown file below the folders that pytest is told to look at."""
    return MarkdownFile.from_parent(parent, path=file_path) if file_path.suffix == ".md" else None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --update-transcripts."""
    parser.addoption("--update-transcripts", action="store_true", help="write what is printed into the transcripts")

"""Crontab lines and systemd units that run a command every minute with what it needs of its environment."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from crmcli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def crontab(command: Sequence[str], environ: Mapping[str, str], notes: Sequence[str], name: str) -> str:
    """Return the lines of a crontab, between marks that bear a name. Raises: InputError for what no line can hold."""
    words = [*(f"{key}={shlex.quote(value)}" for key, value in environ.items()), *map(shlex.quote, command)]
    # To cron a % ends the command.
    line = "* * * * * " + " ".join(words).replace("%", r"\%")
    return "".join(f"{text}\n" for text in (begin(name), *(f"# {note}" for note in notes), _one(line), end(name)))


def begin(name: str) -> str:
    """Return the line before those of a name."""
    return f"# begin crmcli {name}"


def end(name: str) -> str:
    """Return the line after those of a name."""
    return f"# end crmcli {name}"


def replaced(before: str, lines: str, name: str) -> str:
    """Return a crontab with the lines of a name in the place of those it has, or at its end."""
    head, found, rest = before.partition(begin(name) + "\n")
    if not found:
        return before + ("" if not before or before.endswith("\n") else "\n") + lines
    _, closed, tail = rest.partition(end(name) + "\n")
    if not closed:
        raise InputError(f"the crontab has a line {begin(name)!r} and no {end(name)!r}", "mend it with crontab -e")
    return head + lines + tail


def systemd(command: Sequence[str], environ: Mapping[str, str], notes: Sequence[str]) -> dict[str, str]:
    """Return the units of a user's systemd by file name. Raises: InputError for what no line can hold."""
    lines = [*(f"# {note}" for note in notes), "[Unit]", "Description=crmcli: run what is due", "", "[Service]"]
    lines += ["Type=oneshot", *(_one(f"Environment={_quoted(f'{key}={value}')}") for key, value in environ.items())]
    lines += [_one("ExecStart=" + " ".join(_quoted(word.replace("$", "$$")) for word in command))]
    timer = ["[Unit]", "Description=crmcli: every minute", "", "[Timer]", "OnCalendar=*:*", "Persistent=true"]
    timer += ["", "[Install]", "WantedBy=timers.target"]
    return {"crmcli.service": "\n".join([*lines, ""]), "crmcli.timer": "\n".join([*timer, ""])}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _one(line: str) -> str:
    if not line.isprintable():
        raise InputError("a path has a character in it that no line of a timer can hold")
    return line

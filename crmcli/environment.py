"""What the environment of a process says: where its files lie, what time it is, and a passphrase."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crmcli.errors import InputError, NoKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping

APP = "crmcli"
# Where each kind of file goes unless the environment says otherwise.
_FOLDERS = {"cache": "~/.cache", "config": "~/.config", "data": "~/.local/share", "state": "~/.local/state"}


def checked_op_id(op_id: str | None) -> str | None:
    """Return the op_id that was given. Raises: InputError."""
    if op_id is not None and not (len(op_id) == 32 and set(op_id) <= set("0123456789abcdef")):  # noqa: PLR2004
        raise InputError("an op_id is 32 hex digits, as the failed command printed it")
    return op_id


def store_folder(given: str | None) -> Path:
    """Return the folder of the store: as given, `data/` here, or the platform's data folder if a store is there."""
    if given:
        return Path(given)
    here = Path("data")
    if (here / "genesis.json").exists():
        return here
    there = platform_folder("data") / "store"
    return there if (there / "genesis.json").exists() else here


def backup_places(given: list[str] | None, environ: Mapping[str, str], store: Path) -> list[str]:
    """Return where backups lie: as given, as the environment says, else in `backups/` beside the store.

    Several may stand in one text, with commas between them.
    """
    named = ",".join(given or [environ.get("CRMCLI_BACKUPS", "")]).split(",")
    return [text.strip() for text in named if text.strip()] or [str(store.parent / "backups")]


def platform_folder(kind: str) -> Path:
    """Return the folder that the XDG base directory specification, or Apple, gives our files of a kind."""
    if sys.platform == "darwin":
        folder = f"~/Library/{'Caches' if kind == 'cache' else 'Application Support'}"
    else:
        folder = os.environ.get(f"XDG_{kind.upper()}_HOME", "").strip() or _FOLDERS[kind]
    return Path(os.path.expanduser(folder)) / APP  # noqa: PTH111 - without a home, a path says nothing; an error would


def account_name() -> str:
    """Return the name of the account that this process runs under. Raises: InputError if it has none."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise InputError("your account here has no name", "--admin NAME says yours") from error


def clock(text: str | None) -> datetime:
    """Return the time that was given as ISO text, or now. Raises: InputError."""
    if text is None:
        return datetime.now(UTC)
    from crmcli.model.dates import FIRST_YEAR, LAST_YEAR

    try:
        now = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError("CRMCLI_NOW is not an ISO instant") from error
    if not FIRST_YEAR < now.year < LAST_YEAR:
        raise InputError(f"CRMCLI_NOW is not between {FIRST_YEAR} and {LAST_YEAR}")
    return now


def spoken(kind: str) -> str:
    """Return what to call a secret that environment variables of that kind give."""
    return kind.replace("_", " ").lower()


def output_of(command: str, kind: str) -> bytes:
    """Return what the command prints that is to give a secret. Raises: NoKeyError."""
    import shlex
    import subprocess

    try:
        return subprocess.run(shlex.split(command), stdout=subprocess.PIPE, check=True).stdout  # noqa: S603
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NoKeyError(f"the command in CRMCLI_{kind}_COMMAND failed") from error


def first_line(raw: bytes) -> str:
    """Return the first line, which is the secret. Raises: NoKeyError."""
    try:
        line = raw.split(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError as error:
        raise NoKeyError("the passphrase is not valid UTF-8") from error
    if not line:
        raise NoKeyError("the passphrase is empty")
    return line

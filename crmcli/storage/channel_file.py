"""The file of channels beside an identity: they may hold secrets, so that they are in no store."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict
from typing import TYPE_CHECKING

from crmcli.errors import DamagedError, NotFoundError, NotPermittedError
from crmcli.model.channels import KINDS, Channel, default_channel
from crmcli.storage import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIMIT = 1 << 20


def channel_file(identity: Path) -> Path:
    """Return where the channels of an identity lie."""
    return identity.with_name(f"{identity.stem}.channels.json")


def read_channels(identity: Path) -> list[Channel]:
    """Return the channels beside an identity.

    Raises: DamagedError; NotPermittedError if others can read the file, or write where reminders go.
    """
    path = channel_file(identity)
    if not path.exists():
        return []
    with files.mapped("read the channels"):
        raw, status = files.read_regular(path, _LIMIT)
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
        raise NotPermittedError(f"others can open {path}: {mode}", f"chmod 600 {path}, and look at where it leads")
    try:
        channels = [Channel(**cells) for cells in json.loads(raw)["channels"]]
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{path} is no file of channels", "remove it, and add them again") from error
    if not all(channel.kind in KINDS and isinstance(channel.options, dict) for channel in channels):
        raise DamagedError(f"{path} is no file of channels", "remove it, and add them again")
    return channels


def write_channels(identity: Path, channels: Sequence[Channel]) -> None:
    """Put channels in the place of those beside an identity, for its owner alone to read."""
    path = channel_file(identity)
    document = {"channels": [asdict(channel) for channel in channels]}
    with files.mapped("write the channels"):
        files.ensure_private(path.parent)
        files.replace_atomically(path, json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n")


def channel_named(channels: Sequence[Channel], name: str, member: str) -> Channel:
    """Return the channel of a member of that name. Raises: NotFoundError."""
    for channel in channels:
        if channel.name == name and channel.member == member:
            return channel
    raise NotFoundError(f"there is no channel {name[:40]!r}", "crmcli channel list shows them")


def channels_of(channels: Sequence[Channel], member: str, sender: str) -> list[Channel]:
    """Return the channels of a member; what is printed if there is none, for whoever sends to oneself."""
    theirs = [channel for channel in channels if channel.member == member]
    return theirs or ([default_channel(member)] if member == sender else [])

"""Channels: the ways by which reminders reach a member, and the message that goes one of them."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.model.dates import shown
from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

STDOUT, SMTP, URL, DESKTOP = "stdout", "smtp", "url", "desktop"
KINDS = (STDOUT, SMTP, URL, DESKTOP)
# What stays on this machine may say everything; the rest is read by whoever carries it.
LOCAL = (STDOUT, DESKTOP)
# How a mail server is talked to: encrypted from the start, after STARTTLS, or in clear, which is for this machine only.
SECURITIES = ("tls", "starttls", "none")
_ADDRESS = re.compile(r"[^\s@<>,;:\"]{1,64}@[^\s@<>,;:\"]{1,190}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_MOST_PORT = 65_535
# What an address can begin with that notifies nobody.
_NO_SERVICES = ("file", "ftp", "sftp", "data", "javascript", "about")
_HERE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to a member (an id as text); `options` are those of its kind and may be secrets.

    `name` is the kind, with a number after the first of its kind: it stands in the log of deliveries.
    """

    name: str
    kind: str
    member: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """Where it leads, without what is secret."""
        match self.kind:
            case "smtp":
                return f"{self.options['to']} by {self.options['host']}:{self.options['port']}"
            case "url":
                return f"{self.options['url'].partition('://')[0]}://…"
            case _:
                return ""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: a subject, a body, the id that stays the same when it is sent again, and when it is sent."""

    message_id: str
    subject: str
    body: str
    sent_at: datetime


def default_channel(member: str) -> Channel:
    """Return the channel of a member who has none: what is printed, which cron mails."""
    return Channel(STDOUT, STDOUT, member)


def new_channel(kind: str, member: str, options: Mapping[str, str], known: Iterable[Channel]) -> Channel:
    """Return one more channel of a member. Raises: InputError for options that are none."""
    theirs = [channel for channel in known if channel.member == member and channel.kind == kind]
    if theirs and kind in LOCAL:
        raise InputError(f"there is a channel {kind} already")
    taken = {channel.name for channel in theirs}
    name = next(name for name in (kind, *(f"{kind}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)
    if kind == SMTP:
        _check_smtp(options)
    if kind == URL:
        found = re.match(r"([a-z][a-z0-9+.-]*)://\S", options["url"], re.IGNORECASE)
        if found is None or found[1].lower() in _NO_SERVICES:
            raise InputError("a notification URL begins with what it leads to, such as tgram://")
    return Channel(name, kind, member, options)


def _check_smtp(options: Mapping[str, str]) -> None:
    for name in ("to", "from"):
        address = options[name]
        if not address.isascii():
            hint = "a domain in other letters is written as xn--…"
            raise InputError(f"--{name} is no mail address that every server takes: {shown(address)}", hint)
        if not address.isprintable() or not _ADDRESS.fullmatch(address):
            raise InputError(f"--{name} is no mail address: {shown(address)}")
    if not _HOST.fullmatch(options["host"]):
        raise InputError(f"--host is no host: {shown(options['host'])}")
    if options["security"] == "none" and options["host"] not in _HERE:
        raise InputError("without encryption mail goes to this machine alone", "--security tls or starttls")
    if not options["port"].isdecimal() or not 0 < int(options["port"]) <= _MOST_PORT:
        raise InputError(f"--port is from 1 to {_MOST_PORT}")

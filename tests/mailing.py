"""A company whose reminders go out by mail: what cron runs in processes of its own, and a real mail server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from crmcli.session import Session as Run
from tests.storage.company import run_here

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PROGRAM = [sys.executable, "-m", "crmcli"]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Mailbox:
    """Keeps what it is sent; `on_mail` is called before each mail is taken, and may refuse it by a reply."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.on_mail: Callable[[], str | None] = lambda: None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        refusal = self.on_mail()
        if refusal is None:
            self.raw.append(envelope.original_content or b"")
        return refusal or "250 OK"

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(raw, _class=EmailMessage, policy=policy.default) for raw in self.raw]

    @property
    def ids(self) -> list[str]:
        return [mail["Message-ID"] for mail in self.mails]

    @property
    def texts(self) -> list[str]:
        return [mail.get_content().replace("\r\n", "\n") for mail in self.mails]


class Office:
    """One store, and members with an identity and a home each; the clock is what the caller says, or the real one."""

    def __init__(self, folder: Path, *, has_real_clock: bool = False) -> None:
        self.folder = folder
        self.has_real_clock = has_real_clock
        self.mailbox = Mailbox()
        self.port = free_port()
        self.now = NOW
        # What the environment has besides.
        self.more: dict[str, str] = {}
        self.run("init", "--company", "Tea House", "--admin", "olga", "--no-passphrase")
        self.fingerprint = next(
            line.split()[-1] for line in self.run("identity", "show").splitlines() if "finger" in line
        )

    @contextmanager
    def receiving(self) -> Iterator[Office]:
        """Run the mail server that channels lead to."""
        server = Controller(self.mailbox, hostname="127.0.0.1", port=self.port, decode_data=False)
        server.start()
        try:
            yield self
        finally:
            server.stop()

    def environ(self, who: str = "olga", at: timedelta = timedelta()) -> dict[str, str]:
        home = self.folder / who
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "CRMCLI_STORE": str(self.folder / "store"),
            **({} if self.has_real_clock else {"CRMCLI_NOW": (self.now + at).isoformat()}),
            **{f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "STATE")},
            **self.more,
        }

    def session(self, who: str = "olga") -> Run:
        """Return a run in this process, as that member."""
        cache, pins, config = (self.folder / who / name / "crmcli" for name in ("cache", "state", "config"))
        return Run(self.folder / "store", config / "identity.json", cache, pins, self.now)

    def start(self, *arguments: str, who: str = "olga", at: timedelta = timedelta()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            env=self.environ(who, at),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, who: str = "olga", at: timedelta = timedelta(), code: int = 0) -> str:
        """Run a command and return what it printed; what a person does at a desk runs in this process."""
        if arguments[0] in ("remind", "schedule", "channel"):
            process = self.start(*arguments, who=who, at=at)
            out, err = process.communicate(timeout=120)
            ended = process.returncode
        else:
            ended, out, err = run_here(arguments, self.environ(who, at))
        assert ended == code, (arguments, out, err)
        return out

    def hire(self, name: str, role: str) -> None:
        self.run("identity", "new", "--name", name, "--no-passphrase", who=name)
        self.run("identity", "join", self.fingerprint, who=name)
        card = self.folder / f"{name}.card"
        self.run("identity", "card", "--out", str(card), who=name)
        self.run("member", "add", name, "--card", str(card), "--role", role)

    def add_channel(self, who: str = "olga", *more: str) -> None:
        options = ("--host", "127.0.0.1", "--security", "none", "--port", str(self.port))
        self.run("channel", "add", "smtp", "--to", f"{who}@example.com", *options, *more, who=who)

    def kill_on_mail(self, process: Callable[[], int]) -> None:
        """Kill a process while its mail is being taken, once."""

        def strike() -> None:
            self.mailbox.on_mail = lambda: None
            os.kill(process(), signal.SIGKILL)

        self.mailbox.on_mail = strike

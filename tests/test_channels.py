"""Channels with real receivers: an encrypted mail server with a password, a web hook, a desktop's notify-send."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.mailing import Mailbox, Office, free_port

SECRET = "a secret of the mail server"  # noqa: S105 - of this test


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.run("settings", "set", "send_personal", "on")
    office.run("add-client", "Анна <b>Петрова</b>", "--no-deal")
    office.run("add-reminder", "Анна", "say \x1b[31mred\nand more", "--due", "today 11:30")
    return office


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody else vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    no_password = serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password) + made.public_bytes(pem))
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[tuple[Mailbox, int]]:
    """A mail server that talks TLS and takes mail from who knows the password."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    mailbox, port = Mailbox(), free_port()

    def authenticator(*given: object) -> AuthResult:
        data = given[-1]
        is_right = isinstance(data, LoginPassword) and data.password == SECRET.encode()
        return AuthResult(success=is_right, handled=is_right)

    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticator,
        auth_required=True,
    )
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()


def add_mail(office: Office, port: int, password: str) -> None:
    (office.folder / "password").write_text(password + "\n")
    office.more = {"CRMCLI_SMTP_PASSWORD_FILE": str(office.folder / "password")}
    office.run("channel", "add", "smtp", "--to", "olga@example.com", "--host", "127.0.0.1", "--port", str(port),
               "--security", "starttls", "--user", "olga")  # fmt: skip


def test_mail_goes_encrypted_and_with_a_password(
    office: Office, server: tuple[Mailbox, int], certificate: Path
) -> None:
    mailbox, port = server
    add_mail(office, port, SECRET)
    office.more = {"SSL_CERT_FILE": str(certificate)}
    office.run("remind")
    (mail,) = mailbox.mails
    assert mail["Subject"] == "crmcli: Анна <b>Петрова</b>: say [31mred and more"
    assert SECRET not in office.run("channel", "list", "--format", "json")


def test_mail_does_not_go_to_a_server_that_nobody_vouches_for(office: Office, server: tuple[Mailbox, int]) -> None:
    mailbox, port = server
    add_mail(office, port, SECRET)
    process = office.start("channel", "test", "smtp")
    _, err = process.communicate()
    assert process.returncode == 16
    assert "no way to the mail server" in err
    office.run("remind", code=16)
    assert mailbox.mails == []


def test_a_wrong_password_is_said_without_it(office: Office, server: tuple[Mailbox, int], certificate: Path) -> None:
    mailbox, port = server
    add_mail(office, port, "a wrong one")
    office.more = {"SSL_CERT_FILE": str(certificate)}
    process = office.start("channel", "test", "smtp")
    _, err = process.communicate()
    assert (process.returncode, err.count("\n")) == (16, 1)
    assert "the mail server refused: SMTPAuthenticationError 535" in err
    assert "wrong one" not in err
    assert mailbox.mails == []


def test_a_notification_url_gets_the_text(office: Office) -> None:
    heard: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        status = 200

        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(Hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"json://user:{SECRET.replace(' ', '')}@127.0.0.1:{server.server_port}/hook"
        (office.folder / "url").write_text(url)
        office.more = {"CRMCLI_CHANNEL_URL_FILE": str(office.folder / "url")}
        shown = office.run("channel", "add", "url")
        assert "json://…" in shown
        assert "user" not in shown
        Hook.status = 500
        process = office.start("remind")
        _, err = process.communicate()
        first, *_ = err.splitlines()
        assert first == "url: 1 reminder not sent, to be tried again: the notification was not taken"
        Hook.status = 200
        office.run("remind", at=timedelta(hours=1))
        office.run("remind", at=timedelta(hours=2))
    finally:
        server.shutdown()
        server.server_close()
    assert len(heard) == 2
    assert "Анна <b>Петрова</b>" in json.loads(heard[1])["message"]


def test_the_desktop_reads_no_markup(office: Office) -> None:
    folder = office.folder / "bin"
    folder.mkdir()
    program = folder / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{folder}/shown\n')
    program.chmod(0o755)
    office.run("channel", "add", "desktop")
    process = office.start("remind")
    _, err = process.communicate()
    assert "there is no notify-send" in err
    office.more = {"PATH": f"{folder}:/usr/bin:/bin"}
    office.run("remind", at=timedelta(hours=1))
    shown = (folder / "shown").read_text()
    assert shown.startswith("--app-name=crmcli\n--\ncrmcli: Анна <b>Петрова</b>: ")
    assert "Анна &lt;b&gt;Петрова&lt;/b&gt;" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o666])
def test_a_file_of_channels_that_others_can_open_is_refused(office: Office, mode: int) -> None:
    """They could read what is secret in it, or lead reminders elsewhere."""
    office.run("channel", "add", "stdout")
    file = office.folder / "olga" / "config" / "crmcli" / "identity.channels.json"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(mode)
    for command in (("remind",), ("remind", "--dry-run"), ("channel", "list"), ("channel", "remove", "stdout")):
        process = office.start(*command)
        out, err = process.communicate()
        assert (process.returncode, out) == (15, "")
        assert err == (
            f"crmcli: error: others can open {file}: mode {mode:04o}\n"
            f"crmcli: hint: chmod 600 {file}, and look at where it leads\n"
        )
    assert f'channels,attention,"others can open {file}: mode {mode:04o}' in office.run(
        "doctor", "--format", "csv", code=6
    )
    file.chmod(0o600)
    assert "channels,ok," in office.run("doctor", "--format", "csv", code=6)
    assert "red" in office.run("remind")


def test_doctor_tells_of_a_file_of_channels_that_is_none(office: Office) -> None:
    file = office.folder / "olga" / "config" / "crmcli" / "identity.channels.json"
    file.write_text("nonsense")
    file.chmod(0o600)
    assert f'channels,attention,"{file} is no file of channels' in office.run("doctor", "--format", "csv", code=6)

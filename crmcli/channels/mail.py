"""Mail: a message as an e-mail, handed to the mail server that the channel names."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from crmcli.errors import UndeliveredError

if TYPE_CHECKING:
    from crmcli.model.channels import Channel, Message

_TIMEOUT = 30


def send_mail(channel: Channel, message: Message) -> None:
    """Hand a message to the mail server. Raises: UndeliveredError with what the server, or the way to it, said."""
    options = channel.options
    mail = _mail(channel, message)
    try:
        server = _connected(channel)
        try:
            if options["security"] == "starttls":
                server.starttls(context=ssl.create_default_context())
            if options.get("user"):
                server.login(options["user"], options["password"])
            server.send_message(mail, options["from"], [options["to"]])
        finally:
            # The server has taken the mail or refused it; how it says goodbye changes neither.
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
    except smtplib.SMTPResponseException as error:
        raise UndeliveredError(f"the mail server refused: {type(error).__name__} {error.smtp_code}") from error
    except smtplib.SMTPException as error:
        raise UndeliveredError(f"the mail server refused: {type(error).__name__}") from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UndeliveredError(f"no way to the mail server {options['host']}:{options['port']}: {reason}") from error


def _connected(channel: Channel) -> smtplib.SMTP:
    options = channel.options
    host, port = options["host"], int(options["port"])
    if options["security"] == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, timeout=_TIMEOUT)


def _mail(channel: Channel, message: Message) -> EmailMessage:
    sender = channel.options["from"]
    local, _, domain = sender.rpartition("@")
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = message.subject
    mail["From"] = Address("crmcli", local, domain)
    mail["To"] = channel.options["to"]
    mail["Date"] = format_datetime(message.sent_at)
    mail["Message-ID"] = f"<{message.message_id}@{domain}>"
    # Nobody's holiday reply shall answer it.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.body, charset="utf-8")
    return mail

"""Sending: a message goes out through one channel, or why it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import CrmError
from crmcli.model.channels import DESKTOP, SMTP, URL

if TYPE_CHECKING:
    from crmcli.model.channels import Channel, Message


def require_way(channel: Channel) -> None:
    """Raise InputError for a channel by which nothing can ever go out, as far as that can be known here."""
    if channel.kind == URL:
        from crmcli.channels.notification import require_known

        require_known(channel.options["url"])


def send(channel: Channel, message: Message) -> None:
    """Send a message and return once the other side has taken it. Raises: UndeliveredError, without secrets."""
    if channel.kind == SMTP:
        from crmcli.channels.mail import send_mail

        send_mail(channel, message)
    elif channel.kind == URL:
        from crmcli.channels.notification import notify

        notify(channel, message)
    elif channel.kind == DESKTOP:
        from crmcli.channels.desktop import pop_up

        pop_up(message)
    else:
        raise CrmError(f"nothing is sent by {channel.kind}")

"""Notification URLs: a message through what apprise knows how to talk to, such as Telegram, Matrix or ntfy."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from crmcli.errors import InputError, UndeliveredError

if TYPE_CHECKING:
    from crmcli.model.channels import Channel, Message


def require_known(url: str) -> None:
    """Raise InputError for a URL that apprise, where it is installed, does not know."""
    try:
        import apprise
    except ImportError:
        return
    logging.getLogger("apprise").disabled = True
    try:
        is_known = apprise.Apprise().add(url)
    except Exception:  # noqa: BLE001 - a hundred plugins, and what one of them says may quote the URL
        is_known = False
    if not is_known:
        raise InputError("this is no notification URL that apprise knows", "its wiki has the form of each service's")


def notify(channel: Channel, message: Message) -> None:
    """Send a message to a notification URL. Raises: UndeliveredError if not taken, InputError without the library."""
    try:
        import apprise
    except ImportError as error:
        raise InputError("notification URLs need apprise", "pip install 'crmcli[notify]'") from error
    # It logs the URL, which may hold a password.
    logging.getLogger("apprise").disabled = True
    target = apprise.Apprise()
    try:
        if not target.add(channel.options["url"]):
            raise UndeliveredError("this is no notification URL that apprise knows")
        taken = target.notify(title=message.subject, body=message.body, body_format=apprise.NotifyFormat.TEXT)
    except UndeliveredError:
        raise
    except Exception as error:
        # A hundred plugins, and what one of them says may quote the URL.
        raise UndeliveredError(f"apprise failed: {type(error).__name__}") from error
    if not taken:
        raise UndeliveredError("the notification was not taken")

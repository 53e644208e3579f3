"""The desktop: a message as a notification on the screen of whoever is logged in."""

from __future__ import annotations

import subprocess
from html import escape
from typing import TYPE_CHECKING

from crmcli.errors import UndeliveredError

if TYPE_CHECKING:
    from crmcli.model.channels import Message

_TIMEOUT = 30


def pop_up(message: Message) -> None:
    """Show a message by notify-send. Raises: UndeliveredError if there is no such program or no desktop."""
    # The body is read as markup, the subject is not.
    command = ["notify-send", "--app-name=crmcli", "--", message.subject, escape(message.body, quote=False)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT)  # noqa: S603 - no shell reads it
    except FileNotFoundError as error:
        raise UndeliveredError("there is no notify-send", "Debian has it in libnotify-bin") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise UndeliveredError("notify-send reached no desktop") from error

"""`crmcli schedule run`: run the jobs that are due; for cron or systemd, every minute."""

from __future__ import annotations

import typer


def schedule_run(ctx: typer.Context) -> None:
    """Run each job that is due since it last succeeded on this machine: of slots that were missed it is one.

    A job that never ran here runs at once, the drill once there was a backup, and one that failed is tried again after
    ten minutes. What another run is at is left to that one.
    """
    from crmcli.commands.scheduling import run_due

    run_due(ctx.obj)

"""`crmcli demo`: make a company with a year of history in a folder of its own, and report on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmcli.model import demo as model
from crmcli.session import Session

FOLDER = Path("crmcli-demo", "data")
MOST_CLIENTS = 50_000


def demo(
    ctx: typer.Context,
    seed: Annotated[int, typer.Option(metavar="N", help="another number makes another year")] = 1,
    clients: Annotated[int, typer.Option(metavar="N", min=1, max=MOST_CLIENTS, help="how many clients")] = 600,
) -> None:
    """Make a company that sells tea and coffee, with a year of clients, calls, deals and sales, and report on it.

    The store is made in --store DIR, which must be empty or new, or in crmcli-demo/data here; its identity lies beside
    it in DIR.identity.json, without a passphrase. Your own store and identity are left alone.
    """
    from tempfile import TemporaryDirectory

    # Only what was typed counts here: CRMCLI_STORE and CRMCLI_IDENTITY name the user's own.
    typed = ctx.find_root().params
    place = Path(typed.get("store") or FOLDER).absolute()
    identity = Path(typed.get("identity") or place.with_name(f"{place.name}.identity.json")).absolute()
    with TemporaryDirectory() as scratch:
        memory = Path(scratch)
        crm = Session(place, identity, memory, memory, ctx.obj.now, ctx.obj.output)
        _found(crm, model.founder_id(seed))
        records = model.year(crm.now, seed, clients)
        with crm.writing() as store:
            store.put(*records)
        crm.output.pairs(model.counted(records))
        _report(crm)
    _tell_how_to_go_on(crm)


def _found(crm: Session, founder: int) -> None:
    """Found the store; its recovery key is thrown away, for there is nothing in it to recover."""
    from crmcli.model.demo_words import FOUNDER, PROCESS, SETTINGS
    from crmcli.model.ids import encode_id
    from crmcli.storage.founding import found_store
    from crmcli.storage.identity import Identity, save_identity
    from crmcli.storage.keys import KeyPair, random_bytes

    found_store(
        crm.store_path,
        Identity(encode_id(founder), FOUNDER, KeyPair.generate()),
        random_bytes(32),
        SETTINGS,
        PROCESS,
        crm.now,
        lambda identity: save_identity(crm.identity_path, identity, None),
        (crm.cache, crm.pins),
    )


def _report(crm: Session) -> None:
    """Show the summary of the last whole month and the funnel of the year."""
    from crmcli.commands.reporting import show_funnel, show_summary

    with crm.reading() as store:
        month = model.last_month(crm.now)
        crm.output.line("")
        crm.output.heading(f"report summary --period {month.label}")
        show_summary(crm, store, month, crm.now, "table")
        crm.output.line("")
        crm.output.heading("report funnel")
        show_funnel(crm, store, store.process.pipeline(), None, crm.now, None, "table")


def _tell_how_to_go_on(crm: Session) -> None:
    from shlex import quote

    store, identity = quote(str(crm.store_path)), quote(str(crm.identity_path))
    crm.output.note("To look around in it:")
    crm.output.note(f"  export CRMCLI_STORE={store} CRMCLI_IDENTITY={identity}")
    for command in ("list clients", "find Яшин", "report funnel --by source"):
        crm.output.note(f"  crmcli {command}")

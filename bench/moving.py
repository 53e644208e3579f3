"""The rows about a team: clients change hands, and a member leaves, with all that hangs on the clients."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.measure import Job, Ran, repeat, run, stop
from bench.stores import Bench, Home
from bench.table import Line, memory, time_of


def moving(bench: Bench) -> Iterator[Line]:
    """Move all clients of one manager to another, and remove a manager who has as many.

    There are as many deals, with their first stages, and twice as many sales. Moved rows are encrypted again under the
    keys of the new owner; with `--rewrite` so is whatever else the one who leaves could open. Each run begins with a
    fresh copy of the store whose files this machine has checked.
    """
    people = bench.sizes.people
    home = _filled(bench)
    copy = bench.folder / "moved"
    hand_over = ("transfer", "--from", "Boris", "--to", "Clara")
    remove = ("member", "remove", "Boris", "--to", "Clara")
    for what, arguments in {
        f"transfer of {people:,} clients": hand_over,
        f"removal of who has {people:,} clients": remove,
        f"the same with --rewrite, {people:,} clients": (*remove, "--rewrite"),
    }.items():

        def job(_: int, arguments: tuple[str, ...] = arguments) -> Job:
            fresh = home.copy(copy)
            run(fresh.crmcli(*hand_over, "--dry-run"))
            return fresh.crmcli(*arguments)

        found = repeat(job, bench.sizes.long_runs)
        _require_moved(Home(copy), people)
        yield from _lines(what, found)


def _filled(bench: Bench) -> Home:
    """Return a home in which Boris, a manager beside Clara, has all the clients."""
    people = bench.sizes.people
    home = bench.home("moving")
    fingerprint = _value(run(home.crmcli("identity", "show")), "fingerprint")
    for name in ("Boris", "Clara"):
        card = home.folder / f"{name}.card"
        for arguments in (("new", "--name", name, "--no-passphrase"), ("join", fingerprint), ("card", "--out", card)):
            run(_as(home, name, "identity", *arguments))
        run(home.crmcli("member", "add", name, "--card", card, "--role", "manager"))
    for kind, rows in (("clients", people), ("deals", people), ("sales", 2 * people)):
        run(_as(home, "Boris", "import", kind, bench.csv(kind, rows, 0 if kind == "clients" else people)))
    return home


def _as(home: Home, name: str, *arguments: object) -> Job:
    return home.crmcli("--identity", home.folder / f"{name}.json", *arguments)


def _value(ran: Ran, name: str) -> str:
    said = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    return said[name]


def _require_moved(home: Home, people: int) -> None:
    """Stop unless the new owner has all the clients, as the new owner's own key tells."""
    listed = run(_as(home, "Clara", "list", "clients", "--format", "ids"))
    if len(listed.out.split()) != people:
        stop(f"{people} clients were to be moved, and Clara sees others")


def _lines(what: str, found: list[Ran]) -> Iterator[Line]:
    yield Line(what, time_of(median(ran.seconds for ran in found)), "", missed=False)
    yield Line(f"memory of {what}", memory(max(ran.peak for ran in found)), "", missed=False)

"""What was taken back after a snapshot and comes back with it: memberships, roles, allowances, grants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmcli.storage.backups.lineage import Chain, Moment
    from crmcli.storage.members import Grant, Member
    from crmcli.storage.state import State


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """`commands` are what an admin runs to take back what each member got back; `grants` are id -> how each ended."""

    commands: tuple[tuple[str, str], ...] = ()
    grants: tuple[tuple[str, str], ...] = ()

    def notes(self, *, is_revoked: bool) -> Iterator[str]:
        """Yield what to say to who restored; `is_revoked` says whether the grants are revoked in what was restored."""
        for why, command in self.commands:
            yield f"{why}: {command}"
        for grant, how in self.grants:
            now = "revoked in it" if is_revoked else f"open again: crmcli grant revoke {grant}"
            yield f"grant {grant} was {how} since, and is {now}"


def withdrawn(moment: Moment, later: Sequence[Chain]) -> Withdrawn:
    """Return what the logs that go on from a moment of a store took back since; roles are those of the longest."""
    if not later:
        return Withdrawn()
    states = [chain.state for chain in later]
    last = max(states, key=lambda state: state.seq)
    commands: list[tuple[str, str]] = []
    for member, then in sorted(moment.members.items()):
        if not then.active:
            continue
        if not all(state.members[member].active for state in states):
            takers = [chain.takers[member] for chain in later if member in chain.takers]
            handing = f" --to {takers[-1]}" if takers and takers[-1] in moment.members else ""
            commands.append(("removed since, and a member again", f"crmcli member remove {member}{handing}"))
        else:
            commands += _lessened(then, last.members[member], last)
    ended: dict[str, str] = {}
    for name, grant in sorted(moment.grants.items()):
        if not _ended(grant) and grant.expires > moment.at:
            ended[name] = max(_ended(state.grants[name]) for state in states)
    return Withdrawn(tuple(commands), tuple((name, how) for name, how in ended.items() if how))


def _lessened(then: Member, since: Member, state: State) -> Iterator[tuple[str, str]]:
    """Yield why and how a member's rights of before are to be made those of since, if the member had more."""
    if then.role != since.role:
        yield "given another role since", f"crmcli member role {then.member} {since.role}"
        return
    words = []
    for name in ("read", "personal"):
        before, books = getattr(then, name), getattr(since, name)
        if not set(before) <= set(books):
            words += [f"--{name} {state.books[book].owner}" for book in books] or [f"--no-{name}"]
    if then.dispatcher and not since.dispatcher:
        words.append("--no-dispatcher")
    if words:
        yield "allowed less since", f"crmcli member allow {then.member} {' '.join(words)}"


def _ended(grant: Grant) -> str:
    if grant.revoked:
        return "revoked"
    return "used" if grant.once and grant.used else ""

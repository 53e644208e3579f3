"""Two stores that differ only in what one manager has: in one a colleague has clients, in the other there are none.

The colleague's clients are made as like the manager's own as can be: ids that begin alike, the same phones, names and
e-mails, some given away by the manager, some archived, one erased.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crmcli.model.ids import encode_id
from crmcli.storage import cards
from crmcli.storage.identity import new_member_id
from tests.storage.company import Company, Result
from tests.team.thief import commits

ME, COLLEAGUE = "manager", "colleague"
TEXT = "тайна-zqx"
THEIRS = (
    ("Zqxbert Markerov", "+79167773142", "zqxbert@marker.example", "7739123456", "K-zqx-1"),
    ("Щукарёв Ъмаркер", "+79167773143", "zqx2@marker.example", None, "K-zqx-2"),
    ("Anna Petrova", "+79161234567", "anna@example.com", None, None),
)


class Desk(Company):
    """A company whose ids follow from a seed, so that the same commands make the same ids."""

    def environment(self, who: str) -> dict[str, str]:
        return super().environment(who) | {
            "CRMCLI_SEED": "7",
            "COLUMNS": "100",
            "CRMCLI_BACKUPS": str(self.folder / "backups"),
        }

    def done(self, *arguments: str, who: str = ME) -> str:
        """Run a command that has to succeed."""
        result = self.crmcli(*arguments, who=who)
        assert result.code == 0, (arguments, result)
        return result.out


@dataclass(frozen=True)
class Twins:
    """The store with the colleague's clients and the one without, and what somebody might guess of them."""

    full: Desk
    bare: Desk
    guesses: dict[str, list[str]]

    def both(self, arguments: Sequence[str], who: str = ME) -> tuple[Any, Any]:
        """Run a command in both and return what came of it: code, stdout, stderr and files, but for the folder."""
        ends = []
        for desk in (self.full, self.bare):
            here = [word.replace("FOLDER", str(desk.folder)) for word in arguments]
            ends.append(_observed(desk, desk.crmcli(*here, who=who)))
        return ends[0], ends[1]

    def catch_up(self) -> None:
        """Bring the log of the bare store to the same length by commits that change nothing."""
        seq = self.full.open().state.seq
        while self.bare.open().state.seq < seq:
            self.bare.append(COLLEAGUE, "reveal", body={"reveal": {"clients": [new_member_id()]}})
        assert self.bare.open().state.seq == seq


def _observed(desk: Desk, result: Result) -> tuple[int, str, str, dict[str, bytes]]:
    """Return all that a user may look at afterwards; what was exported is taken away, for the next one."""
    out = desk.folder / "out"
    files = {path.name: _opened(path) for path in out.iterdir()}
    shutil.rmtree(out)
    out.mkdir()
    plain = (text.replace(str(desk.folder), "FOLDER") for text in (result.out, result.err))
    return (result.code, *plain, files)  # type: ignore[return-value]


def _opened(path: Path) -> bytes:
    """Return what is in a file; of a sealed one, only how long it is."""
    raw = path.read_bytes()
    return raw if b"crmcli-sealed" not in raw[:64] else b"%d" % len(raw)


def make_twins(founded: Company, folder: Path) -> Twins:
    """Make both stores from one in which the manager has clients."""
    start = Desk(Path(shutil.copytree(founded.folder, folder / "both")))
    for n, (name, phone) in enumerate((("Anna Petrova", "8 916 123-45-67"), ("Boris Orlov", "8 916 765-43-21"))):
        start.done(
            "add-client", name, "--phone", phone, "--email", f"{name[:4].lower()}@example.com", "--source", "web"
        )
        start.done("log-call", name, "in", "--said", "wants tea", "--promise", "send prices", "--due", "fri 10:00")
        start.done("log-sale", name, f"{n + 1}000", "--item", "tea:1:1000")
        start.done("advance-stage", name)
    start.done("add-client", "Ivan Archived", "--segment", "business")
    start.done("archive", "Ivan")
    manager = start.identity(ME).member
    start.done("grant", "export", "--to", manager, "--expires", "2026-04-01", who="admin")
    (start.folder / "out").mkdir()
    full = Desk(Path(shutil.copytree(start.folder, folder / "full")))
    bare = Desk(Path(shutil.copytree(start.folder, folder / "bare")))
    gone, erased = _fill(full)
    twins = Twins(full, bare, _guesses(full, gone, erased))
    twins.catch_up()
    for desk in (full, bare):
        _lay_out_files(desk)
        # The last of what the manager did is about a client who is still there.
        desk.done("add-deal", "Boris Orlov")
    return twins


def _fill(desk: Desk) -> tuple[int, int]:
    """Give the colleague clients; return the ids of the one that the manager gave away and of the one erased."""
    _put_look_alikes(desk)
    rows = [
        f"{name},{phone},{email},{tax_id or ''},{TEXT},{external or ''}"
        for name, phone, email, tax_id, external in THEIRS
    ]
    sheet = desk.folder / "theirs.csv"
    sheet.write_text("\n".join(["name,phone,email,tax_id,note,external_id", *rows[:2], ""]), encoding="utf-8")
    desk.done("import", "clients", str(sheet), who=COLLEAGUE)
    sheet.unlink()
    desk.done("add-client", "Zed Zqx", "--phone", "+79167773149", who=ME)
    desk.done("log-call", "Zed", "out", "--said", TEXT, who=ME)
    gone = desk.view(ME).client("Zed").client_id
    manager, colleague = (desk.identity(who).member for who in (ME, COLLEAGUE))
    desk.done("transfer", "--from", manager, "--to", colleague, "Zed", who="admin")
    desk.done("add-client", "Erased Zqx", "--phone", "+79167773148", who=COLLEAGUE)
    erased = desk.view(COLLEAGUE).client("Erased").client_id
    desk.done("erase", "Erased", "--yes", who="admin")
    desk.done("log-sale", "Zqxbert", "700", "--item", f"{TEXT}:1:700", who=COLLEAGUE)
    desk.done("add-deal", "Щукарёв", "--interest", TEXT, who=COLLEAGUE)
    desk.done("advance-stage", "Щукарёв", "--lost", "price", "--return", "+1w", "--note", TEXT, who=COLLEAGUE)
    return gone, erased


def _put_look_alikes(desk: Desk) -> None:
    """Give the colleague the manager's records again, under ids that begin like theirs."""
    mine = desk.view(ME)
    session = desk.session(COLLEAGUE)
    me = session.store().member_number
    alike = {number: number ^ 1 for table in IDS for number in ids(desk, ME, table)}
    with session.writing() as draft:
        for record in [r for table in IDS for r in mine.records(table)]:
            copy = {name: alike[value] for name, value in fields(record).items() if value in alike}
            people = {"owner_id", "created_by", "by_id", "assignee_id"} & fields(record).keys()
            draft.put(replace(record, **copy, **dict.fromkeys(people, me)))


IDS = ("clients", "contacts", "notes", "deals", "stage_changes", "activities", "sales", "sale_lines", "reminders")


def fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in type(record).__dataclass_fields__}


def ids(desk: Desk, who: str, table: str) -> list[int]:
    """The ids of the records of a table that a member sees."""
    from crmcli.storage.tables import TABLES

    return [getattr(record, TABLES[table].key) for record in desk.view(who).records(table)]


def _guesses(full: Desk, gone: int, erased: int) -> dict[str, list[str]]:
    mine = {table: set(ids(full, ME, table)) for table in IDS}
    theirs = {table: [encode_id(n) for n in ids(full, COLLEAGUE, table) if n not in mine[table]] for table in IDS}
    clients = [name for name in theirs["clients"] if name[:6] not in {encode_id(n)[:6] for n in mine["clients"]}]
    me = full.identity(ME).member
    others = [str(commit["seq"]) for commit in commits(full.root) if commit["author"] != me]
    people = ["Zqxbert", "zqxbert markerov", "Щукарёв", "щук", "Zed", "8 (916) 777-31-42", "9167773142", "7773142"]
    people += ["zqxbert@marker.example", "K-zqx-1", "7739123456", TEXT, "marker", "3142"]
    whole = [*clients, encode_id(gone), encode_id(erased)]
    alike = [name for name in theirs["clients"] if name not in clients]
    return {
        "who": [*whole, *(name[:6] for name in whole), *alike, *(name[:11] for name in alike), *people, "Anna", "Ivan"],
        "mine": ["Anna"],
        "deal": [theirs["deals"][0], theirs["deals"][-1], theirs["deals"][-1][:6]],
        "sale": [theirs["sales"][0], theirs["sales"][-1], theirs["sales"][-1][:6]],
        "activity": [theirs["activities"][0], theirs["activities"][-1][:6]],
        "commit": [others[0], *others[-6:]],
        "reminder": [theirs["reminders"][0], theirs["reminders"][-1], theirs["reminders"][-1][:6]],
        "name": ["Zqxbert Markerov"],
        "phone": ["+79167773142", "8 916 777 31 49", "+79167773148"],
        "email": ["zqxbert@marker.example"],
        "tax_id": ["7739123456"],
        "text": [TEXT, "777314", "zqx", "tea"],
        "person": ["Ada", full.identity(COLLEAGUE).member],
        "grant": ["ABCDEFGHJKMN"],
        "rows": ["clients", "deals", "calls", "sales", "stages"],
        "file": ["FOLDER/theirs.csv", "FOLDER/by_phone.csv"],
        "out": ["FOLDER/out/out"],
        "restored": ["FOLDER/restored"],
        "card": ["FOLDER/homes/admin/card.json"],
        "process": ["FOLDER/process.toml"],
    }


def _lay_out_files(desk: Desk) -> None:
    """Write the files that commands are given: lists that name the colleague's clients, a card, a process."""
    lines = ["client,name,phone,email,external_id,deal,stage,direction,called_at,sold_at,opened_at,changed_at,amount"]
    moments = "2026-02-01,2026-02-01,2026-02-01,2026-02-01,100"
    for file, column in (("theirs.csv", 4), ("by_phone.csv", 1)):
        rows = [f"{them[column] or them[1]},{them[0]},{them[1]},{them[2]},R-{n},K-zqx-1,discovery,in,{moments}"
                for n, them in enumerate(THEIRS)]  # fmt: skip
        (desk.folder / file).write_text("\n".join([*lines, *rows, ""]), encoding="utf-8")
    store = desk.open().state.store
    (desk.home("admin") / "card.json").write_text(cards.card_json(store, desk.identity("admin")))
    (desk.folder / "process.toml").write_text(desk.done("process", "show"))

"""After every command that writes: nothing personal in names of files, in the log, or in facts, even decrypted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crmcli.commands import COMMANDS
from crmcli.model import channels, delivering, records
from crmcli.model.process import DEFAULT
from crmcli.model.reminding import CAUSES
from crmcli.storage import cards, log
from crmcli.storage.identity import Identity, save_identity
from crmcli.storage.tables import FACTS, TABLES
from tests.storage.company import Company, problems
from tests.storage.test_secrets import forms, require_words_of_the_format
from tests.team.thief import commits, readable, unwrapped

NAME, CYRILLIC, FIRM = "Zqxbert Markerov", "Щукарёв Ъмаркер", "Zqx & Söhne"
PHONE, EMAIL, TAX, EXTERNAL = "+79167773142", "zqxbert@marker.example", "7739123456", "K-zqx-7"
SAID, ITEM, PURPOSE, ADDRESS = "said zqx", "item zqx", "purpose zqx", "Zqx street 7"
SECRETS = (NAME, CYRILLIC, FIRM, PHONE, PHONE[2:], EMAIL, TAX, EXTERNAL, SAID, ITEM, PURPOSE, ADDRESS, "zqx", "маркер")
CLIENTS = f"""name,phone,phone2,email,company,tax_id,address,interest,note,external_id,owner
{NAME} 2,+79167773143,+79167773144,2{EMAIL},{FIRM},77391234567,{ADDRESS},{SAID},{SAID},{EXTERNAL},{NAME} the seller
{CYRILLIC} 2,+79167773145,,,,,,,,K-zqx-8,
"""
DEALS = f"client,stage,external_id,title,amount\n{EXTERNAL},discovery,D-zqx,{SAID},100\n"
STAGES = f"deal,stage,changed_at,by\nD-zqx,proposal,2026-02-20,{NAME} the seller\n"
CALLS = f"client,direction,called_at,said,by,external_id\n{EXTERNAL},in,2026-02-20,{SAID},{NAME} the seller,C-zqx\n"
SALES = f"client,sold_at,amount,item,external_id\n{EXTERNAL},2026-02-20,100,{ITEM},S-zqx\n"
# Everything that the commands below are typed with, in turn: who, and what; braces stand for ids that came up before.
STORY = (
    ("admin", "settings set record_reveals on"),
    ("admin", "process apply {process}"),
    ("admin", "member add Nadia --card {card} --role manager"),
    ("admin", "member role Nadia lead"),
    ("admin", "member allow Nadia --read {manager}"),
    ("manager", "add-client|{NAME}|--phone|{PHONE}|--email|{EMAIL}|--company|{FIRM}|--tax-id|{TAX}|--note|{SAID}"),
    ("manager", "add-client|{CYRILLIC}|--interest|{SAID}|--buy-by|1.04"),
    ("manager", "add-deal|{NAME}|--interest|{SAID}|--note|{SAID}"),
    ("manager", "log-call|{PHONE}|in|--said|{SAID}|--promise|{SAID}|--due|fri 10:00"),
    ("manager", "log-call|+79167773149|in|--new|{NAME} 3|--about|{SAID}|--due|fri"),
    ("manager", "log-activity|{EMAIL}|meeting|--said|{SAID}"),
    ("manager", "log-sale|{NAME} 3|700|--item|{ITEM}:2:350|--unlisted|--next|1.05"),
    ("manager", "advance-stage|{CYRILLIC}|--note|{SAID}"),
    ("manager", "advance-stage|{CYRILLIC}|--lost|price|--return|+2w|--note|{SAID}"),
    ("manager", "void {sale}"),
    ("manager", "archive|{CYRILLIC}"),
    ("manager", "unarchive|{CYRILLIC}"),
    ("manager", "edit-client|{NAME}|--company|{FIRM} 2|--phone|+79167773151"),
    ("manager", "edit-deal|{NAME}|--deal|{deal}|--interest|{SAID}"),
    ("manager", "add-reminder|{NAME}|{SAID}|--due|today 11:00|--every|30d|--promise"),
    ("manager", "remind --format json"),
    ("manager", "set-cadence|{NAME}|30d"),
    ("manager", "snooze|{reminder}|+2w"),
    ("manager", "done|{reminder}|--log-call|answered|--said|{SAID}"),
    ("manager", "client period|{NAME}|--set|45d"),
    ("admin", "products set Coffee --new --price 10"),
    ("admin", "norms"),
    ("manager", "reactivate plan"),
    ("admin", "schedule set remind|*/5 * * * *"),
    ("manager", "show|{NAME} 3"),
    ("manager", "log-call|{PHONE}|out|--said|{SAID}"),
    ("manager", "undo --format json"),
    ("admin", "import clients {clients}"),
    ("admin", "import deals {deals}"),
    ("admin", "import stages {stages}"),
    ("admin", "import calls {calls}"),
    ("admin", "import sales {sales}"),
    ("admin", "grant export --to {manager}|--purpose|{PURPOSE}|--columns|name,phone"),
    ("manager", "export clients --out {out} --for crm"),
    ("manager", "list clients --reveal"),
    ("admin", "grant erase --to {manager}|--purpose|{PURPOSE}"),
    ("manager", "erase|{NAME} 3|--yes"),
    ("admin", "gc"),
    ("admin", "grant revoke {grant}"),
    ("admin", "canary plant --email-domain zqx.example"),
    ("admin", "transfer --from {manager} --to Nadia|{CYRILLIC}"),
    ("admin", "erase|{CYRILLIC} 2|--yes"),
    ("admin", "member remove {manager} --to Nadia --rewrite"),
    ("admin", "doctor --quarantine {unreadable}"),
)
# These write nothing into the store at hand.
READING = {
    *("process check", "process edit"),
    *(
        "init",
        "demo",
        "find",
        "report funnel",
        "report stages",
        "report summary",
        *("report sales", "report calls", "report sources", "report lost", "report managers"),
        "grant list",
        "settings show",
        "process show",
    ),
    *("identity new", "identity show", "identity join", "identity card", "identity passphrase", "identity open"),
    # Of these, what is private lies beside the identity.
    *("channel add", "channel list", "channel test", "channel remove"),
    *("schedule install", "schedule show"),
    *(name for name in COMMANDS if name.startswith("backup ")),
    *("expected", "prep", "products", "reactivate", "reactivate result", "report periods", "report repeat", "suggest"),
    *("member list", "member show", "audit", "history", "trash", "agenda", "canary list", "canary who", "verify"),
}
# Write what `member add` does, what the jobs that are due do, and a commit into another folder.
ELSEWHERE = {"identity recover", "schedule run", "restore"}


@dataclass
class Scene:
    """A company in which the story happens, and what its commands are given."""

    company: Company
    known: dict[str, str] = field(default_factory=dict)

    def words(self, line: str) -> list[str]:
        head, *rest = line.split("|")
        spaced = head.split(" ") if len(head.split(" ")) > 1 else [head]
        return [word.format_map(self.known) for word in (*spaced, *rest)]

    def lay_out(self, folder: Path) -> None:
        """Write the files that commands are given."""
        sheets = {"clients": CLIENTS, "deals": DEALS, "stages": STAGES, "calls": CALLS, "sales": SALES}
        for name, text in sheets.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "process").write_text(self.company.crmcli("process", "show").out)
        state = self.company.open().state
        nadia = Identity.new("Nadia")
        (folder / "card").write_text(cards.card_json(state.store, nadia))
        save_identity(folder / "nadia.json", nadia, None)
        texts = {name: value for name, value in globals().items() if name.isupper() and isinstance(value, str)}
        files = {name: str(folder / name) for name in (*sheets, "process", "card", "out")}
        self.known = texts | files | {"manager": self.company.identity("manager").member}

    def look(self) -> None:
        """Learn the ids that came up."""
        view = self.company.view()
        from crmcli.model.ids import encode_id

        sales = view.records("sales")
        self.known["sale"] = encode_id(sales[0].sale_id) if sales else ""
        for name, table, key in (("deal", "deals", "deal_id"), ("reminder", "reminders", "reminder_id")):
            rows = [row for row in view.records(table) if row.status == "open"]
            self.known[name] = encode_id(getattr(rows[0], key)) if rows else ""
        self.known["grant"] = next(iter(view.store.state.grants), "")


@pytest.fixture(scope="module")
def scene(founded: Company, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    import shutil

    folder = tmp_path_factory.mktemp("traces")
    scene = Scene(Company(Path(shutil.copytree(founded.folder, folder / "company"))))
    (folder / "given").mkdir()
    scene.lay_out(folder / "given")
    for who, line in STORY:
        scene.look()
        if "{unreadable}" in line:
            scene.known["unreadable"] = _unreadable(scene.company)
        result = scene.company.crmcli(*scene.words(line), who=who)
        assert result.code == 0, (who, line, result)
    return scene


def _unreadable(company: Company) -> str:
    """A file that a colleague signs and nobody can read."""
    entry = company.place(b"no rows", company.book("colleague"))
    company.append("colleague", add=(entry,))
    return f"files/{entry.file_id[:2]}/{entry.file_id}.parquet"


def test_every_command_is_in_the_story_or_writes_nothing() -> None:
    lines = [f"{line.replace('|', ' ')} " for _, line in STORY]
    told = {max((name for name in COMMANDS if line.startswith(f"{name} ")), key=len) for line in lines}
    assert sorted([*told, *READING, *ELSEWHERE]) == sorted(COMMANDS)


def test_the_story_left_a_sound_store_with_all_kinds_of_commits(scene: Scene) -> None:
    assert problems(scene.company) == []
    made = {commit["type"] for commit in commits(scene.company.root)}
    assert made == set(log.BODIES) - {"restore"}


def test_no_file_or_name_of_one_holds_what_was_typed(scene: Scene) -> None:
    for path in scene.company.root.rglob("*"):
        content = str(path.relative_to(scene.company.root)).encode()
        content += path.read_bytes() if path.is_file() else b""
        # Three letters come up by chance in what is encrypted.
        for secret in (secret for secret in SECRETS if len(secret) > 3):
            assert not any(form in content for form in forms(secret)), (path, secret)


def test_log_is_ids_numbers_times_and_words_of_the_format(scene: Scene) -> None:
    require_words_of_the_format(scene.company.log)


@pytest.fixture(scope="module")
def facts(scene: Scene) -> dict[str, list[dict[str, Any]]]:
    """All rows of facts that the admin's keys open in any file still there, present or not: table -> rows."""
    company = scene.company
    entries = {entry["file_id"]: entry for commit in commits(company.root) for entry in commit["add"]}
    opened = readable(company.root, unwrapped(company.root, company.identity()))
    rows: dict[str, list[dict[str, Any]]] = {}
    for file_id, found in opened.items():
        if entries[file_id]["group"] == FACTS:
            rows.setdefault(entries[file_id]["table"], []).extend(found)
    return rows


def test_decrypted_facts_hold_nothing_that_was_typed(facts: dict[str, list[dict[str, Any]]]) -> None:
    assert facts.keys() == {table.name for table in TABLES.values() if table.group == FACTS}
    text = json.dumps(facts, default=str, ensure_ascii=False).casefold()
    assert [secret for secret in SECRETS if secret.casefold() in text] == []


def test_words_in_facts_are_those_of_the_company_s_lists(facts: dict[str, list[dict[str, Any]]]) -> None:
    lists = json.dumps(DEFAULT.to_plain(), ensure_ascii=False)
    known = set(re.findall(r'"([^"]*)"', lists)) | set(_words_of(vars(records).values()))
    known |= {"won", "lost", "open", "forward", "skip", "back", "reopen"}
    found = {cell for rows in facts.values() for row in rows for cell in row.values() if isinstance(cell, str)}
    known |= set(CAUSES) | set(_words_of(vars(channels).values())) | set(_words_of(vars(delivering).values()))
    # How often something repeats is numbers and a date.
    series = {cell for cell in found if re.fullmatch(r"\d+[dwmy]@\d{4}-\d\d-\d\d(T\d\d:\d\d)?\+\d+", cell)}
    assert found - known - series == set()
    assert len(found) > 10


def _words_of(values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from _words_of(value)


def test_purposes_are_in_the_company_s_book_alone(scene: Scene) -> None:
    rows = scene.company.view().records("purposes")
    assert [row.text for row in rows] == [PURPOSE, PURPOSE]

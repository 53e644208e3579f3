"""Nothing that somebody typed about a client lies anywhere in clear, in the store or in any folder of the user's."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from crmcli.model import exporting
from crmcli.storage import log
from crmcli.storage.tables import FACTS, TABLES
from tests.storage.company import Company, problems, quiet_output

NAME = "Zqxbert Markerov"
CYRILLIC = "Щукарёв Ъмаркер"
PHONE, E164 = "8 (916) 777-31-42", "+79167773142"
EMAIL = "zqxbert@marker.example"
SAID = "said-zqx-marker"
PROMISED = "promised-zqx-marker"
COMPANY = "Marker & Zqx Ltd"
SECRETS = (NAME, CYRILLIC, PHONE, E164, E164[1:], EMAIL, SAID, PROMISED, COMPANY, "7739123456", "item-zqx-marker")
SHEET = f"name,phone,email,note\n{NAME} 2,+79167773143,2{EMAIL},{SAID}\n"

# What the log may hold: ids, hashes, keys, instants, numbers and the words of the format.
SHAPES = (
    log.HEX32,
    log.HEX64,
    log.ID,
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    re.compile(r"[0-9a-f]{128}"),  # a proof
)
KEYS = {"mlkem", "wrap", "sealed"}
WORDS = {
    *log.BODIES,
    *log.KINDS,
    *TABLES,
    *("facts", "personal", "company", "member", "inbox"),
    *("add", "role", "remove", "allow", "give", "revoke"),
    *("admin", "manager", "lead", "analyst", "service"),
    *("export", "erase"),
    # What a grant may be limited to.
    *exporting.WORDS,
}


def forms(secret: str) -> list[bytes]:
    texts = {secret, secret.casefold(), secret.upper(), json.dumps(secret)[1:-1]}
    return [text.encode(code) for text in texts for code in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")]


def leaks(folder: Path) -> list[str]:
    """The files under a folder that hold a secret in any form, in their names or their bytes."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        content += str(path).encode()
        found += [f"{path}: {secret}" for secret in SECRETS if any(form in content for form in forms(secret))]
    return found


def test_no_file_holds_what_was_typed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = company.folder / "temporary"
    temporary.mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    outside = company.folder.parent / "leads.csv"
    outside.write_text(SHEET, encoding="utf-8")
    commands = [
        ["add-client", NAME, "--phone", PHONE, "--email", EMAIL, "--company", COMPANY, "--note", SAID],
        ["add-client", CYRILLIC, "--interest", SAID, "--tax-id", "7739123456", "--buy-by", "2026-04-01"],
        ["log-call", PHONE, "in", "--said", SAID, "--promise", PROMISED, "--due", "2026-03-09"],
        ["log-call", EMAIL, "out", "--result", "busy", "--about", SAID],
        ["log-activity", NAME, "meeting", "--said", SAID],
        ["log-sale", NAME, "700", "--item", "item-zqx-marker:2:350", "--next", "2026-05-01"],
        ["advance-stage", NAME, "--note", SAID],
        ["advance-stage", CYRILLIC, "--won", "1200"],
        ["add-deal", NAME, "--interest", SAID, "--note", PROMISED],
        ["process", "show"],
        ["show", NAME],
        ["find", SAID],
        ["list", "clients"],
        ["list", "clients", "--format", "json"],
        ["report", "funnel"],
        ["report", "summary"],
        ["import", "clients", str(outside)],
        ["gc"],
        ["doctor"],
        ["verify"],
    ]
    shown = ""
    for arguments in commands:
        result = company.run(*arguments)
        assert result.code in (0, 6), (arguments, result)
        shown += result.out
    assert NAME in shown
    # Failures leave nothing behind either, nor do they repeat what others typed.
    for arguments in (
        ["add-client", "Other", "--phone", PHONE],
        ["log-sale", NAME, "nonsense"],
        ["show", "nobody-zqx"],
    ):
        assert company.run(*arguments).code in (2, 3, 4)
    [sale] = company.view().of_client("sales", company.view().client(NAME).client_id)
    from crmcli.model.ids import encode_id

    assert company.run("void", encode_id(sale.sale_id)).code == 0
    assert leaks(company.folder) == []
    assert list(temporary.rglob("*")) == []
    assert {path.name for path in company.folder.parent.iterdir()} == {company.folder.name, outside.name}
    # The search itself finds what is there.
    (temporary / "probe").write_bytes(E164.encode("utf-16-le"))
    assert len(leaks(company.folder)) == 2


def test_large_tables_do_not_show_either(company: Company) -> None:
    from crmcli.model.records import Contact
    from crmcli.storage import upkeep

    session = company.session(output=quiet_output())
    with session.writing() as draft:
        draft.put(*(Contact(key, f"{NAME} {key}", phones=(E164,), emails=(EMAIL,)) for key in range(1, 3000)))
    store = company.open()
    from crmcli.session import new_op_id
    from tests.storage.company import NOW

    upkeep.compact(store, store.state.entries("contacts"), new_op_id(), NOW)
    store.close()
    assert leaks(company.folder) == []


def test_facts_hold_no_free_text() -> None:
    kinds = {
        (table.name, column): kind
        for table in TABLES.values()
        if table.group == FACTS
        for column, kind in table.kinds.items()
    }
    assert set(kinds.values()) <= {"int", "bool", "Value", "datetime", "date", "Decimal", "Quantity"}
    assert {table.name for table in TABLES.values() if table.group == FACTS} == {
        *("clients", "deals", "stage_changes", "activities", "sales", "sale_lines", "reminders", "deliveries"),
        "canaries",
    }


def strings(document: Any, key: str = "") -> list[tuple[str, str]]:
    match document:
        case dict():
            return [pair for name, cell in document.items() for pair in [("", name), *strings(cell, name)]]
        case list():
            return [pair for cell in document for pair in strings(cell, key)]
        case str():
            return [(key, document)]
    return []


def require_words_of_the_format(folder: Path) -> None:
    """Check that a log holds ids, numbers, times, keys and the words of its format, and nothing else."""
    fields = {*log._COMMON, *log._ENTRY, *(name for names in log.BODIES.values() for name in names)}
    fields |= {"action", "member", "role", "keys", "proof", "sign", "mlkem", "x25519", "kind", "owner", "wraps", "wrap"}
    fields |= {"key_id", "sealed", "group", "book", "epoch", "drop", "read", "personal", "dispatcher"}
    fields |= {"grant", "to", "right", "books", "columns", "max_rows", "expires", "once", "rows", "sha256"}
    fields |= {"client", "clients", "files", "from"}
    for _, raw in log.read_from(folder, 1):
        for key, text in strings(json.loads(raw.split(b"\n")[0])):
            known = text in (fields if not key else WORDS) or any(shape.fullmatch(text) for shape in SHAPES)
            assert known or key in KEYS, (key, text)
            assert key not in KEYS or re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", text)


def test_log_holds_ids_numbers_times_and_words_of_the_format_only(company: Company) -> None:
    company.crmcli("add-client", NAME, "--phone", PHONE, "--note", SAID, who="manager")
    company.crmcli("log-sale", NAME, "700", "--item", "item-zqx-marker:2:350", who="manager")
    require_words_of_the_format(company.log)
    assert problems(company) == []


def test_files_are_private(company: Company) -> None:
    company.crmcli("add-client", NAME)
    company.open().close()
    for path in [
        company.root,
        *company.root.rglob("*"),
        *company.home("admin").rglob("*.json"),
        *company.home("admin").rglob("*.pin"),
    ]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path

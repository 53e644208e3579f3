"""What is exported for another program comes back through an import: into an empty store, the same clients."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from crmcli.storage.tables import TABLES
from tests.storage.company import Company

CLIENTS = (
    ("Anna Petrova", "--phone", "8 916 123-45-67", "--email", "anna@example.com", "--source", "web"),
    ("=cmd|' /C calc'!A0", "--phone", "+79161234568", "--company", 'Rose, "LLC"; & co', "--tax-id", "7701234567"),
    (
        "Юрий\u202e Белов",
        "--email",
        "yuri@example.com",
        "--note",
        "строка\nвторая; \"q\", 'a'",
        "--interest",
        "чай\t20",
    ),
    ("@Only Name", "--buy-by", "2026-04-15", "--segment", "private"),
)
KINDS = ("clients", "deals", "calls", "sales")
# What an import makes anew: ids, and what comes with them.
ANEW = {f"{name}_id" for name in ("client", "deal", "activity", "sale")} | {"refund_of"}


def fill(company: Company) -> None:
    for arguments in CLIENTS:
        assert company.crmcli("add-client", *arguments).code == 0
    rows = "name,phone,phone2,email,email2,external_id,created_at\n"
    rows += "Twice,+79160000001,+79160000002,a@b.ru,c@d.ru,shop:17,2024-05-06T07:08:09.123456+05:00\n"
    (company.folder / "in-clients.csv").write_text(rows)
    assert company.crmcli("import", "clients", str(company.folder / "in-clients.csv")).code == 0
    deals = "client,stage,opened_at,closed_at,closed_from,amount,external_id,title\n"
    deals += "shop:17,won,2025-01-02,2025-02-03,closing,1000.50,d1,Spring; order\n"
    deals += "Anna Petrova,lost,2025-01-02,2025-02-03,proposal,,d2,\n"
    (company.folder / "in-deals.csv").write_text(deals)
    assert company.crmcli("import", "deals", str(company.folder / "in-deals.csv"), "--with-sales").code == 0
    assert company.crmcli("log-call", "Anna", "in", "--said", '-1 = "hello"\n;', "--minutes", "2").code == 0
    assert company.crmcli("log-sale", "Only", "12.34").code == 0
    assert company.crmcli("log-sale", "Юрий", "700", "--item", "=tea, green:2:350").code == 0
    assert company.crmcli("void", company.crmcli("log-sale", "Anna", "1", "--format", "ids").out.split()[0]).code == 0


def export(company: Company, kind: str, out: str, form: str = "csv") -> Path:
    path = company.folder / out
    arguments = ("export", kind, "--out", str(path), "--for", "crm", "--format", form, "--yes")
    result = company.crmcli(*arguments)
    assert result.code == 0, result
    return path


def rows(company: Company, kind: str, name: str) -> list[dict[str, Any]]:
    path = export(company, kind, f"{name}-{kind}.jsonl", "jsonl")
    read = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [{column: cell for column, cell in row.items() if column not in ANEW} for row in read]
    return sorted(kept, key=str)


def test_export_imports_into_an_empty_store(founded: Company, tmp_path: Path) -> None:
    first, second = (Company(Path(shutil.copytree(founded.folder, tmp_path / name))) for name in ("first", "second"))
    fill(first)
    for kind in KINDS:
        result = second.crmcli("import", kind, str(export(first, kind, f"{kind}.csv")))
        assert result.code == 0, (kind, result)
        assert rows(second, kind, "out") == rows(first, kind, "out"), kind
    again = second.crmcli("import", "clients", str(first.folder / "clients.csv"))
    assert "new        0\nchanged    0\nunchanged  5\n" in again.out


def test_export_imports_where_it_came_from_and_changes_nothing(founded: Company, tmp_path: Path) -> None:
    company = Company(Path(shutil.copytree(founded.folder, tmp_path / "company")))
    fill(company)
    for kind in KINDS:
        result = company.crmcli("import", kind, str(export(company, kind, f"{kind}.csv")))
        assert "commit      none, nothing changed" in result.out or "none, nothing changed" in result.out, (
            kind,
            result,
        )


def test_every_kind_has_its_columns_in_every_format(founded: Company, tmp_path: Path) -> None:
    company = Company(Path(shutil.copytree(founded.folder, tmp_path / "company")))
    fill(company)
    for kind in (*KINDS, "activities", "reminders", "notes"):
        for form in ("csv", "jsonl", "parquet", "xlsx"):
            export(company, kind, f"all-{kind}.{form}", form)
        count = len((company.folder / f"all-{kind}.jsonl").read_text().splitlines())
        assert count > 0
    assert len(TABLES["contacts"].kinds) == 9, "a new column of contacts has to be exported, too"

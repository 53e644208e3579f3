"""What is refused has the exit code for it, says what to do instead, and leaves the store as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage.company import Company


@pytest.mark.parametrize(
    ("who", "words", "code", "message", "hint"),
    [
        ("analyst", ["log-call", "CLIENT", "in"], 15, "an analyst may not write activities there", "member role"),
        ("lead", ["process", "apply", "PROCESS"], 15, "a lead may not change the process", "an admin"),
        ("manager", ["process", "edit"], 15, "a manager may not change the process", "an admin"),
        ("manager", ["settings", "set", "reveal_rows", "50"], 15, "a manager may not write settings there", "an admin"),
        ("manager", ["settings", "set", "reveal_rows", "7"], 15, "may not write settings", "hint: an admin can"),
        ("analyst", ["settings", "set", "reveal_rows", "7"], 15, "may not write settings", "hint: an admin can"),
        (
            "analyst",
            ["schedule", "set", "remind", "none"],
            15,
            "an analyst may not write settings",
            "hint: an admin can",
        ),
        ("analyst", ["norms"], 15, "", "hint: an admin or a service can"),
        ("manager", ["advance-stage", "Anna", "--won"], 2, "requires an argument", "crmcli advance-stage --help"),
        ("manager", ["report", "funnel", "--by"], 2, "requires an argument", "crmcli report funnel --help"),
        ("manager", ["add-client", "Boris", "--phone", "12ab"], 2, "not a phone number", "code of its country"),
        ("manager", ["add-client", ""], 2, "a client needs a name", "of a person"),
        ("manager", ["import", "clients", "nofile"], 2, "no such file: nofile", "folder that you are in"),
        ("manager", ["identity", "open", "nofile", "--out", "x"], 2, "no such file: nofile", "folder that you are in"),
        ("manager", ["add-client", "Boris", "--buy-by", "вчера"], 2, "2026-03-01 is past", "crmcli log-sale"),
        ("manager", ["edit-client", "Anna", "--buy-by", "01.03.2026"], 2, "2026-03-01 is past", "crmcli log-sale"),
        ("admin", ["grant", "export", "--to", "Ada", "--expires", "2m"], 2, "", "such as 24h, 7d, 2w, or a date"),
    ],
)
def test_refusal_says_what_to_do(
    company: Company, tmp_path: Path, who: str, words: list[str], code: int, message: str, hint: str
) -> None:
    assert company.crmcli("add-client", "Anna", who="manager").code == 0
    client = company.crmcli("find", "Anna", "--format", "ids").out.strip()
    # Unchanged, it would not have to be written.
    (tmp_path / "process.toml").write_text(company.crmcli("process", "show").out)
    places = {"CLIENT": client, "PROCESS": str(tmp_path / "process.toml")}
    before = company.open().state.hash
    result = company.crmcli(*(places.get(word, word) for word in words), who=who)
    told = [line for line in result.err.splitlines() if line.startswith("crmcli: ")]
    assert (result.code, result.out, len(told)) == (code, "", 2), result
    assert message in told[0]
    assert told[1].startswith("crmcli: hint: ")
    assert hint in told[1]
    assert company.open().state.hash == before


def test_buying_today_or_later_is_planned(company: Company) -> None:
    for name, day in (("Anna", "today"), ("Boris", "завтра")):
        assert company.crmcli("add-client", name, "--buy-by", day).code == 0


@pytest.mark.parametrize("out", ["-", "", ".", "/", "/proc/self/x", "/nowhere/x.csv"])
def test_no_grant_is_used_for_a_file_that_cannot_be(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert company.crmcli("add-client", "Anna", who="manager").code == 0
    manager = company.identity("manager").member
    assert company.crmcli("grant", "export", "--to", manager, "--once").code == 0
    result = company.crmcli("export", "--for", "crm", "--out", out, who="manager")
    assert (result.code, result.out, result.err.count("\ncrmcli: hint: ")) == (2, "", 1), result
    assert list(tmp_path.glob("*.csv")) == list(tmp_path.glob("-")) == []
    assert company.crmcli("export", "--for", "crm", "--out", str(tmp_path / "x.csv"), who="manager").code == 0

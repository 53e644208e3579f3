"""Whom reminders reach: the assignee, the client's owner where that one is gone, and never nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.mailing import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Olga, with a client, has given Boris, an admin like her, something to do about that client."""
    with Office(tmp_path).receiving() as office:
        office.run("settings", "set", "send_personal", "on")
        office.run("add-client", "Анна", "--no-deal")
        office.hire("boris", "admin")
        office.run("add-reminder", "Анна", "approve", "--due", "today 11:30", "--assignee", "boris")
        yield office


def agenda(office: Office, who: str, *more: str) -> list[tuple[str, str | None]]:
    rows = office.run("agenda", "--format", "jsonl", *more, who=who).splitlines()
    return [(row["who"], row["instead_of"]) for row in map(json.loads, rows)]


def listed(office: Office, *more: str) -> list[str]:
    return office.run("list", "reminders", "--format", "jsonl", *more).splitlines()


def test_what_was_given_to_who_leaves_is_the_owners_again(office: Office) -> None:
    assert (agenda(office, "olga"), agenda(office, "boris")) == ([], [("boris", None)])
    assert (len(listed(office, "--owner", "boris")), listed(office, "--owner", "olga")) == (1, [])
    assert "reminders given back         1\n" in office.run("member", "remove", "boris")
    assert agenda(office, "olga") == agenda(office, "olga", "--all") == [("olga", "boris")]
    assert [json.loads(row)["owner"] for row in listed(office)] == ["olga"]
    assert listed(office) == listed(office, "--owner", "olga")
    assert listed(office, "--owner", "boris") == []
    assert "overdue, instead of boris\n" in office.run("agenda")
    assert "overdue, instead of boris\n" in office.run("remind")
    assert office.run("remind") == ""
    assert "instead of boris" in office.run("remind", "--digest")
    office.run("done", "1")
    assert agenda(office, "olga") == []
    assert listed(office) == []
    assert len(listed(office, "--owner", "boris", "--status", "done")) == 1


def test_a_message_says_instead_of_whom_it_comes(office: Office) -> None:
    office.run("member", "remove", "boris")
    office.add_channel()
    office.run("remind")
    (text,) = office.mailbox.texts
    assert "Анна  approve  (olga instead of boris)" in text


def test_what_was_given_to_who_opens_the_book_no_more_is_the_owners_again(office: Office) -> None:
    office.run("add-client", "Client of boris", "--no-deal", who="boris")
    office.run("add-reminder", "boris", "his own", "--due", "today 11:30", who="boris")
    process = office.start("member", "role", "boris", "manager")
    _, err = process.communicate()
    assert "reminders of others' clients that are their owners' again: 1\n" in err
    assert agenda(office, "olga") == [("olga", "boris")]
    assert agenda(office, "boris") == [("boris", None)]
    assert sorted(agenda(office, "olga", "--all")) == [("boris", None), ("olga", "boris")]
    assert "his own" in office.run("remind", who="boris")
    out = office.run("remind")
    assert "approve" in out
    assert "his own" not in out


def test_a_service_brings_it_to_the_owner(office: Office) -> None:
    office.hire("robot", "service")
    office.run("member", "allow", "robot", "--personal", "olga")
    office.add_channel("robot", "--for", "olga")
    office.run("member", "remove", "boris")
    office.run("remind", who="robot")
    (text,) = office.mailbox.texts
    assert "(olga instead of boris)" in text


def test_a_service_keeps_from_nobody_what_it_cannot_bring(office: Office) -> None:
    """Whom it has no channel to is told nothing by it, and it claims nothing: the member's own run brings it."""
    office.hire("robot", "service")
    office.hire("clara", "manager")
    office.run("member", "allow", "robot", "--personal", "olga", "--personal", "clara")
    office.run("add-client", "Client of clara", "--no-deal", who="clara")
    office.run("add-reminder", "clara", "call", "--due", "today 11:30", who="clara")
    office.add_channel("robot", "--for", "olga")
    line = "without a channel here, and not told: boris, clara; crmcli channel add KIND --for NAME\n"
    for days, told in ((0, line), (0, ""), (1, line)):
        process = office.start("remind", who="robot", at=timedelta(days=days))
        assert (*process.communicate(), process.returncode) == ("", told, 0)
    process = office.start("remind", "--dry-run", who="robot", at=timedelta(days=1))
    assert line in process.communicate()[1]
    # What is long overdue goes to who leads only by a channel, too; Olga leads here, and is told by mail.
    process = office.start("remind", who="robot", at=timedelta(days=9))
    assert process.communicate()[0] == ""
    assert sum("Client of clara" in text for text in office.mailbox.texts) == 1
    found = office.run("doctor", "--format", "csv", who="robot", code=6)
    assert "members served,attention,no channel for clara: crmcli channel add KIND --for NAME\n" in found
    assert "call" in office.run("remind", who="clara")
    assert "approve" in office.run("remind", who="boris")
    office.add_channel("robot", "--for", "clara")
    assert "members served,ok,all have a channel\n" in office.run("doctor", "--format", "csv", who="robot", code=6)


def test_nobody_is_given_what_they_could_not_close(office: Office) -> None:
    office.hire("lena", "lead")
    office.run("member", "allow", "lena", "--read", "olga")
    process = office.start("add-reminder", "Анна", "call", "--due", "today", "--assignee", "lena")
    _, err = process.communicate()
    assert process.returncode == 5
    assert err.splitlines()[-2:] == [
        "crmcli: error: lena reads of this client, and could not close it",
        "crmcli: hint: its owner and the admins can; crmcli transfer gives a client away",
    ]
    # What she was given as an admin she cannot close as a lead.
    office.run("member", "role", "lena", "admin")
    office.run("add-reminder", "Анна", "call", "--due", "today", "--assignee", "lena")
    office.run("member", "role", "lena", "lead")
    office.run("member", "allow", "lena", "--read", "olga")
    assert agenda(office, "lena") == []
    assert agenda(office, "olga") == [("olga", "lena")]

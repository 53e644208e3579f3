"""Reminders delivered by real processes to a real mail server: once, whole, and never lost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.mailing import Office

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NAME = "Анна «Чайная» Петрова"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    office.server.start()
    office.run("add-client", NAME, "--phone", "8 916 123-45-67", "--no-deal")
    try:
        yield office
    finally:
        office.server.stop()


def remind_of(office: Office, text: str, due: str = "today 11:30", who: str = "olga") -> None:
    office.run("add-reminder", "Анна", text, "--due", due, who=who)


def test_a_reminder_is_mailed_once_with_its_names_intact(office: Office) -> None:
    office.run("settings", "set", "send_personal", "on")
    office.add_channel()
    remind_of(office, "спросить про весну", "today 15:00")
    assert office.run("remind") == ""
    assert office.mailbox.mails == []
    for at in (3 * HOUR, 3 * HOUR + MINUTE, 200 * HOUR):
        assert office.run("remind", at=at) == ""
    (mail,) = office.mailbox.mails
    assert mail["Subject"] == f"crmcli: {NAME}: спросить про весну"
    assert mail["To"] == "olga@example.com"
    assert mail.get_content_charset() == "utf-8"
    text = mail.get_content()
    assert all(part in text for part in ("2026-03-02 15:00", NAME, "+79161234567", "спросить про весну"))
    office.run("verify")


def test_mail_names_nobody_unless_the_company_wants_it(office: Office) -> None:
    office.add_channel()
    remind_of(office, "спросить про весну")
    office.run("remind")
    (raw,) = office.mailbox.raw
    (text,) = office.mailbox.texts
    reminder = office.run("agenda", "--overdue", "--format", "ids").strip()
    assert f"2026-03-02 11:30  overdue  {reminder[:6]}\n" in text
    subject = office.mailbox.mails[0]["Subject"]
    assert subject == "crmcli: 1 reminder is due"
    for secret in ("Анна", "Петрова", "9161234567", "спросить", "Olga"):
        assert secret.encode() not in raw
        assert secret not in text


def test_what_was_due_while_nobody_looked_is_one_message(office: Office) -> None:
    office.add_channel()
    for day in range(1, 5):
        remind_of(office, f"step {day}", f"+{day}d")
    office.run("remind", at=9 * 24 * HOUR)
    (mail,) = office.mailbox.mails
    assert mail["Subject"] == "crmcli: 4 reminders are due"
    office.run("remind", at=9 * 24 * HOUR)
    assert len(office.mailbox.mails) == 1


def test_a_run_killed_before_it_recorded_sends_the_same_message_again(office: Office) -> None:
    office.add_channel()
    remind_of(office, "call")
    process = None
    office.kill_on_mail(lambda: process.pid)  # type: ignore[attr-defined]
    process = office.start("remind")
    process.communicate()
    assert process.returncode == -9
    office.run("remind", at=MINUTE)
    assert len(office.mailbox.mails) == 1
    office.run("remind", at=16 * MINUTE)
    office.run("remind", at=32 * MINUTE)
    first, second = office.mailbox.ids
    assert first == second
    office.run("verify")


def test_runs_at_the_same_time_send_one_message(office: Office) -> None:
    office.add_channel()
    office.mailbox.on_mail = lambda: time.sleep(0.3)
    for round_ in range(3):
        remind_of(office, f"call {round_}")
        processes = [office.start("remind") for _ in range(4)]
        for process in processes:
            _, err = process.communicate()
            assert process.returncode == 0, err
        assert len(office.mailbox.mails) == round_ + 1
    office.run("verify")


def test_what_failed_is_tried_again_later_and_later(office: Office) -> None:
    office.add_channel()
    remind_of(office, "call")
    office.mailbox.on_mail = lambda: "451 try later"
    tried = []
    for minutes in range(0, 60, 4):
        process = office.start("remind", at=minutes * MINUTE)
        _, err = process.communicate()
        assert process.returncode == 0
        if "451" in err:
            tried.append(minutes)
    assert tried == [0, 8, 28]
    office.mailbox.on_mail = lambda: None
    office.run("remind", at=3 * HOUR)
    office.run("remind", at=4 * HOUR)
    assert len(office.mailbox.ids) == 1


def test_what_failed_and_was_done_meanwhile_is_not_sent(office: Office) -> None:
    office.add_channel()
    remind_of(office, "call")
    office.mailbox.on_mail = lambda: "451 try later"
    office.run("remind")
    office.run("done", office.run("agenda", "--format", "ids").strip())
    office.mailbox.on_mail = lambda: None
    office.run("remind", at=HOUR)
    office.run("remind", at=2 * HOUR)
    assert office.mailbox.mails == []


def test_a_clock_that_is_put_back_sends_nothing_twice_and_holds_up_nothing(office: Office) -> None:
    office.add_channel()
    remind_of(office, "call")
    office.run("remind", at=24 * HOUR)
    remind_of(office, "write", "today 11:40")
    office.run("remind")
    office.run("remind", at=HOUR)
    assert len(office.mailbox.mails) == 2


def test_runs_killed_at_any_moment_lose_nothing(office: Office) -> None:
    """Every reminder arrives, and more than once only under one Message-ID."""
    office.run("settings", "set", "send_personal", "on")
    office.add_channel()
    chance = random.Random(5)
    for step in range(12):
        remind_of(office, f"step {step}.")
        process = office.start("remind", at=step * 20 * MINUTE)
        time.sleep(chance.uniform(0.1, 0.8))
        process.kill()
        process.communicate()
    for late in range(3):
        office.run("remind", at=(20 + late) * HOUR)
    heard: dict[int, set[str]] = {}
    for mail in office.mailbox.mails:
        for step in range(12):
            if f"step {step}." in mail.get_content():
                heard.setdefault(step, set()).add(mail["Message-ID"])
    assert {step: len(ids) for step, ids in heard.items()} == dict.fromkeys(range(12), 1)
    office.run("verify")


def test_a_service_sends_for_the_books_that_are_named_to_it(office: Office) -> None:
    for name, role in (("boris", "manager"), ("clara", "manager"), ("robot", "service")):
        office.hire(name, role)
    office.run("member", "allow", "robot", "--personal", "boris")
    for who in ("boris", "clara"):
        office.run("add-client", f"Client of {who}", "--no-deal", who=who)
        office.run("add-reminder", "Client", "call", "--due", "today 11:30", who=who)
    office.add_channel("robot", "--for", "boris")
    out = office.run("remind", who="robot")
    assert out == ""
    assert len(office.mailbox.mails) == 1
    office.run("remind", who="robot")
    assert len(office.mailbox.mails) == 1
    assert "Client of clara" in office.run("remind", who="clara")
    office.run("transfer", "--from", "boris", "--to", "clara")
    office.run("verify")
    office.run("verify", who="robot")


def test_what_is_long_overdue_also_goes_to_who_leads(office: Office) -> None:
    for name, role in (("boris", "manager"), ("lena", "lead")):
        office.hire(name, role)
    office.run("add-client", "Client of boris", "--no-deal", who="boris")
    office.run("add-reminder", "Client", "call", "--due", "today 11:30", who="boris")
    days = 24 * HOUR
    assert office.run("remind", at=3 * days) == ""
    assert "Client of boris" in office.run("remind", at=4 * days)
    assert office.run("remind", at=5 * days) == ""
    assert office.run("remind", at=4 * days, who="lena") == ""
    office.run("member", "allow", "lena", "--read", "boris")
    assert "Client of boris" in office.run("remind", at=4 * days, who="lena")
    office.run("settings", "set", "escalate_days", "0")
    office.run("add-reminder", "Client", "write", "--due", "today 11:30", who="boris")
    assert office.run("remind", at=9 * days, who="lena") == ""
    assert "write" in office.run("remind", at=9 * days, who="boris")

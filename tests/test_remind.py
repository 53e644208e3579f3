"""Reminders delivered by real processes to a real mail server: once, whole, and never lost."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from crmcli.storage.files import alone_in
from tests.mailing import Office

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NAME = "Анна «Чайная» Петрова"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path).receiving() as office:
        office.run("add-client", NAME, "--phone", "8 916 123-45-67", "--no-deal")
        yield office


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
        assert process.returncode == (16 if "451" in err else 0)
        if "451" in err:
            assert err.splitlines()[1:2] == ["crmcli: error: messages not delivered: 1"]
            tried.append(minutes)
    assert tried == [0, 8, 28]
    assert 'deliveries,attention,"1 failed' in office.run("doctor", "--format", "csv", code=6)
    office.mailbox.on_mail = lambda: None
    office.run("remind", at=3 * HOUR)
    office.run("remind", at=4 * HOUR)
    assert len(office.mailbox.ids) == 1


def test_what_failed_and_was_done_meanwhile_is_not_sent(office: Office) -> None:
    office.add_channel()
    remind_of(office, "call")
    office.mailbox.on_mail = lambda: "451 try later"
    office.run("remind", code=16)
    office.run("done", office.run("agenda", "--format", "ids").strip())
    office.mailbox.on_mail = lambda: None
    office.run("remind", at=HOUR)
    office.run("remind", at=2 * HOUR)
    assert office.mailbox.mails == []


def test_what_can_arrive_no_more_is_no_failure(office: Office) -> None:
    """Neither by a channel that was removed, nor of a reminder that is closed, nor the digest of a day that is over."""
    office.add_channel()
    remind_of(office, "call")
    office.mailbox.on_mail = lambda: "451 try later"
    office.run("remind", code=16)
    office.run("remind", "--digest", code=16)
    assert 'deliveries,attention,"2 failed' in office.run("doctor", "--format", "csv", code=6)
    assert 'deliveries,attention,"1 failed' in office.run("doctor", "--format", "csv", at=24 * HOUR, code=6)
    office.run("channel", "remove", "smtp")
    assert "deliveries,ok,none waits" in office.run("doctor", "--format", "csv", at=24 * HOUR, code=6)
    office.add_channel()
    assert 'deliveries,attention,"1 failed' in office.run("doctor", "--format", "csv", at=24 * HOUR, code=6)
    office.run("done", office.run("agenda", "--format", "ids").strip())
    assert "deliveries,ok,none waits" in office.run("doctor", "--format", "csv", at=24 * HOUR, code=6)


def test_a_clock_that_is_put_back_sends_nothing_twice_and_holds_up_nothing(office: Office) -> None:
    office.add_channel()
    remind_of(office, "call")
    office.run("remind", at=24 * HOUR)
    remind_of(office, "write", "today 11:40")
    office.run("remind")
    office.run("remind", at=HOUR)
    assert len(office.mailbox.mails) == 2
    remind_of(office, "meet", "today 11:50")
    office.mailbox.on_mail = lambda: "451 try later"
    office.run("remind", at=48 * HOUR, code=16)
    office.mailbox.on_mail = lambda: None
    office.run("remind", at=2 * HOUR)
    assert len(office.mailbox.mails) == 3


def test_a_clock_that_was_ahead_swallows_no_reminder(office: Office) -> None:
    remind_of(office, "call", "+20d")
    for days in (400, 2):
        assert "call" in office.run("remind", at=timedelta(days=days + 20))
    remind_of(office, "write")
    assert "write" in office.run("remind", at=timedelta(days=40))
    # Now the clock is right, and what it said before is not believed, but for a day.
    assert "write" in office.run("remind")
    assert "call" in office.run("remind", at=timedelta(days=20))
    assert office.run("remind", at=timedelta(days=20)) == ""
    assert office.run("remind", at=timedelta(days=41)) == ""


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


def test_a_channel_to_somebody_whose_book_is_not_named_is_said_everywhere(office: Office) -> None:
    for name, role in (("clara", "manager"), ("robot", "service")):
        office.hire(name, role)
    office.run("add-client", "Client", "--no-deal", who="clara")
    office.run("add-reminder", "Client", "call", "--due", "today 11:30", who="clara")
    said = "nothing goes to clara, whose book was not named to this service: crmcli member allow --personal"
    options = ("--to", "clara@example.com", "--host", "127.0.0.1", "--security", "none", "--port", str(office.port))
    for arguments, code in (
        (("channel", "add", "smtp", *options, "--for", "clara"), 0),
        (("remind", "--dry-run"), 0),
        (("remind",), 0),
        (("doctor",), 6),
    ):
        process = office.start(*arguments, who="robot")
        out, err = process.communicate()
        assert process.returncode == code
        assert (out + err).count(said) >= 1
    assert office.mailbox.mails == []
    office.run("member", "allow", "robot", "--personal", "clara")
    process = office.start("remind", who="robot")
    assert process.communicate() == ("", "smtp: 1 reminder sent to clara\n")
    assert said not in office.run("doctor", who="robot", code=6)
    # Who leads the book is told of what is long overdue.
    process = office.start("channel", "add", "smtp", *options, "--for", "olga", who="robot")
    assert process.communicate()[1] == ""


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


def planned(office: Office, at: timedelta) -> list[str]:
    office.run("remind", at=at)
    rows = office.run("list", "reminders", "--cause", "cadence", "--format", "jsonl", at=at).splitlines()
    return sorted(json.loads(row)["name"] for row in rows)


def test_touches_are_planned_for_those_who_may_be_touched_and_one_for_each(office: Office) -> None:
    for name, phone in (("Boris", "1"), ("Clara", "2"), ("Dan", "3")):
        office.run("add-client", name, "--phone", f"891612345{phone}0", "--no-deal", "--segment", "business")
    office.run("canary", "plant")
    office.run("archive", "Clara")
    office.run("set-cadence", "Dan", "none")
    days = 24 * HOUR
    assert planned(office, 20 * days) == []
    assert planned(office, 25 * days) == ["Boris"]
    assert planned(office, 40 * days) == ["Boris"]
    office.run("log-call", "Boris", "out", "--result", "no-answer", at=40 * days)
    assert planned(office, 41 * days) == ["Boris"]
    office.run("log-call", "Boris", "out", at=41 * days)
    assert planned(office, 42 * days) == []
    # The others of the company are touched every 90 days.
    assert planned(office, 89 * days) == sorted(["Boris", NAME])
    reminders = office.run(
        "list", "reminders", "--cause", "cadence", "--status", "done", "--format", "ids", at=89 * days
    )
    assert len(reminders.split()) == 1


def test_a_dry_run_foretells_the_touches_of_the_day(office: Office) -> None:
    office.run("set-cadence", "Анна", "10d")
    for options in ((), ("--digest",)):
        foretold = ["remind", "--dry-run", "--format", "csv", *options]
        assert office.run(*foretold, at=9 * 24 * HOUR).splitlines()[1:] == []
        for _ in range(2):
            assert office.run(*foretold, at=11 * 24 * HOUR).splitlines()[1:] == ["stdout,olga,1"]
    assert office.run("list", "reminders", "--format", "ids", at=11 * 24 * HOUR) == ""
    assert "keep in touch" in office.run("remind", at=11 * 24 * HOUR)
    assert office.run("remind", "--dry-run", "--format", "csv", at=11 * 24 * HOUR).splitlines()[1:] == []


def test_an_older_call_that_is_recorded_late_puts_no_touch_off(office: Office) -> None:
    days = 24 * HOUR
    office.run("log-call", "Анна", "out", at=10 * days)
    assert planned(office, 95 * days) == [NAME]
    office.run("log-call", "Анна", "out", "--when", "2026-03-05 12:00", at=95 * days)
    office.run("log-activity", "Анна", "visit", "--when", "2026-02-01 12:00", at=95 * days)
    assert planned(office, 96 * days) == [NAME]
    office.run("log-call", "Анна", "out", "--when", "2026-04-05 12:00", at=96 * days)
    assert planned(office, 97 * days) == []


def test_a_touch_that_is_done_without_a_call_counts_too(office: Office) -> None:
    days = 24 * HOUR
    assert planned(office, 90 * days) == [NAME]
    office.run("done", office.run("agenda", "--format", "ids", at=90 * days).strip(), at=90 * days)
    assert planned(office, 91 * days) == []


def test_what_is_printed_shows_no_more_contacts_than_a_list(office: Office) -> None:
    office.run("settings", "set", "reveal_rows", "1")
    for step in range(3):
        remind_of(office, f"step {step}", f"today 11:3{step}")
    office.run("add-reminder", "Анна", "step 3", "--due", "today 11:40", "--promise")
    # What counts as delivered was shown whole: one in a run, promises first, until each has been.
    for shown in (3, 0, 1, 2):
        assert office.run("remind", "--dry-run", "--format", "csv").splitlines()[1:] == ["stdout,olga,1"]
        out = office.run("remind", "--format", "csv")
        assert f"step {shown}" in out
        assert out.count("9161234567") == out.count("Анна") == out.count("step") == 1
        assert "•••" not in out
    assert office.run("remind", "--format", "csv").splitlines()[1:] == []
    office.add_channel()
    office.run("settings", "set", "send_personal", "on")
    for count in range(1, 5):
        office.run("remind")
        assert len(office.mailbox.texts) == count
        assert office.mailbox.texts[-1].count("Анна") == office.mailbox.texts[-1].count("step") == 1
    office.run("remind")
    assert len(office.mailbox.texts) == 4


def test_a_digest_says_how_much_it_does_not_show(office: Office) -> None:
    office.run("settings", "set", "reveal_rows", "2")
    for step in range(3):
        remind_of(office, f"step {step}", f"today 11:3{step}")
    process = office.start("remind", "--digest")
    out, err = process.communicate()
    assert out.count("step") == out.count("Анна") == 2
    assert err == "to do today besides: 1; crmcli agenda shows them\n"
    office.add_channel()
    office.run("settings", "set", "send_personal", "on")
    office.run("remind", "--digest")
    (text,) = office.mailbox.texts
    assert text.count("Анна") == text.count("step") == 2
    assert "… and 1 more" in text


def test_where_nothing_may_be_shown_ids_and_times_are(office: Office) -> None:
    office.run("settings", "set", "reveal_rows", "0")
    remind_of(office, "step")
    out = office.run("remind", "--format", "csv")
    assert "2026-03-02T11:30" in out
    assert not any(word in out for word in ("Анна", "step", "9161234567"))


def test_what_is_about_archived_clients_waits(office: Office) -> None:
    remind_of(office, "call")
    office.run("archive", "Анна")
    assert office.run("remind") == ""
    office.run("unarchive", "Анна")
    assert "call" in office.run("remind")


def test_two_runners_of_schedules_run_a_job_once(office: Office) -> None:
    for others in ("backup", "drill", "gc", "norms", "reactivate"):
        office.run("schedule", "set", others, "none")
    office.add_channel()
    remind_of(office, "call")
    office.mailbox.on_mail = lambda: time.sleep(1)
    processes = [office.start("schedule", "run") for _ in range(3)]
    ends = [(*process.communicate(), process.returncode) for process in processes]
    assert [code for _, _, code in ends] == [0, 0, 0]
    assert len(office.mailbox.mails) == 1


def test_a_job_that_fails_is_run_again(office: Office) -> None:
    channels = office.folder / "olga" / "config" / "crmcli" / "identity.channels.json"
    channels.write_text("nonsense")
    channels.chmod(0o600)
    process = office.start("schedule", "run")
    _, err = process.communicate()
    assert process.returncode == 1
    assert "remind (exit code 13)" in err
    channels.unlink()
    remind_of(office, "call")
    assert office.run("schedule", "run", at=9 * MINUTE) == ""
    assert "call" in office.run("schedule", "run", at=10 * MINUTE)
    assert office.run("schedule", "run", at=10 * MINUTE) == ""


def test_a_run_that_delivered_nothing_is_no_success(office: Office) -> None:
    for others in ("backup", "drill", "gc", "norms", "reactivate"):
        office.run("schedule", "set", others, "none")
    office.run("schedule", "run")
    office.add_channel()
    remind_of(office, "call")
    office.mailbox.on_mail = lambda: "550 no such mailbox"
    office.run("schedule", "run", at=5 * MINUTE, code=1)
    (told,) = json.loads(office.run("schedule", "show", "--format", "json", at=5 * MINUTE))
    assert (told["last_at"][11:16], told["failed_at"][11:16]) == ("12:00", "12:05")
    assert "failed 2026-03-02 12:05" in office.run("doctor", "--format", "csv", at=5 * MINUTE, code=6)
    office.mailbox.on_mail = lambda: None
    office.run("schedule", "run", at=15 * MINUTE)
    (told,) = json.loads(office.run("schedule", "show", "--format", "json", at=15 * MINUTE))
    assert (told["last_at"][11:16], told["failed_at"], len(office.mailbox.mails)) == ("12:15", None, 1)


def test_a_job_that_takes_long_holds_up_no_other(office: Office) -> None:
    office.run("schedule", "set", "digest", "0 9 * * *")
    office.add_channel()
    office.run("schedule", "run")
    remind_of(office, "call", "tomorrow")
    (running,) = (office.folder / "olga" / "state" / "crmcli").glob("*.running")
    with alone_in(running / "remind") as is_alone:
        assert is_alone
        office.run("schedule", "run", at=22 * HOUR)
    assert [mail["Subject"] for mail in office.mailbox.mails] == ["crmcli: 1 to do today"]
    office.run("schedule", "run", at=22 * HOUR)
    assert [mail["Subject"] for mail in office.mailbox.mails][1:] == ["crmcli: 1 reminder is due"]

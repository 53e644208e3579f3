"""Many reminders due at once: each is named in some message before it counts as told, and promises come first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from crmcli.model.delivering import MOST_LINES, MOST_MESSAGES
from crmcli.model.ids import encode_id
from crmcli.model.records import Reminder
from crmcli.model.reminding import Task, add_reminder
from tests.mailing import Office

MINUTE = timedelta(minutes=1)
IN_A_RUN = MOST_LINES * MOST_MESSAGES


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path).receiving() as office:
        office.run("settings", "set", "reveal_rows", "1000")
        office.run("settings", "set", "send_personal", "on")
        office.run("add-client", "Анна", "--no-deal")
        office.add_channel()
        yield office


def add(office: Office, count: int, promises: int = 0) -> set[str]:
    """Make reminders that are due, the last of which were promised; return their ids."""
    crm = office.session()
    made: set[str] = set()
    with crm.writing() as draft:
        acting, client = crm.acting(draft), draft.client("Анна")
        for n in range(count):
            due = office.now - (count - n) * MINUTE
            records = add_reminder(acting, client.client_id, Task(f"no {n}.", (due, True), n >= count - promises))
            draft.put(*records)
            made.update(encode_id(x.reminder_id) for x in records if isinstance(x, Reminder))
    crm.close(succeeded=True)
    return made


def named(*texts: str) -> list[int]:
    return [int(number) for text in texts for number in re.findall(r"no (\d+)\.", text)]


def test_each_is_named_in_one_message(office: Office) -> None:
    add(office, 120, promises=3)
    process = office.start("remind")
    assert process.communicate() == ("", "smtp: 120 reminders in 3 messages sent to olga\n")
    texts = [named(text) for text in office.mailbox.texts]
    assert [len(text) for text in texts] == [50, 50, 20]
    assert sorted(named(*office.mailbox.texts)) == list(range(120))
    assert texts[0][:4] == [117, 118, 119, 0]
    assert [mail["Subject"] for mail in office.mailbox.mails][-1] == "crmcli: 20 reminders are due"
    office.run("remind")
    assert len(office.mailbox.mails) == 3
    office.run("verify")


def test_what_is_too_much_for_a_run_is_for_the_next(office: Office) -> None:
    add(office, IN_A_RUN + 60)
    office.run("remind")
    assert sorted(named(*office.mailbox.texts)) == list(range(IN_A_RUN))
    office.run("remind", at=MINUTE)
    assert sorted(named(*office.mailbox.texts)) == list(range(IN_A_RUN + 60))


def test_what_failed_is_sent_again_in_the_same_messages(office: Office) -> None:
    add(office, 60)
    office.mailbox.on_mail = lambda: "451 try later"
    process = office.start("remind")
    assert "smtp: 60 reminders in 2 messages not sent, to be tried again: " in process.communicate()[1]
    assert process.returncode == 16
    office.mailbox.on_mail = lambda: None
    office.run("remind", at=6 * MINUTE)
    assert sorted(len(named(text)) for text in office.mailbox.texts) == [10, 50]


def test_what_failed_and_was_put_off_comes_once(office: Office) -> None:
    (number,) = add(office, 1)
    office.mailbox.on_mail = lambda: "451 try later"
    office.run("remind", code=16)
    office.run("snooze", number, "today 12:03")
    office.mailbox.on_mail = lambda: None
    office.run("remind", at=6 * MINUTE)
    assert len(office.mailbox.mails) == 1


def test_what_is_printed_is_all_of_it(office: Office) -> None:
    made = add(office, 120)
    office.run("channel", "remove", "smtp")
    assert set(office.run("remind", "--format", "ids").split()) == made

"""Editing what is known of clients and deals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

from crmcli.errors import InputError, NotFoundError, RuleError
from crmcli.model import records as r
from crmcli.model.acting import Acting
from crmcli.model.editing import Edit, deal_sheet, differences, edit_client, edit_contact, edit_deal, sheet_of
from crmcli.model.process import DEFAULT

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANNA = r.Contact(
    1,
    "Anna",
    "Rose",
    ("+79161234567", "+74957654321"),
    ("8 916 123-45-67", "495 765 43 21"),
    ("a@x.ru", "b@x.ru"),
    "7701",
    "Moscow",
    ("crm:1",),
)
CLIENT = r.Client(1, NOW, 7, 7, "web", "private", date(2026, 4, 1))


def acting() -> Acting:
    return Acting(7, NOW, NOW, count(100).__next__)


def test_what_is_not_named_stays() -> None:
    edited, fresh = edit_contact(ANNA, Edit(), "RU")
    assert edited == ANNA
    assert fresh == r.Contact(1, "Anna")
    client, records = edit_client(acting(), DEFAULT, CLIENT, Edit(), None, [])
    assert (client, records) == (CLIENT, [])
    with pytest.raises(InputError, match="nothing would change"):
        differences(sheet_of(CLIENT, ANNA), sheet_of(client, edited))


def test_values_are_changed_added_and_taken_away() -> None:
    edit = Edit(
        " Anna B ", "", "77 02", phones=["8 (916) 000-00-01", "+7 495 765-43-21"], emails=["C@X.ru"],
        without_phones=["+7 916 123 45 67"], without_emails=["A@x.ru"],
    )  # fmt: skip
    edited, fresh = edit_contact(ANNA, edit, "RU")
    assert edited == r.Contact(
        1,
        "Anna B",
        None,
        ("+74957654321", "+79160000001"),
        ("495 765 43 21", "8 (916) 000-00-01"),
        ("b@x.ru", "c@x.ru"),
        "7702",
        "Moscow",
        ("crm:1",),
    )
    # Only what is new is looked for among the others.
    assert (fresh.phones, fresh.emails, fresh.tax_id, fresh.external_ids) == (
        ("+79160000001",),
        ("c@x.ru",),
        "7702",
        (),
    )
    for wrong in (Edit(without_phones=["8 916 000-00-01"]), Edit(without_emails=["c@x.ru"])):
        with pytest.raises(NotFoundError, match="no such"):
            edit_contact(ANNA, wrong, "RU")


def test_a_raw_phone_that_reads_no_more_stays() -> None:
    odd = replace(ANNA, raw_phones=("ask Olga", "8 916 123-45-67"))
    edited, _ = edit_contact(odd, Edit(without_phones=["8 916 123-45-67"]), "RU")
    assert edited.raw_phones == ("ask Olga",)


def test_the_day_to_buy_by_goes_with_its_reminder() -> None:
    due = NOW + timedelta(days=9)
    client, made = edit_client(
        acting(), DEFAULT, CLIENT, Edit(segment="BUSINESS", source=""), (date(2026, 5, 1), due), []
    )
    assert (client.segment, client.source, client.buy_by) == ("business", None, date(2026, 5, 1))
    (reminder,) = made
    assert isinstance(reminder, r.Reminder)
    assert (reminder.cause, reminder.due_at) == ("buy_by", due)
    _, moved = edit_client(acting(), DEFAULT, CLIENT, Edit(), (date(2026, 5, 2), due), [reminder])
    assert [record.reminder_id for record in moved if isinstance(record, r.Reminder)] == [reminder.reminder_id]
    client, ended = edit_client(acting(), DEFAULT, CLIENT, Edit(), (None, None), [reminder])
    assert client.buy_by is None
    assert ended == [replace(reminder, status="done", done_at=NOW)]
    with pytest.raises(InputError):
        edit_client(acting(), DEFAULT, CLIENT, Edit(segment="gold"), None, [])


def test_a_deal_has_a_sum_and_a_product() -> None:
    deal = r.Deal(2, 1, 7, "new", "call", amount=Decimal(5))
    products = [r.Product(9, "Чай")]
    edited = edit_deal(deal, None, " чай ", products)
    assert (edited.amount, edited.product_id) == (Decimal(5), 9)
    assert edit_deal(deal, Decimal(7), None, products) == replace(deal, amount=Decimal(7))
    rows = differences(deal_sheet(deal, products, None), deal_sheet(edited, products, "tea"))
    assert rows == [("product", None, "Чай"), ("interest", None, "tea")]
    with pytest.raises(InputError, match="no such product"):
        edit_deal(deal, None, "coffee", products)
    with pytest.raises(RuleError, match="the deal is won"):
        edit_deal(replace(deal, status="won"), Decimal(7), None, products)

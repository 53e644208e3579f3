"""What goes with a voided record is found by its commit, wherever the rows are by then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from crmcli.model import records as r
from crmcli.model.ids import encode_id
from tests.storage.company import NOW, Company

DAY = timedelta(days=1)


def done(company: Company, *arguments: str, who: str = "manager", after: int = 0) -> str:
    result = replace(company, now=NOW + after * DAY).crmcli(*arguments, who=who)
    assert result.code == 0, result.err
    return result.out


def test_what_a_sale_did_is_taken_back_after_a_transfer_and_compaction(company: Company) -> None:
    done(company, "add-client", "Boris", "--no-deal")
    done(company, "log-sale", "Boris", "500", "--next", "2026-05-01")
    sale = done(company, "log-sale", "Boris", "900", "--next", "2026-06-01", "--format", "ids").split()[0]
    for number in range(5):
        done(company, "add-reminder", "Boris", str(number), "--due", "+2w")
    done(company, "gc", who="admin", after=9)
    owner = company.identity("colleague").member
    done(
        company, "transfer", "Boris", "--from", company.identity("manager").member, "--to", owner, who="admin", after=9
    )
    told = done(company, "void", sale, who="colleague", after=9)
    assert "next purchase, due 2026-04-24" in told
    view = company.view("colleague")
    [reminder] = [one for one in view.records("reminders") if one.cause == "next_purchase"]
    assert view.texts([reminder.reminder_id], ("about",)) == {
        reminder.reminder_id: "prepare the offer: expected to buy on 2026-05-01 (stated)"
    }
    assert [str(client.buy_by) for client in view.records("clients") if client.buy_by] == ["2026-05-01"]


def test_of_what_came_in_bulk_nothing_goes_along(company: Company) -> None:
    sales = [r.Sale(n, 7, NOW - DAY, Decimal(5), 1) for n in (1 << 50, 2 << 50)]
    reminder = r.Reminder(9, 7, "next_purchase", NOW + DAY, False, 1, NOW - DAY, 1)
    with company.session().writing() as draft:
        draft.put(r.Client(7, NOW - DAY, 1, 1), reminder, *sales)
    done(company, "void", encode_id(1 << 50), who="admin")
    assert company.view().records("reminders") == [reminder]

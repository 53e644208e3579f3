"""Settings as they are typed: each is checked, and the currency stays once sums are recorded in it."""

from __future__ import annotations

import pytest

from crmcli.errors import CrmError, InputError, RuleError
from crmcli.model.settings import Settings

SETTINGS = Settings("Acme")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("company", " Tea & Co ", "Tea & Co"),
        ("timezone", "Asia/Yekaterinburg", "Asia/Yekaterinburg"),
        ("region", "US", "US"),
        ("reveal_rows", "0", 0),
        ("reveal_rows", "1000", 1000),
        ("record_reveals", "on", True),
        ("record_reveals", "off", False),
        ("currency", "RUB", "RUB"),
    ],
)
def test_setting_is_changed(name: str, text: str, value: object) -> None:
    changed = SETTINGS.changed(name, text, has_money=True)
    assert changed.to_plain() == SETTINGS.to_plain() | {name: value}


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("currency", "USD", RuleError),
        ("currency", "rubles", RuleError),
        ("company", "  ", InputError),
        ("company", "x" * 201, InputError),
        ("timezone", "Mars/Base", InputError),
        ("timezone", "../../etc/passwd", InputError),
        ("region", "us", InputError),
        ("reveal_rows", "1001", InputError),
        ("reveal_rows", "-1", InputError),
        ("reveal_rows", "٣", InputError),
        ("record_reveals", "1", InputError),
        ("zone", "UTC", InputError),
        ("check", "UTC", InputError),
        ("", "", InputError),
    ],
)
def test_what_is_no_setting_is_refused(name: str, text: str, kind: type[CrmError]) -> None:
    with pytest.raises(kind):
        SETTINGS.changed(name, text, has_money=True)


def test_currency_changes_while_there_is_no_money() -> None:
    assert SETTINGS.changed("currency", "USD", has_money=False).currency == "USD"

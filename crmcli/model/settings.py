"""The company's settings: its name, currency, time zone and the region that phone numbers without a code belong to."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError, RuleError
from crmcli.model.bands import parse_bands
from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_SWITCH = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """What `init` asks for; `currency` is an ISO 4217 code, `timezone` an IANA name, `region` an ISO 3166 code.

    `reveal_rows`: rows of a listing that show contacts, the rest is masked; `record_reveals`: the log has who looked at
    whom.
    `send_personal`: reminders that leave by mail or a notification URL name names; `escalate_days`: what is overdue by
    more days also goes to whoever leads, 0 for never; `backup_days`: how old the last verified backup may be.
    `period_days`: the purchase period where too few clients bought twice; `bands`: where the bands of lateness end, in
    periods; `cooldown_days`: how long nobody is reactivated again; `holdout_pct`: the share of those due who are left
    alone, to compare with; `lead_days`: how long before the next purchase you are reminded of it.
    """

    company: str
    currency: str = "RUB"
    timezone: str = "Europe/Moscow"
    region: str = "RU"
    reveal_rows: int = 50
    record_reveals: bool = False
    send_personal: bool = False
    escalate_days: int = 3
    backup_days: int = 8
    period_days: int = 90
    bands: str = "1, 1.5, 2, 3, 5"
    cooldown_days: int = 90
    holdout_pct: int = 10
    lead_days: int = 7

    def check(self) -> None:
        """Raise InputError for what is no currency, time zone or region."""
        if not self.company.strip() or len(self.company) > 200:  # noqa: PLR2004
            raise InputError("the company needs a name of at most 200 characters")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise InputError("a currency is three letters, such as RUB")
        if not re.fullmatch(r"[A-Z]{2}", self.region):
            raise InputError("a region is two letters, such as RU")
        if not 0 <= self.reveal_rows <= 1000:  # noqa: PLR2004
            raise InputError("reveal_rows is from 0 to 1000")
        if not self.period_days:
            raise InputError("period_days is from 1 to 9999")
        if self.holdout_pct > 50:  # noqa: PLR2004
            raise InputError("holdout_pct is from 0 to 50")
        parse_bands(self.bands)
        if not 0 <= self.escalate_days <= 365:  # noqa: PLR2004
            raise InputError("escalate_days is from 0, for never, to 365")
        if not 1 <= self.backup_days <= 366:  # noqa: PLR2004
            raise InputError("backup_days is from 1 to 366")
        _ = self.zone

    @property
    def zone(self) -> ZoneInfo:
        """The time zone. Raises: InputError if there is none of that name."""
        from zoneinfo import ZoneInfo

        try:
            return ZoneInfo(self.timezone)
        except (ValueError, OSError, LookupError) as error:
            raise InputError(
                f"there is no time zone {self.timezone[:40]!r}", "an IANA name, such as Europe/Moscow"
            ) from error

    def changed(self, name: str, text: str, *, has_money: bool) -> Settings:
        """Return the settings with one value as it was typed; `has_money`: sums are recorded in the present currency.

        Raises: InputError for no such setting or value, RuleError for another currency of sums that are recorded.
        """
        if name not in self.__slots__:
            raise InputError(f"there is no setting {name[:40]!r}", f"there is {', '.join(self.__slots__)}")
        before = getattr(self, name)
        value: Any = text.strip()
        if isinstance(before, bool):
            if text not in _SWITCH:
                raise InputError(f"{name} is on or off")
            value = _SWITCH[text]
        elif isinstance(before, int):
            if not re.fullmatch(r"[0-9]{1,4}", text):
                raise InputError(f"{name} is a number")
            value = int(text)
        if name == "currency" and value != before and has_money:
            raise RuleError(f"sums are recorded in {before}, and none of them would change", "a new store starts anew")
        after = replace(self, **{name: value})
        after.check()
        return after

    def to_plain(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, document: dict[str, Any]) -> Settings:
        """Return the settings in plain values; unknown ones are of a newer program and left alone."""
        return cls(**{name: document[name] for name in cls.__slots__ if name in document})

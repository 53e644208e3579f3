"""The import of clients: who a row is, and what it adds to what is known of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError
from crmcli.model.dates import day_start, local_day
from crmcli.model.importing import external_key, microseconds
from crmcli.model.records import DONE, OPEN
from crmcli.model.reminding import BUY_BY, ROUTINE
from crmcli.storage.importing import Import
from crmcli.storage.importing_people import People
from crmcli.storage.matching import SEVERAL, stored, texts
from crmcli.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import pyarrow as pa

    from crmcli.model.acting import Acting
    from crmcli.model.importing import Cells as CellReader
    from crmcli.model.importing import ClientRow
    from crmcli.storage.importing import Terms
    from crmcli.storage.matching import Cells
    from crmcli.storage.view import Draft

_CLIENT = {name: place for place, name in enumerate(TABLES["clients"].kinds)}


class ClientImport(Import):
    """Clients: a row is a new client or says more of a known one; an empty cell takes nothing away."""

    reads = ("notes", "reminders")
    tells_lines = True

    def __init__(self, draft: Draft, acting: Acting, cells: CellReader, terms: Terms) -> None:
        super().__init__(draft, acting, cells, terms)
        # (name, company), casefolded -> contacts of that name: client id, phones, e-mails, tax id.
        self._same_name: dict[tuple[str, str], list[Cells]] = defaultdict(list)
        # Clients whom the program that the file comes from has given a number: another number is another client.
        self._numbered: set[int] = set()
        prefix = external_key(terms.namespace, "")
        columns = ["name", "company", "external_ids", "client_id", "phones", "emails", "tax_id"]
        rows = draft.reader.merged("contacts", columns)
        for name, company, external_ids, *rest in zip(*(rows.column(c).to_pylist() for c in columns), strict=True):
            self._same_name[(name or "").casefold(), (company or "").casefold()].append(tuple(rest))
            if any(key.startswith(prefix) for key in external_ids or ()):
                self._numbered.add(rest[0])
        self._taken: list[tuple[int, ClientRow, int | None]] = []
        self._fresh: set[int] = set()
        self._strangers = 0

    def take_columns(self, columns: pa.Table) -> None:
        """Take in all who share nothing with anybody, in the file or the store, at once; the others one by one."""
        people = People(self, columns)
        alone = people.alone(self._same_name)
        self._strangers = people.put(alone)
        self.outcome.read += self._strangers
        self.take_each(people.others(alone))

    def take(self, row: Mapping[str, str]) -> str:
        """Find out who a row is; what comes of it is known at the end."""
        person = self.cells.client(row)
        external_id = external_key(self.terms.namespace, person.external_id) if person.external_id else None
        found = self._who(person, external_id)
        owner = self.people.find(person.owner)
        client_id = found or self.acting.new_id()
        if found is None:
            self._fresh.add(client_id)
        numbers = tuple(number for number, _ in person.phones)
        externals = (external_id,) if external_id else ()
        self.clients.add(
            (client_id, person.name, person.company, numbers, (), person.emails, person.tax_id, None, externals)
        )
        same = self._same_name[person.name.casefold(), (person.company or "").casefold()]
        same.append((client_id, numbers, person.emails, person.tax_id))
        if external_id:
            self._numbered.add(client_id)
        self._taken.append((client_id, person, owner))
        return "new" if found is None else "known"

    def _who(self, person: ClientRow, external_id: str | None) -> int | None:
        """Return the client that a row is about, None for a new one. Raises: InputError where several fit."""
        found = self.clients.external_ids.find(external_id) if external_id else None
        if found is None:
            keys: list[int | None] = [self.clients.phones.find(number) for number, _ in person.phones]
            keys += [self.clients.emails.find(email) for email in person.emails]
            if person.tax_id:
                keys.append(self.clients.tax_ids.find(person.tax_id))
            candidates = {number for number in keys if number is not None}
            if external_id and candidates:
                # Two who share a phone there are two here; several with one phone are no match for a new number.
                candidates -= self._numbered | {SEVERAL}
            candidates = candidates or self._namesakes(person, is_numbered=external_id is not None)
            if len(candidates) > 1:
                raise InputError("several clients fit")
            found = next(iter(candidates), None)
        if found == SEVERAL:
            raise InputError("several clients fit")
        return None if found is None else self.clients.allowed(found)

    def _namesakes(self, person: ClientRow, *, is_numbered: bool) -> set[int]:
        """Return the clients of that name and company, without those who differ in a phone, e-mail or number."""
        apart: set[int] = set()
        same: set[int] = set()
        for client_id, phones, emails, tax_id in self._same_name.get(
            (person.name.casefold(), (person.company or "").casefold()), ()
        ):
            # One who shared any of these would have been found by it.
            differs = (phones and person.phones) or (emails and person.emails) or (tax_id and person.tax_id)
            (apart if differs or (is_numbered and client_id in self._numbered) else same).add(client_id)
        return same - apart

    def finish(self) -> None:
        """Lay the rows on what is known of each client, in their order, and gather what is other than before."""
        known = [client_id for client_id, *_ in self._taken if client_id not in self._fresh]
        where = ("client_id", list(dict.fromkeys(known)))
        before = stored(self.draft.reader, "clients", where) if known else {}
        contacts = stored(self.draft.reader, "contacts", where) if known else {}
        contacts = {
            number: tuple(tuple(c) if isinstance(c, list) else c for c in cells) for number, cells in contacts.items()
        }
        told = self._told(set(known))
        after, after_contacts = dict(before), dict(contacts)
        noted: set[int] = set()
        for client_id, person, owner in self._taken:
            after[client_id] = self._client(client_id, after.get(client_id), person, owner)
            after_contacts[client_id] = self._contact(client_id, after_contacts.get(client_id), person)
            for name, text in (("interest", person.interest), ("note", person.note)):
                if text and (client_id, name, text) not in told:
                    told.add((client_id, name, text))
                    noted.add(client_id)
                    self.note(client_id, client_id, name, text, person.created_at)
        changed = noted - self._fresh
        for table, old, new in (("clients", before, after), ("contacts", contacts, after_contacts)):
            for client_id, cells in new.items():
                if client_id not in old:
                    self.add(table, client_id, cells)
                elif cells != old[client_id]:
                    changed.add(client_id)
                    self.add(table, client_id, cells, "upsert")
        self._remind(before, after)
        self._let_alone(before, after)
        self._count(changed)
        super().finish()

    def _told(self, known: set[int]) -> set[tuple[int, str, str]]:
        if not known or not {"interest", "note"} & set(self.terms.fields):
            return set()
        return {told for told in texts(self.draft.reader, "interest", "note") if told[0] in known}

    def _count(self, changed: set[int]) -> None:
        rows = self.outcome.rows
        rows.clear()
        rows["new"] = self._strangers
        seen: set[int] = set()
        for client_id, *_ in self._taken:
            if client_id in seen:
                rows["repeated"] += 1
            elif client_id in self._fresh:
                rows["new"] += 1
            else:
                rows["changed" if client_id in changed else "unchanged"] += 1
            seen.add(client_id)
        self.outcome.new_clients += len(self._fresh) + self._strangers

    def _client(self, client_id: int, known: Cells | None, person: ClientRow, owner: int | None) -> Cells:
        by = self.acting.by
        if known is None:
            created_at = self.now if person.created_at is None else person.created_at
            return (
                client_id, created_at, by, owner or by, person.source, person.segment, person.buy_by, False,
                bool(person.do_not_contact), None, None,
            )  # fmt: skip
        _, created_at, created_by, owner_id, source, segment, buy_by, archived, do_not_contact, *rest = known
        return (
            client_id,
            created_at if person.created_at is None else person.created_at,
            created_by,
            owner or owner_id,
            person.source or source,
            person.segment or segment,
            person.buy_by or buy_by,
            archived,
            do_not_contact if person.do_not_contact is None else person.do_not_contact,
            *rest,
        )

    def _contact(self, client_id: int, known: Cells | None, person: ClientRow) -> Cells:
        external = (external_key(self.terms.namespace, person.external_id),) if person.external_id else ()
        if known is None:
            numbers, raw = tuple(zip(*person.phones, strict=True)) or ((), ())
            return (
                client_id, person.name, person.company, numbers, raw, person.emails, person.tax_id, person.address,
                external,
            )  # fmt: skip
        _, _, company, phones, raw, emails, tax_id, address, externals = known
        added = [(number, typed) for number, typed in person.phones if number not in phones]
        return (
            client_id,
            person.name,
            person.company or company,
            (*phones, *(number for number, _ in added)),
            (*raw, *(typed for _, typed in added)),
            _united(emails, person.emails),
            person.tax_id or tax_id,
            person.address or address,
            _united(externals, external),
        )

    def to_be_reminded(self, day: date | None) -> int | None:
        """Return when to be reminded of a day by which a client means to buy; None for no day, or one that is past."""
        zone = self.draft.settings.zone
        if day is None or day < local_day(self.acting.now, zone):
            return None
        return microseconds(day_start(day, zone))

    def _remind(self, before: Mapping[int, Cells], after: Mapping[int, Cells]) -> None:
        """Gather reminders of the days, not past, on which clients mean to buy; an open one is moved."""
        place, owner = _CLIENT["buy_by"], _CLIENT["owner_id"]
        due: dict[int, int] = {}
        for client_id, cells in after.items():
            is_same = client_id in before and before[client_id][place] == cells[place]
            at = None if is_same else self.to_be_reminded(cells[place])
            if at is not None:
                due[client_id] = at
        known = [client_id for client_id in due if client_id in before]
        open_ones: dict[int, Cells] = {}
        if known:
            for cells in stored(self.draft.reader, "reminders", ("client_id", known)).values():
                if cells[2] == BUY_BY and cells[10] == OPEN:
                    open_ones[cells[1]] = cells
        for client_id, at in due.items():
            if client_id in open_ones:
                moved: list[Any] = list(open_ones[client_id])
                moved[3:5] = at, False
                self.add("reminders", client_id, tuple(moved), "upsert")
                continue
            reminder = (
                self.acting.new_id(), client_id, BUY_BY, at, False, after[client_id][owner], self.now,
                self.acting.by, None, False, OPEN, None, None, None,
            )  # fmt: skip
            self.add("reminders", client_id, reminder)

    def _let_alone(self, before: Mapping[int, Cells], after: Mapping[int, Cells]) -> None:
        """Close what routine planned for known clients who are not to be contacted from now on."""
        place = _CLIENT["do_not_contact"]
        asked = [number for number, cells in before.items() if after[number][place] and not cells[place]]
        for cells in stored(self.draft.reader, "reminders", ("client_id", asked)).values() if asked else ():
            if cells[2] in ROUTINE and cells[10] == OPEN:
                self.add("reminders", cells[1], (*cells[:10], DONE, *cells[11:]), "upsert")


def _united(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return (*known, *(value for value in more if value not in known))

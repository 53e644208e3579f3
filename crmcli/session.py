"""One run of crmcli: which store, which identity, what time it is, where ids come from; replaceable in tests."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmcli.environment import (
    account_name,
    backup_places,
    checked_op_id,
    clock,
    first_line,
    output_of,
    platform_folder,
    spoken,
    store_folder,
)
from crmcli.errors import InputError, NoKeyError
from crmcli.model.acting import Acting
from crmcli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from crmcli.model.dates import Moment
    from crmcli.model.periods import Period
    from crmcli.model.process import Process
    from crmcli.model.settings import Settings
    from crmcli.storage import Store
    from crmcli.storage.identity import Identity
    from crmcli.storage.view import Draft, View

_PASSPHRASE_LIMIT = 4096


@dataclass
class Session:
    """What differs between one run and another. Folders: `store`, `identity` (a file), `cache`, `pins`.

    `saved` says that a change was committed, `unsettled` is the operation that is being committed; `agreed` has the
    questions that were answered with yes, `answers` what was typed in answer to others, `seen` records by name that
    nobody may have changed when the command has to be run again.
    """

    store_path: Path
    identity_path: Path
    cache: Path
    pins: Path
    now: datetime
    output: Output = field(default_factory=Output)
    environ: Mapping[str, str] = field(default_factory=dict)
    seed: str | None = None
    op_id: str | None = None
    attempt: int = 0
    saved: bool = False
    unsettled: str | None = None
    agreed: set[str] = field(default_factory=set)
    answers: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    _store: Store | None = None
    _said: set[str] = field(default_factory=set)

    @classmethod
    def of_process(cls, store: str | None = None, identity: str | None = None, op_id: str | None = None) -> Session:
        """Return the session that the options and the environment of this process describe. Raises: InputError."""
        environ = os.environ
        return cls(
            store_path=store_folder(store or environ.get("CRMCLI_STORE")),
            identity_path=Path(
                identity or environ.get("CRMCLI_IDENTITY") or platform_folder("config") / "identity.json"
            ),
            cache=platform_folder("cache"),
            pins=platform_folder("state"),
            now=clock(environ.get("CRMCLI_NOW")),
            environ=environ,
            seed=environ.get("CRMCLI_SEED"),
            op_id=checked_op_id(op_id),
        )

    # Opening the store.

    def passphrase(self, kind: str = "PASSPHRASE") -> str:
        """Return the passphrase from the environment's command or file, else from the terminal. Raises: NoKeyError."""
        command, file = (self.environ.get(f"CRMCLI_{kind}_{name}") for name in ("COMMAND", "FILE"))
        if command:
            return first_line(output_of(command, kind))
        if file:
            try:
                with Path(file).open("rb") as source:
                    return first_line(source.read(_PASSPHRASE_LIMIT))
            except OSError as error:
                raise NoKeyError(f"the file in CRMCLI_{kind}_FILE cannot be read") from error
        return self.output.secret(spoken(kind), f"set CRMCLI_{kind}_COMMAND or CRMCLI_{kind}_FILE")

    def identity_to_reseal(self) -> tuple[Identity, str | None]:
        """Return the identity of this run and the passphrase that it has to be sealed with again, if it has one."""
        from crmcli.storage.identity import load_identity

        asked: list[str] = []

        def ask() -> str:
            asked.append(self.passphrase())
            return asked[0]

        return load_identity(self.identity_path, ask), asked[0] if asked else None

    def chosen_passphrase(self, kind: str = "PASSPHRASE") -> str:
        """Return the passphrase to seal an identity with from now on, asked for twice on a terminal."""
        passphrase = self.passphrase(kind)
        from_environment = any(self.environ.get(f"CRMCLI_{kind}_{name}") for name in ("COMMAND", "FILE"))
        if not from_environment and self.output.secret(f"{spoken(kind)} again") != passphrase:
            raise InputError("the passphrases differ")
        if not passphrase:
            raise InputError("the passphrase is empty", "--no-passphrase leaves the identity file open")
        return passphrase

    def identity(self) -> Identity:
        """Return the identity of this run. Raises: NoKeyError, DamagedError."""
        from crmcli.storage.identity import load_identity

        return load_identity(self.identity_path, self.passphrase)

    def store(self, accept: str | None = None) -> Store:
        """Return the store of this run, opened and checked when it is first needed; `accept` is as in `Store.open`."""
        if self._store is None:
            from crmcli.storage import Store
            from crmcli.storage.layout import read_genesis

            read_genesis(self.store_path)
            self._store = Store.open(self.store_path, self.identity(), self.cache, self.pins, accept)
        return self._store

    @contextmanager
    def reading(self) -> Iterator[View]:
        """Give the store as it is now, to be read."""
        from crmcli.storage.view import View

        store = self.store()
        if self.attempt and not self.saved:
            store.refresh()
        yield View(store)

    @contextmanager
    def writing(self) -> Iterator[Draft]:
        """Give the store to be read and added to; the end of the block is one commit, or none if it raised.

        A command whose reading was overtaken by somebody else's commit is run again from its start, then with the
        lock held from before it reads.
        """
        from crmcli.storage.view import Draft

        store = self.store()
        self._refuse_repetition(store)
        # Ids from a seed follow from the head, so nobody else may commit on the same one.
        if self.attempt or self.seed is not None:
            with store.lock():
                store.refresh()
                draft = Draft(store)
                yield draft
                self._commit(store, draft)
        else:
            draft = Draft(store)
            yield draft
            self._commit(store, draft)

    def _commit(self, store: Store, draft: Draft) -> None:
        pending = draft.finish()
        if pending:
            self.unsettled = self.op_id or pending.op_id or new_op_id()
            try:
                store.commit(pending, draft.base, self.unsettled, self.now)
            except Exception:
                self.unsettled = None
                raise
            self.saved = True
            self.unsettled = None
            for remark in draft.remarks:
                self.say(remark)

    def _refuse_repetition(self, store: Store) -> None:
        if self.op_id is None:
            return
        from crmcli.storage.writing import repeated

        known = store.find_operation(self.op_id)
        if known is not None:
            raise repeated(known, store.identity.member)

    def remember(self) -> None:
        """Remember the newest state that was seen or made, before anybody is told of it."""
        if self._store is not None:
            self._store.pin()

    def close(self, *, succeeded: bool) -> None:
        """Keep what was verified; after a success also do what is due of compaction and packing."""
        if self._store is None:
            return
        store, self._store = self._store, None
        if succeeded:
            from crmcli.storage import upkeep

            for line in upkeep.run(store, new_op_id, self.now):
                self.say(line)
            if self.output.stderr.isatty():
                from crmcli.storage.backups.remembering import reminder

                places = backup_places(None, self.environ, self.store_path)
                found = reminder(store, places, self.pins, self.now)
                if found is not None:
                    self.say(found)
        store.close()

    def found(
        self, settings: Settings, process: Process, admin: str | None, group: str | None, *, with_passphrase: bool
    ) -> str:
        """Create the store of this run and return its recovery key as text.

        The identity is the one that is there, with the passphrase it has or not, or a new one.
        Raises: ConflictError if the folder is not empty.
        """
        from crmcli.storage.founding import found_store
        from crmcli.storage.identity import Identity, recovery_text, save_identity
        from crmcli.storage.keys import random_bytes

        known = self.identity_path.exists()
        if known:
            founder, passphrase = self.identity_to_reseal()
        else:
            founder = Identity.new(admin or account_name())
            passphrase = self.chosen_passphrase() if with_passphrase else None
        seed = random_bytes(32)
        found_store(
            self.store_path,
            founder,
            seed,
            settings,
            process,
            self.now,
            lambda identity: save_identity(self.identity_path, identity, passphrase, replacing=known),
            (self.cache, self.pins),
            group,
        )
        return recovery_text(seed)

    def recovery_text(self) -> str:
        """Return the recovery key from the terminal, or from standard input where there is none."""
        stdin = self.output.stdin
        return self.output.secret("recovery key") if stdin.isatty() else stdin.readline().strip()

    def recover(self, text: str, name: str, *, with_passphrase: bool) -> None:
        """Save the identity behind a recovery key and give it a book in the store of this run.

        Raises: InputError for a misread key, NoKeyError for another store's, ConflictError if an identity is there.
        """
        from crmcli.storage.founding import take_over
        from crmcli.storage.identity import recovered, recovery_seed, require_absent, save_identity
        from crmcli.storage.layout import read_genesis

        identity = recovered(recovery_seed(text), read_genesis(self.store_path))
        require_absent(self.identity_path)
        passphrase = self.chosen_passphrase() if with_passphrase else None
        save_identity(self.identity_path, identity, passphrase)
        take_over(self.store(), name, self.now)

    def upkeep(self, view: View, *, at_once: bool = False) -> int:
        """Remove, compact and pack what is due; return how many files were removed, `at_once` the young ones too."""
        from crmcli.storage import upkeep

        # Removing comes first: on a full disk it makes the room that compaction needs.
        removed = upkeep.collect(view.store, self.now, at_once=at_once)
        for line in upkeep.run(view.store, new_op_id, self.now):
            self.say(line)
        return removed

    def quarantine(self, name: str) -> int:
        """Take a file that its author signed and nobody can read out of the store; return the commit's number."""
        from crmcli.storage.quarantine import quarantine

        store = self.store()
        self._refuse_repetition(store)
        commit = quarantine(store, name, self.op_id or new_op_id(), self.now)
        self.saved = True
        return commit.seq

    # What rules are given.

    def acting(self, view: View, when: str | None = None) -> Acting:
        """Return who acts in this run, now or at the time that was typed."""
        number, zone = view.store.member_number, view.settings.zone
        acting = Acting(number, self.now, self.now, self._ids(view), self.seed is not None, zone)
        if when is None:
            return acting
        return acting.when(self.moment(view, when, "when", past=True).at)

    def _ids(self, view: View) -> Callable[[], int]:
        if self.seed is None:
            return random_id
        from random import Random

        # A fixed seed is for documentation that shows ids; it never reaches a key or a file id.
        numbers = Random(f"{self.seed}/{view.store.state.seq}")  # noqa: S311
        return lambda: numbers.getrandbits(60) or 1

    def moment(self, view: View, text: str, label: str, *, past: bool = False) -> Moment:
        """Return the moment that was typed, and say on stderr how it was understood."""
        from crmcli.model.dates import echo_moment, parse_moment

        zone = view.settings.zone
        moment = parse_moment(text, now=self.now, zone=zone, past=past)
        self.say(f"{label}: {echo_moment(moment, zone)}")
        return moment

    def day(
        self, view: View, text: str | None, label: str, *, ahead: bool = False, reminds: bool = False
    ) -> tuple[date | None, datetime | None]:
        """Return the local day that was typed and the instant at which to be reminded of it, or None twice.

        If it `reminds`, what is odd about the day is said. Raises: InputError for a day before today, if it has to lie
        `ahead`.
        """
        from crmcli.model.dates import local_day

        if text is None:
            return None, None
        moment = self.moment(view, text, label)
        day = local_day(moment.at, view.settings.zone)
        if ahead and day < local_day(self.now, view.settings.zone):
            raise InputError(f"{label} is a day to come, and {day} is past", "a sale that was made: crmcli log-sale")
        if reminds:
            self._say_odd(view, moment)
        return day, moment.at

    def due(self, view: View, text: str | None) -> tuple[datetime, bool] | None:
        """Return the instant that was typed and whether it has a time of day, or None for nothing.

        What is past, or far ahead, is said: it may be meant, or a slip of the pen.
        """
        if text is None:
            return None
        moment = self.moment(view, text, "due")
        self._say_odd(view, moment)
        return moment.at, moment.has_time

    def _say_odd(self, view: View, moment: Moment) -> None:
        from crmcli.model.reminding import odd_about

        odd = odd_about(moment.at, self.now, view.settings.zone, has_time=moment.has_time)
        if odd is not None:
            self.say(odd)

    def period(self, view: View, text: str | None, start: str | None, end: str | None) -> Period | None:
        """Return the period that was typed, as a whole or by its ends, or None for all time. Raises: InputError."""
        if text is start is end is None:
            return None
        from crmcli.model.periods import parse_period, span

        if text is not None and (start is not None or end is not None):
            raise InputError("--period and --from/--to exclude one another")
        zone = view.settings.zone
        if text is not None:
            return parse_period(text, now=self.now, zone=zone)
        return span(start, end, now=self.now, zone=zone)

    def as_of(self, view: View, text: str | None) -> datetime:
        """Return the instant whose state is asked for: now, that time, or the last one of that day."""
        if text is None:
            return self.now
        from crmcli.model.dates import day_end, echo_moment, local_day, parse_moment

        zone = view.settings.zone
        moment = parse_moment(text, now=self.now, zone=zone, past=True)
        self.say(f"as of: {'' if moment.has_time else 'the end of '}{echo_moment(moment, zone)}")
        return moment.at if moment.has_time else day_end(local_day(moment.at, zone), zone) - timedelta.resolution

    def say(self, text: str) -> None:
        """Talk on stderr, once a run for the same text, for a command may have to be run again."""
        if text not in self._said:
            self._said.add(text)
            self.output.note(text)


def random_id() -> int:
    """Return a fresh record id: 60 random bits, never 0."""
    return int.from_bytes(os.urandom(8), "big") >> 4 or 1


def new_op_id() -> str:
    """Return the name of a new operation: 32 hex digits."""
    return os.urandom(16).hex()

"""Every command, and how somebody tries to learn with it of clients who are not theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import Formatter

# Command -> the ways to try it. What stands in braces is replaced by each of the guesses of that name.
TRIES: dict[str, tuple[str, ...]] = {
    "add-client": (
        "add-client {name} --phone {phone} --format {form}",
        "add-client {name} --email {email} --note {text}",
        "add-client {name} --tax-id {tax_id} --no-deal",
    ),
    "add-deal": ("add-deal {who} --format json",),
    "edit-client": (
        "edit-client {who} --company {text} --format json",
        "edit-client {mine} --phone {phone}",
        "edit-client {mine} --email {email} --format {form}",
        "edit-client {mine} --tax-id {tax_id}",
    ),
    "edit-deal": ("edit-deal {who} --amount 100", "edit-deal {mine} --deal {deal} --interest {text}"),
    "log-call": (
        "log-call {who} in --said {text} --promise {text} --due tomorrow",
        "log-call {mine} out --deal {deal}",
        "log-call {phone} in --new {name} --format {form}",
    ),
    "log-activity": ("log-activity {who} meeting --said {text}", "log-activity {mine} visit --deal {deal}"),
    "log-sale": (
        "log-sale {who} 100 --item tea:1:100 --unlisted",
        "log-sale {mine} 100 --refund-of {sale}",
        "log-sale {mine} 100 --deal {deal}",
    ),
    "void": ("void {sale}", "void {activity} --format json", "void {deal}"),
    "archive": ("archive {who}",),
    "unarchive": ("unarchive {who}",),
    "erase": ("erase {who} --yes --format json",),
    "undo": ("undo {commit} --dry-run --format {form}", "undo {commit}", "undo --dry-run --format {form}"),
    "trash": ("trash --format {form}", "trash --since 2025-01-01 --limit 0 --format {form}"),
    "advance-stage": (
        "advance-stage {who} --note {text}",
        "advance-stage {who} --lost price --return +2w",
        "advance-stage {mine} --deal {deal}",
    ),
    "add-reminder": (
        "add-reminder {who} {text} --due tomorrow --promise",
        "add-reminder {mine} {text} --due today --every 1w --deal {deal}",
        "add-reminder {mine} {text} --due today --assignee {person}",
    ),
    "done": ("done {reminder} --log-call answered --said {text}", "done 1"),
    "snooze": ("snooze {reminder} tomorrow", "snooze 1 tomorrow"),
    "agenda": (
        "agenda --format {form}",
        "agenda --all --week --format {form}",
        "agenda --all --overdue --reveal --yes",
    ),
    "set-cadence": ("set-cadence {who} 30d",),
    "remind": ("remind --dry-run --format {form}", "remind --format {form}", "remind --digest --format {form}"),
    "show": ("show {who} --format {form}",),
    "find": ("find {who} --format {form}", "find {text} --limit 0 --format {form}", "find {text} --reveal --yes"),
    "list": (
        "list {kind} --format {form}",
        "list {kind} --client {who} --format csv",
        "list {kind} --limit 1",
        "list {kind} --limit 0 --reveal --yes",
        "list {kind} --owner {person} --format {form}",
        "list {kind} --by {person} --format csv",
        "list clients --archived --format {form}",
        "list clients --source web --period 2026",
        "list clients --segment business --format csv",
        "list deals --stage discovery --status open --format json",
        "list reminders --cause promise --format json",
        "list calls --direction in --result answered --format csv",
    ),
    "report funnel": (
        "report funnel --format {form}",
        "report funnel --by {by} --format {form}",
        "report funnel --view snapshot --format {form}",
        "report funnel --period 2026-03 --as-of 2026-03-02 --format csv",
    ),
    "report stages": (
        "report stages --format {form}",
        "report stages --period 2026-03 --as-of 2026-03-02 --format csv",
    ),
    "report summary": (
        "report summary --format {form}",
        "report summary --period 2026-03 --format {form}",
        "report summary --period 2026 --as-of 2026-03-01 --format json",
    ),
    "report sales": (
        "report sales --period 2026-03 --format {form}",
        "report sales --by {sold_by} --period 2026 --format {form}",
    ),
    "report calls": ("report calls --format {form}", "report calls --by {called_by} --period 2026 --format {form}"),
    "report sources": ("report sources --format {form}", "report sources --period 2026 --format csv"),
    "report lost": ("report lost --format {form}", "report lost --pipeline new --as-of 2026-03-01 --format csv"),
    "report managers": ("report managers --format {form}", "report managers --period 2026-03 --format json"),
    "report periods": ("report periods --format {form}", "report periods --as-of 2026-03-01 --format csv"),
    "reactivate": (
        "reactivate --format {form}",
        "reactivate --rule own --band lost --format {form}",
        "reactivate --leads --format {form}",
        "reactivate --segment business --as-of 2026-02-01 --format json",
    ),
    "reactivate plan": ("reactivate plan --dry-run --format {form}", "reactivate plan --assign --per-day 1"),
    "reactivate result": ("reactivate result --format {form}", "reactivate result --period 2026 --format json"),
    "expected": ("expected --format {form}", "expected --within 400d --as-of 2026-02-01 --format csv"),
    "prep": ("prep {who} --format {form}", "prep {mine} --format {form}"),
    "suggest": (
        "suggest {who} --format {form}",
        "suggest {mine} --format {form}",
        "suggest --product {text} --format json",
    ),
    "products": ("products --format {form}",),
    "products set": ("products set {text} --price 10", "products set Zqx --new --category {text}"),
    "report repeat": ("report repeat --format {form}", "report repeat --by {by} --horizon 1d --format csv"),
    "client period": ("client period {who} --format {form}", "client period {who} --set 45d"),
    "norms": ("norms --format {form}",),
    "import": ("import {rows} {file} --dry-run", "import {rows} {file}", "import {rows} {file} --skip-errors"),
    "export": (
        "export {exported} --out {out} --for crm --format {written}",
        "export {exported} --out {out} --for crm --columns name,phone --yes",
        "export clients --out {out} --for excel --grant {grant}",
        "export clients --out {out} --for crm --encrypt-to {card}",
    ),
    "grant export": ("grant export --to {person} --book {person}",),
    "grant erase": ("grant erase --to {person}",),
    "grant list": ("grant list --all --format {form}",),
    "grant revoke": ("grant revoke {grant}",),
    "settings show": ("settings show",),
    "settings set": ("settings set reveal_rows 1000",),
    "schedule show": ("schedule show --format {form}",),
    "schedule set": ("schedule set digest none",),
    "schedule run": ("schedule run",),
    "process show": ("process show",),
    "process check": ("process check {process}",),
    "process edit": ("process edit",),
    "process apply": ("process apply {process}",),
    "member add": ("member add Zoe --card {card} --role admin",),
    "member list": ("member list --all --format {form}",),
    "member show": ("member show {person}",),
    "member role": ("member role {person} admin",),
    "member allow": ("member allow {person} --read {person}",),
    "member remove": ("member remove {person} --to {person}",),
    "transfer": (
        "transfer --from {person} --to {person} --dry-run",
        "transfer --from {person} --to {person} {who}",
    ),
    "history": ("history {who} --format {form}", "history {mine} --format {form}"),
    "canary plant": ("canary plant --format {form}", "canary plant --owner {person}"),
    "canary list": ("canary list --format {form}",),
    "canary who": ("canary who {file} --format {form}",),
    "gc": ("gc",),
}
# These see the log, which everybody may see: which member wrote to which table of which book, and how many rows.
OF_THE_LOG: dict[str, tuple[str, ...]] = {
    "audit": (
        "audit --format {form}",
        "audit --flags --format {form}",
        "audit --client {who} --format {form}",
        "audit --who {person} --type data",
    ),
    "verify": ("verify",),
    "doctor": ("doctor --format {form}", "doctor --quarantine {data_file}"),
}
# These take no key: they copy and count what is encrypted.
KEYLESS: dict[str, tuple[str, ...]] = {
    "backup make": ("backup make --format {form}",),
    "backup list": ("backup list --format {form}",),
    "backup show": ("backup show latest --format {form}",),
    "backup verify": ("backup verify --deep --format {form}",),
    "backup drill": ("backup drill --format {form}",),
    "backup status": ("backup status --format {form}",),
    "backup pin": ("backup pin latest",),
    "backup forget": ("backup forget --keep-days 0 --format {form}",),
    "restore": ("restore latest --to {restored} --exact",),
}
# These open no book.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "init": ("init --company Zqx --no-passphrase",),
    "demo": (),
    "channel add": ("channel add desktop",),
    "channel list": ("channel list",),
    "channel test": ("channel test stdout",),
    "channel remove": ("channel remove desktop",),
    "schedule install": ("schedule install", "schedule install --systemd"),
    "identity new": ("identity new --name Zqx --no-passphrase",),
    "identity show": ("identity show",),
    "identity join": ("identity join {fingerprint}",),
    "identity card": ("identity card",),
    "identity passphrase": (),
    "identity open": ("identity open {data_file} --out {out}",),
    "identity recover": ("identity recover --name Zqx --no-passphrase",),
}
FORMS = ("table", "json", "jsonl", "csv", "tsv", "ids")
COMMON: dict[str, Sequence[str]] = {
    "form": FORMS,
    "commit": tuple(str(seq) for seq in range(1, 40)),
    "kind": ("clients", "deals", "calls", "sales", "reminders"),
    "sold_by": ("day", "week", "month", "quarter", "year", "manager", "source", "segment", "product"),
    "called_by": ("day", "week", "month", "manager", "hour", "result"),
    "by": ("owner", "source", "segment", "repeat"),
    "exported": ("clients", "deals", "calls", "activities", "sales", "reminders", "notes"),
    "written": ("csv", "jsonl"),
}


def command_lines(tries: Sequence[str], guesses: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield the command lines that ways to try something stand for.

    Each guess comes once, beside the others in turn; the first in all formats, the rest in one each.
    """
    guesses = {**COMMON, **guesses}
    for line in tries:
        names = [name for name in _names(line) if name != "form"]
        for turn in range(max((len(guesses[name]) for name in names), default=1)):
            values = {name: guesses[name][turn % len(guesses[name])] for name in names}
            for form in FORMS if "{form}" in line and turn == 0 else (FORMS[turn % len(FORMS)],):
                yield _filled(line, values | {"form": form})


def spread(lines: Sequence[list[str]], most: int | None) -> Sequence[list[str]]:
    """Return at most so many of them, from all over: a usual run does with that, a long one leaves none out."""
    return lines[:: -(-len(lines) // most)] if most and lines else lines


def names_in(tries: Mapping[str, Sequence[str]]) -> set[str]:
    """Return what is to be guessed for all these ways."""
    return {name for lines in tries.values() for line in lines for name in _names(line)} - COMMON.keys()


def _names(line: str) -> list[str]:
    return list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(line) if name))


def _filled(line: str, values: Mapping[str, str]) -> list[str]:
    return [word.format_map(values) for word in line.split()]

"""Writes the generated parts of the reference: `python -m docs.generate`, from the project's folder.

What can be known from the program is not typed twice: the commands' options, the tables, the test vectors. A test
compares the pages with what this module makes of the program, so that they cannot drift apart.
"""  # noqa: INP001 - documentation is no package

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer

from crmcli import cli
from crmcli.commands import COMMANDS
from crmcli.storage.identity import Identity, recovery_text
from crmcli.storage.keys import FileAddress, key_id
from crmcli.storage.tables import TABLES, Table
from tests.replay import parse

ROOT = Path(__file__).parents[1]
TRANSCRIPTS = ROOT / "tests" / "transcripts"
REFERENCE = ROOT / "docs" / "reference"

# What a code means for one command in particular; exit-codes.md says what each means for all.
CODES: dict[str, dict[int, str]] = {
    "init": {2: "no such currency, time zone or region", 4: "the folder is not empty"},
    "demo": {4: "the folder is not empty"},
    "add-client": {
        2: "no name, phone or e-mail; a source or segment that is not in the list",
        4: "somebody has that phone, e-mail or tax id already",
    },
    "edit-client": {
        2: "no phone, e-mail, source or segment; nothing would change",
        3: "no such client, or no such phone or e-mail of theirs",
        4: "several clients fit; somebody else has that phone, e-mail or tax id",
    },
    "edit-deal": {
        2: "no sum or listed product; nothing would change",
        3: "the client has no open deal",
        4: "the client has several open deals",
        5: "the deal is closed",
    },
    "log-call": {
        2: "a promise without a date, or a time in the future",
        3: "nobody has that phone, and there is no `--new`",
        4: "several clients fit",
        5: "a promise with a date takes more than 1000 characters",
    },
    "log-activity": {
        2: "a promise without a date, or a time in the future",
        3: "no such client",
        4: "several clients fit",
        5: "a promise with a date takes more than 1000 characters",
    },
    "log-sale": {
        2: "no sum, no item of the form NAME:QTY:PRICE, or a next purchase that is not after the last one",
        3: "no such client, sale or deal",
        5: "more is given back than is left of the sale; an item is no listed product",
    },
    "client period": {2: "no number of days", 3: "no such client", 4: "several clients fit"},
    "expected": {2: "no number of days"},
    "reactivate": {2: "no such segment, or options that do not go together"},
    "reactivate plan": {15: "the role may not write"},
    "reactivate result": {2: "no such period or number of days"},
    "prep": {3: "no such client", 4: "several clients fit"},
    "suggest": {2: "neither a client nor a product, or both", 3: "no such client or product", 4: "several fit"},
    "products set": {
        2: "no price, or no number of days",
        3: "no such product",
        4: "several products fit, or there is one of that name",
        15: "a manager may add products, and change none",
    },
    "report repeat": {2: "no such period or number of days"},
    "norms": {15: "no admin or service"},
    "void": {3: "no such sale or activity", 5: "it is voided already, or has refunds that are not"},
    "archive": {3: "no such client", 4: "several clients fit", 5: "the client is archived already"},
    "unarchive": {3: "no such client", 4: "several clients fit", 5: "the client is not archived, or erased"},
    "advance-stage": {
        2: "no such stage or lost reason",
        3: "the client has no open deal",
        4: "the client has several open deals; somebody moved the deal meanwhile",
        5: "the deal is there already, at the last stage, or closed; something that a stage requires is not known",
    },
    "add-reminder": {
        2: "no text, no date, or no repetition",
        3: "no such client; nobody of that name",
        4: "several clients fit",
        5: "the assignee does not open this client; the text takes more than 1000 characters",
    },
    "done": {
        2: "what was said without `--log-call`",
        3: "no such reminder, or no such number in the last agenda",
        5: "it is done already, or a promise with a date takes more than 1000 characters",
    },
    "snooze": {3: "no such reminder, or no such number in the last agenda", 5: "it is done already"},
    "set-cadence": {2: "no cadence", 3: "no such client", 4: "several clients fit"},
    "channel add": {2: "an option is missing, or no address, host or URL", 3: "nobody of that name", 15: "no service"},
    "channel test": {3: "no such channel", 16: "it was not sent"},
    "channel remove": {3: "no such channel"},
    "schedule set": {2: "no such schedule or time", 5: "there is no such command in this version", 15: "no admin"},
    "schedule run": {1: "a job failed; the error names it, with its own exit code"},
    "remind": {
        16: "something was not delivered: refused by a channel, or printed for nobody; a later run tries again",
        17: "what was printed went onto a full disk; the next run prints it again",
    },
    "schedule install": {1: "it could not be written", 2: "a path that no line can hold"},
    "agenda": {2: "options that exclude one another", 15: "no grant for `--reveal`"},
    "show": {3: "no such client", 4: "several clients fit"},
    "find": {3: "nothing found", 15: "no grant for `--reveal`"},
    "list": {
        2: "a filter that does not go with what is listed",
        3: "nobody of that name on the staff",
        15: "no grant for `--reveal`",
    },
    "report funnel": {2: "no such period or pipeline"},
    "report summary": {2: "no such period"},
    "import": {2: "a row is rejected; nothing was saved", 15: "the role may not write"},
    "export": {
        2: "a format that does not go with what is asked for, no such column or folder, no library for xlsx",
        3: "there is nothing to export",
        4: "something is there already",
        13: "the proof on the card is wrong",
        14: "the card was made for another store",
        15: "no grant, or none that is for it; only names are asked for, and your keys open none",
        17: "no space: nothing was recorded and no grant used, unless it says so",
    },
    "grant export": {2: "no such column or time", 3: "no such member", 15: "no admin"},
    "grant erase": {2: "no such time", 3: "no such member", 15: "no admin"},
    "grant revoke": {3: "no such grant", 4: "it is revoked already", 15: "no admin"},
    "settings set": {2: "no such setting or value", 5: "sums are recorded in the present currency", 15: "no admin"},
    "identity open": {4: "something is there already", 12: "it is sealed for somebody else", 13: "it was changed"},
    "process check": {2: "the file is not a process", 5: "open deals stand at a stage that it leaves out"},
    "process edit": {
        2: "no editor, or what it left is not a process",
        4: "somebody changed the process meanwhile",
        5: "open deals stand at a stage that it leaves out",
        15: "no admin",
    },
    "process apply": {
        2: "the file is not a process",
        5: "open deals stand at a stage that it leaves out",
        15: "no admin",
    },
    "identity new": {4: "there is an identity in the file already"},
    "identity join": {2: "no fingerprint", 14: "the store at hand has another fingerprint"},
    "identity card": {4: "there is a file of that name already", 14: "the identity is not tied to the store at hand"},
    "identity passphrase": {12: "the old passphrase is wrong, or there is nobody to ask for the new one"},
    "member add": {
        2: "the file is no card",
        4: "the name is taken, or the member is there with another name or role, or was removed",
        13: "the keys or the proof on the card are wrong",
        14: "the card is for another store",
        15: "no admin",
    },
    "member show": {3: "nobody of that name"},
    "member role": {
        3: "nobody of that name",
        5: "oneself, the last admin, the recovery key, or a role that cannot have the clients there are",
        15: "no admin",
    },
    "member allow": {3: "nobody of that name", 5: "it does not go with the role", 15: "no admin"},
    "member remove": {3: "nobody of that name", 5: "oneself, the last admin, or clients and no `--to`", 15: "no admin"},
    "transfer": {
        3: "nobody of that name, or no such client of theirs",
        5: "one of the two has no book, or a canary is named",
        15: "no admin",
    },
    "audit": {
        2: "no such type or period",
        3: "nobody of that name on the staff; no such client",
        13: "the log is not the one that was verified",
    },
    "history": {3: "no such client", 4: "several clients fit"},
    "canary plant": {
        2: "no such domain or phone, or more phones than books",
        3: "nobody of that name has a book",
        4: "somebody has that phone",
        15: "no admin",
    },
    "canary list": {15: "no admin"},
    "canary who": {2: "the file is absent, too large or broken", 3: "no canary is in the file", 15: "no admin"},
    "verify": {
        2: "`--accept-restore` is no hash",
        13: "something is damaged; each file is named",
        14: "the store has no such restore, or this machine took it before",
    },
    "backup make": {
        3: "backups lay there and are gone, or --if-due and none were made yet",
        2: "a place inside the store, or no address of one",
        13: "the store has lost a file: all else is in the snapshot",
        14: "the place has backups of another store, or of a newer state than this one",
        17: "the place is full: what was copied stays, and the next run goes on",
    },
    "backup list": {3: "no backups there"},
    "backup show": {3: "no such snapshot", 4: "several begin like that", 13: "it is no backup of this store"},
    "backup verify": {
        3: "no backups there, or no such snapshot",
        6: "a snapshot cannot be what it says, or what came of it could not be kept there",
        13: "something is damaged or missing; each object is named",
    },
    "backup drill": {3: "no snapshot there", 13: "it cannot be restored"},
    "backup status": {
        3: "no backups there",
        6: "no verified backup is young enough, one failed its last check or is not genuine, or they are gone",
    },
    "backup pin": {3: "no such snapshot", 4: "several begin like that"},
    "backup forget": {3: "no such snapshot", 5: "it has to stay, or none would be left"},
    "restore": {
        2: "no such book or table, a misread recovery key, or a folder that no store can take the place of",
        3: "no such snapshot",
        4: "the folder is not empty, or several snapshots begin like that",
        11: "another restore into that folder is at work",
        13: "the snapshot is damaged: nothing was written",
        15: "clients were erased since: only an admin restores it",
    },
    "doctor": {
        5: "the file to be quarantined can be read",
        6: "a check needs attention",
        13: "the file to be quarantined is not what was signed: a backup may have it",
    },
}

_BEGINNING = (
    "`crmcli COMMAND --help` says the same. Exit codes that are not listed here are those of "
    "[all commands](exit-codes.md). Keys and ids in the examples will be other ones for you."
)


def pages() -> dict[Path, str]:
    """Return the path and the whole text of every page that is generated, or has generated parts."""
    form = REFERENCE / "store-format.md"
    text = form.read_text(encoding="utf-8")
    for name, part in (("tables", tables()), ("vectors", vectors())):
        text = between(text, name, part)
    return {form: text, REFERENCE / "commands.md": commands()}


def between(text: str, name: str, part: str) -> str:
    """Return a page with what stands between the marks of that name replaced."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"no marks for {name}")
    return f"{before}{begin}\n{part}\n{end}{after}"


def tables() -> str:
    """Return the tables of the store, a Markdown table each."""
    return "\n\n".join("\n".join(_table(table)) for table in TABLES.values())


def _table(table: Table) -> Iterator[str]:
    yield f"#### {table.name}"
    yield ""
    yield f"Group `{table.group}`. {_first_paragraph(table.record)}"
    yield ""
    yield "| column | Arrow | Parquet | |"
    yield "|---|---|---|---|"
    for field in table.schema:
        marks = {"key": field.name == table.key, "time": field.name == table.time, "listed": field.name in table.values}
        said = ", ".join(mark for mark, is_set in marks.items() if is_set)
        yield f"| `{field.name}` | `{_arrow(field.type)}` | {_parquet(field.type)} | {said} |"


def _arrow(kind: Any) -> str:
    return str(kind).replace("item: ", "").replace("element: ", "")


def _parquet(kind: Any) -> str:
    if pa.types.is_decimal(kind):
        return f"FIXED_LEN_BYTE_ARRAY(8), DECIMAL({kind.precision}, {kind.scale})"
    return {
        pa.int64(): "INT64",
        pa.bool_(): "BOOLEAN",
        pa.string(): "BYTE_ARRAY, STRING",
        pa.timestamp("us"): "INT64, TIMESTAMP(MICROS, not adjusted to UTC)",
        pa.date32(): "INT32, DATE",
        pa.list_(pa.string()): "LIST (`list`, `element`) of BYTE_ARRAY, STRING",
    }[kind]


def vectors() -> str:
    """Return examples of what is derived from fixed bytes, for whoever writes another program."""
    seed, key, text = bytes(range(32)), bytes(range(32, 64)), "00112233445566778899aabbccddeeff"
    admin = Identity.recover(seed)
    address = FileAddress(text, "0123456789AB", "contacts", "personal", 1, text[::-1])
    rows = [
        ("recovery bytes R", seed.hex()),
        ("their text", recovery_text(seed)),
        ("their member id", admin.member),
        ("their seed, first 32 bytes", admin.keys.seed[:32].hex()),
        ("their `sign`", admin.keys.public.sign.hex()),
        ("their `x25519`", admin.keys.public.x25519.hex()),
        ("their `mlkem`, first 32 bytes", admin.keys.public.mlkem[:32].hex()),
        ("their memory key", admin.keys.memory_key().hex()),
        ("book key", key.hex()),
        ("its key_id", key_id(key)),
        ("file id", address.file_id),
        ("file key", address.key(key).hex()),
        ("AAD prefix", address.aad().decode().replace("|", "\\|")),
    ]
    return "\n".join(["| test vector | value |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in rows)])


def commands() -> str:
    """Return the page of all commands."""
    root = typer.main.get_command(cli.app)
    context = typer.Context(root, info_name="crmcli")
    parts = [
        "# Commands",
        "<!-- This page is generated: python -m docs.generate -->",
        _BEGINNING,
        "## Global options\n\nThey may stand anywhere on the command line.\n\n"
        + _options([p for p in root.params if p.name in ("store", "identity", "op_id", "version")]),
    ]
    parts += ["\n\n".join(_command(name, _found(root, context, name))) for name in COMMANDS]
    return "\n\n".join(parts) + "\n"


def _found(root: Any, context: Any, name: str) -> Any:
    command = root
    for word in name.split():
        command = command.get_command(context, word)
    return command


def _command(name: str, command: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=f"crmcli {name}")
    yield f"## crmcli {name}"
    yield _paragraphs(inspect.getdoc(command.callback) or "")
    yield f"```text\ncrmcli {name} {' '.join(command.collect_usage_pieces(context))}\n```"
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    if arguments:
        lines = (f"| `{param.make_metavar(context).partition(':')[0]}` | {_help(param)} |" for param in arguments)
        yield "\n".join(["| argument | |", "|---|---|", *lines])
    options = [param for param in command.params if param.param_type_name == "option"]
    if options:
        yield _options(options)
    if name in CODES:
        lines = (f"| {code} | {text} |" for code, text in CODES[name].items())
        yield "\n".join(["| exit code | here |", "|---|---|", *lines])
    if shown := example(name):
        yield f"```text\n{shown}\n```"


def _options(options: list[Any]) -> str:
    context = typer.Context(typer.main.get_command(cli.app))
    lines = []
    for param in options:
        is_listed = hasattr(param.type, "choices")
        value = "" if param.is_flag else " VALUE" if is_listed else f" {param.make_metavar(context)}"
        lines.append(f"| `{', '.join(param.opts)}{value}` | {_help(param)} |")
    return "\n".join(["| option | |", "|---|---|", *lines])


def _help(param: Any) -> str:
    """Return what the help says of a parameter, with its values, its default and whether it is needed."""
    said = [(param.help or "").replace("|", "\\|")]
    if hasattr(param.type, "choices"):
        said.append(", ".join(f"`{choice}`" for choice in param.type.choices))
    if param.param_type_name == "option" and isinstance(param.default, (str, int)) and not param.is_flag:
        said.append(f"`{param.default}` if left out")
    if param.param_type_name == "option" and param.required:
        said.append("required")
    return "; ".join(said)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _first_paragraph(record: type[Any]) -> str:
    return " ".join((inspect.getdoc(record) or "").split())


def example(name: str) -> str | None:
    """Return the first step of a transcript that shows a command, with what it prints; None if none does."""
    wanted = re.compile(rf"crmcli {re.escape(name)}(?![\w-])")
    own = TRANSCRIPTS / f"{name.replace(' ', '-')}.md"
    for path in sorted(TRANSCRIPTS.glob("*.md"), key=lambda path: (path != own, path.name)):
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        for step in parse(text):
            if step.is_shown and wanted.match(step.command):
                command = step.command.replace("\n", "\n> ")
                return "\n".join([f"$ {command}", *lines[step.start : step.stop]])
    return None


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

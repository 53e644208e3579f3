"""Who holds the keys of facts alone, an analyst or a service, is shown nothing personal by any command."""

from __future__ import annotations

import pytest

from crmcli.commands import COMMANDS
from tests.storage.company import Result
from tests.team.commands import ELSEWHERE, KEYLESS, OF_THE_LOG, TRIES, command_lines, spread
from tests.team.twins import COLLEAGUE, ME, TEXT, Desk, Twins

WITHOUT_NAMES = ("analyst", "service")
# What may be known of a client by who holds facts alone, whatever the commands show: nothing of this.
COLUMNS = ("name", "company", "phones", "raw_phones", "emails", "tax_id", "address", "external_ids")


@pytest.fixture(scope="module")
def desk(twins: Twins) -> Desk:
    """The store of the colleague with clients, in which those without names have a grant to export."""
    desk = twins.full
    for who in WITHOUT_NAMES:
        member = desk.identity(who).member
        desk.done("grant", "export", "--to", member, "--expires", "2026-04-01", who="admin")
        (desk.home(who) / "out").mkdir()
    return desk


@pytest.fixture(scope="module")
def personal(desk: Desk) -> set[str]:
    """Every personal text in the store."""
    view = desk.view("admin")
    cells = [getattr(contact, column) for contact in view.records("contacts") for column in COLUMNS]
    contacts = {text for cell in cells if cell for text in (cell if isinstance(cell, tuple) else [cell])}
    # The process gives reminders texts, and everybody may know the process.
    company = desk.done("process", "show", who="admin")
    notes = {note.text for note in view.records("notes") if note.text not in company and len(note.text) > 3}
    assert {"Zqxbert Markerov", "+79167773142", "K-zqx-1"} <= contacts
    assert {"wants tea", TEXT} <= notes
    # Any word of a name tells, but for those that the program itself might use.
    return notes | {word for text in contacts for word in (text, *text.split()) if len(word) > 3}


def guesses(twins: Twins, desk: Desk) -> dict[str, list[str]]:
    return twins.guesses | {
        "mine": twins.guesses["who"][:1],
        "data_file": [str(next(desk.root.glob("files/*/*.parquet")))],
        "fingerprint": ["0" * 64],
    }


def check(desk: Desk, who: str, arguments: list[str], result: Result, personal: set[str]) -> None:
    """Check that nothing personal was shown or written but what was typed, and that it ended as commands do."""
    out = desk.folder / "out"
    written = b"".join(path.read_bytes() for path in out.iterdir()).decode(errors="replace")
    for path in out.iterdir():
        path.unlink()
    shown = f"{result.out}\n{result.err}\n{written}"
    typed = " ".join(arguments)
    assert [text for text in personal if text in shown and text not in typed] == [], (who, arguments)
    # A schedule ends with 1 if one of its jobs did not work out.
    ends = (0, 2, 3, 4, 5, 6, 12, 14, 15) if arguments[:1] != ["schedule"] else (0, 1, 2, 15)
    assert result.code in ends, (who, arguments, result)
    assert "Traceback" not in shown
    assert "unforeseen" not in shown
    assert result.code == 0 or result.err.count("crmcli: error: ") == 1 or 1 in ends


# The two hold the same keys, so that for one of them a few do.
@pytest.mark.parametrize(
    ("who", "most"),
    [("analyst", 16), ("service", 6), *(pytest.param(who, None, marks=pytest.mark.soak) for who in WITHOUT_NAMES)],
)
@pytest.mark.parametrize("command", [*TRIES, *OF_THE_LOG, *KEYLESS])
def test_nothing_personal_is_shown(
    twins: Twins, desk: Desk, personal: set[str], command: str, who: str, most: int | None
) -> None:
    lines = list(command_lines((TRIES | OF_THE_LOG | KEYLESS)[command], guesses(twins, desk)))
    for arguments in spread(lines, most):
        here = [word.replace("FOLDER", str(desk.folder)) for word in arguments]
        check(desk, who, here, desk.crmcli(*here, who=who), personal)


@pytest.mark.parametrize("command", COMMANDS)
def test_nor_by_a_process_of_its_own_that_ends(twins: Twins, desk: Desk, personal: set[str], command: str) -> None:
    for arguments in list(command_lines((TRIES | OF_THE_LOG | KEYLESS | ELSEWHERE)[command], guesses(twins, desk)))[:1]:
        here = [word.replace("FOLDER", str(desk.folder)) for word in arguments]
        check(desk, "analyst", here, desk.run(*here, who="analyst"), personal)


def test_the_analyst_does_see_facts(desk: Desk) -> None:
    assert len(desk.crmcli("list", "clients", "--format", "ids", who="analyst").out.split()) == 7
    assert desk.crmcli("report", "summary", who="analyst").out == desk.crmcli("report", "summary", who="admin").out
    out = desk.folder / "out" / "facts"
    assert desk.crmcli("export", "clients", "--out", str(out), "--for", "crm", who="analyst").code == 0
    assert out.read_text().count("\n") == 11
    out.unlink()


def test_the_search_finds_what_is_shown_to_others(desk: Desk, personal: set[str]) -> None:
    for who in (ME, COLLEAGUE):
        with pytest.raises(AssertionError):
            check(desk, who, [], desk.crmcli("list", "clients", who=who), personal)

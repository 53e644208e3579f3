"""All is lost but a copy of the store and the key on paper: on a clean machine the work goes on, with a new team."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from crmcli.storage import writing
from crmcli.storage.keyring import new_epoch
from tests.storage.company import Company, Result, change_keys, commit
from tests.team.thief import readable, unwrapped


def found(text: str, name: str) -> str:
    value = re.search(rf"^{name} +(\S+)", text, re.MULTILINE)
    assert value, (name, text)
    return value[1]


def done(company: Company, *arguments: str, who: str = "admin") -> str:
    result = company.run(*arguments, who=who)
    assert result.code == 0, (who, arguments, result)
    return result.out


def told(company: Company, text: str, *arguments: str, who: str) -> Result:
    """Run a command that reads a secret from standard input."""
    with company.start(*arguments, who=who, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(text, timeout=20)
    return Result(process.returncode, out, err)


def join(company: Company, who: str, role: str, fingerprint: str, admin: str) -> None:
    """Somebody makes an identity, joins by the fingerprint, and is enrolled by the card."""
    card = company.folder / f"{who}.card"
    done(company, "identity", "new", "--name", who, "--no-passphrase", who=who)
    done(company, "identity", "join", *fingerprint.split("-"), who=who)
    done(company, "identity", "card", "--out", str(card), who=who)
    done(company, "member", "add", who.title(), "--card", str(card), "--role", role, who=admin)


def test_the_key_on_paper_opens_a_copy_and_enrols_a_team_again(tmp_path: Path) -> None:
    lost = Company(tmp_path / "lost")
    made = done(lost, "init", "--company", "Acme", "--admin", "Ada", "--no-passphrase")
    fingerprint, paper = found(made, "fingerprint"), found(made, "recovery key")
    join(lost, "boris", "manager", fingerprint, "admin")
    done(lost, "add-client", "Anna Petrova", "--phone", "+79161234567", "--note", "wants tea", who="boris")
    done(lost, "add-client", "Pavel Orlov", who="admin")
    done(lost, "settings", "set", "record_reveals", "on")

    clean = Company(tmp_path / "clean")
    shutil.copytree(lost.root, clean.root)
    shutil.rmtree(lost.folder)
    assert clean.run("list", "clients", who="olga").code == 12
    recovered = told(clean, f"{paper}\n", "identity", "recover", "--name", "Olga", "--no-passphrase", who="olga")
    assert recovered.code == 0, recovered
    assert clean.names("olga") == ["Anna Petrova", "Pavel Orlov"]
    assert "wants tea" in done(clean, "show", "anna", who="olga")
    assert "problems                0" in done(clean, "verify", who="olga")
    assert "Olga" in done(clean, "member", "list", who="olga")

    # She enrols somebody again, who takes over, and removes those whose machines are lost.
    assert clean.run("identity", "new", "--name", "boris", "--no-passphrase", who="boris2").code == 0
    wrong = clean.run("identity", "join", fingerprint[::-1], who="boris2")
    assert (wrong.code, wrong.out) == (14, "")
    join(clean, "clara", "admin", fingerprint, "olga")
    done(clean, "member", "remove", "Boris", "--to", "Clara", "--rewrite", who="olga")
    done(clean, "member", "remove", "Ada", "--to", "Clara", "--rewrite", who="olga")
    assert clean.names("clara") == ["Anna Petrova", "Pavel Orlov"]
    assert ",Ada," not in done(clean, "member", "list", "--format", "csv", who="clara")
    done(clean, "log-call", "anna", "in", "--said", "back again", who="clara")
    assert "back again" in done(clean, "show", "anna", who="olga")
    assert "problems                0" in done(clean, "verify", who="clara")
    # The key on paper goes on opening what is written now.
    keys = unwrapped(clean.root, clean.identity("olga"))
    assert "back again" in str(readable(clean.root, keys))


def test_an_identity_ties_itself_to_the_store_of_the_fingerprint_alone(company: Company, tmp_path: Path) -> None:
    other = Company(tmp_path / "other")
    theirs = found(done(other, "init", "--company", "Other", "--admin", "Eve", "--no-passphrase"), "fingerprint")
    done(company, "identity", "new", "--name", "new", "--no-passphrase", who="new")
    for fingerprint in (theirs, theirs[:-1], "0" * 64):
        result = company.run("identity", "join", fingerprint, who="new")
        assert result.code in (2, 14), result
        assert company.identity("new").stores == ()
        assert company.run("list", "clients", who="new").code == 14
        assert company.run("identity", "card", who="new").code == 14
    # Another store put in the place of one's own is refused, even by who is a member of both.
    mine = company.open().genesis.hash
    done(company, "identity", "join", mine, who="new")
    shutil.rmtree(company.root)
    shutil.copytree(other.root, company.root)
    assert company.run("list", "clients", who="new").code == 14
    assert company.run("identity", "card", who="new").code == 14


def ways_in(company: Company) -> str:
    rows = company.run("doctor", "--format", "csv").out.splitlines()
    return next(row for row in rows if row.startswith("ways in,"))


def test_doctor_warns_of_books_with_one_way_in(company: Company) -> None:
    """The key on paper is lost, and nobody else is an admin: what only admins open has one way in left."""
    for who in ("admin", "manager"):
        done(company, "add-client", f"Client of {who}", who=who)
    assert ways_in(company) == "ways in,ok,two or more to every book"
    done(company, "member", "remove", "recovery key")
    # The admin's own book, and that of who left.
    assert ways_in(company) == "ways in,attention,2 books have fewer than two"
    assert company.run("doctor").code == 6
    done(company, "member", "role", company.identity("colleague").member, "admin")
    assert ways_in(company) == "ways in,ok,two or more to every book"


def test_doctor_warns_of_older_files_with_one_way_in(company: Company) -> None:
    """Another admin was enrolled, and interrupted before the keys of what was written before were given out."""
    done(company, "add-client", "Anna")
    done(company, "member", "remove", "recovery key")
    store = company.open()
    promotion = {"action": "role", "member": company.identity("colleague").member, "role": "admin"}
    commit(store, writing.Pending("members", body={"members": [promotion]}))
    books = list(store.state.books.values())
    for book in books:
        change_keys(store, new_epoch(store.state, book, store.state.members.values()))
    assert ways_in(company) == "ways in,attention,1 books have fewer than two"
    done(company, "member", "role", company.identity("colleague").member, "admin")
    assert ways_in(company) == "ways in,ok,two or more to every book"

"""Crontab lines and systemd units: what the shell, cron and systemd make of them is what was meant."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.formats.timers import crontab, replaced, systemd

WORDS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=3), WORDS)
def test_a_shell_reads_the_line_as_it_was_meant(words: list[str], value: str) -> None:
    lines = crontab(["printf", r"%s\n", "--", *words], {"CRMCLI_X": value}, ["a note"], "name").splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("# begin crmcli name", "# a note", "# end crmcli name")
    assert lines[2].startswith("* * * * * CRMCLI_X=")
    # cron ends the command at a bare %, and takes the backslash from before one.
    assert "%" not in lines[2].replace(r"\%", "")
    command = lines[2].removeprefix("* * * * * ").replace(r"\%", "%")
    shown = subprocess.run(["/bin/sh", "-c", f"{command}; true"], capture_output=True, check=True).stdout.decode()
    assert shown == "".join(f"{word}\n" for word in ("--", *words))


def test_lines_of_a_name_are_replaced_and_others_stay() -> None:
    one, two = (crontab([word], {}, [], "name") for word in ("one", "two"))
    other = crontab(["other"], {}, [], "other")
    assert replaced("", one, "name") == one
    assert replaced("0 9 * * * mine", one, "name") == f"0 9 * * * mine\n{one}"
    before = f"0 9 * * * mine\n{one}{other}1 9 * * * too\n"
    assert replaced(before, two, "name") == f"0 9 * * * mine\n{two}{other}1 9 * * * too\n"
    with pytest.raises(InputError):
        replaced("# begin crmcli name\n", one, "name")


def test_what_no_line_can_hold() -> None:
    for make in (lambda: crontab(["a\nb"], {}, [], "name"), lambda: systemd(["a\nb"], {}, [])):
        with pytest.raises(InputError):
            make()
    with pytest.raises(InputError):
        systemd(["a"], {"X": "a\nb"}, [])


def test_systemd_expands_nothing() -> None:
    units = systemd(['/a b/"c"', "100%", "$HOME", "\\"], {"X": 'a "b" %h'}, ["a note"])
    assert 'ExecStart="/a b/\\"c\\"" "100%%" "$$HOME" "\\\\"\n' in units["crmcli.service"]
    assert 'Environment="X=a \\"b\\" %%h"\n' in units["crmcli.service"]
    assert "OnCalendar=*:*\n" in units["crmcli.timer"]

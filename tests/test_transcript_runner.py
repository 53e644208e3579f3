"""The transcript runner itself: a transcript that lies has to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.replay import TranscriptError, is_as_shown, parse, replay


def block(*lines: str, info: str = "console") -> str:
    return "\n".join([f"```{info}", *lines, "```", ""])


def test_a_true_transcript_stays_as_it_is(tmp_path: Path) -> None:
    text = "# Title\n\n" + block("$ echo one; echo two >&2", "one", "two", "$ true", "$ printf three", "three")
    assert replay(text, tmp_path) == text


def test_wrong_output_is_replaced_and_the_rest_is_kept(tmp_path: Path) -> None:
    text = "before\n" + block("$ echo one", "eins", "$ echo two", "t[…]") + "after\n"
    assert replay(text, tmp_path) == text.replace("eins", "one")


def test_missing_output_is_added(tmp_path: Path) -> None:
    assert replay(block("$ echo one", "$ echo two"), tmp_path) == block("$ echo one", "one", "$ echo two", "two")


@pytest.mark.parametrize("lie", ["[exit 5]", "[exit 40]", "...", "[…]x", None])
def test_an_exit_code_is_part_of_the_output(lie: str | None, tmp_path: Path) -> None:
    truth = ["$ sh -c 'echo no; exit 4'", "no", "[exit 4]"]
    assert replay(block(*truth[:2], *([lie] if lie else [])), tmp_path) == block(*truth)


@pytest.mark.parametrize(
    ("shown", "happened", "is_same"),
    [
        (["..."], [], True),
        (["...", "z"], ["a", "b", "z"], True),
        (["a", "...", "z"], ["a", "z", "b"], False),
        (["a […] c"], ["a b b c"], True),
        (["a […] c"], ["a", "c"], False),
        (["..."], ["a", "[exit 1]"], False),
        (["a.c"], ["abc"], False),
        (["a"], ["a "], False),
        ([], ["a"], False),
    ],
)
def test_wildcards(shown: list[str], happened: list[str], is_same: bool) -> None:
    assert is_as_shown(shown, happened) is is_same


def test_state_lasts_from_block_to_block(tmp_path: Path) -> None:
    text = block("$ mkdir box; cd box; export WHO=ann") + block("$ echo $WHO in $(basename $PWD)", "ann in box")
    assert replay(text, tmp_path) == text


def test_here_documents_and_file_blocks(tmp_path: Path) -> None:
    text = (
        block("$ cat > a.txt <<'EOF'", "> it's $HOME", ">", "> EOF", "$ cat a.txt", "it's $HOME", "")
        + block("name,phone", "Анна,'1", info="csv file=in/leads.csv")
        + block("$ cat in/leads.csv", "name,phone", "Анна,'1")
    )
    assert replay(text, tmp_path) == text


def test_an_indented_block_keeps_its_indent(tmp_path: Path) -> None:
    text = "1. first\n\n   ```console\n   $ echo one\n   eins\n   ```\n"
    assert replay(text, tmp_path) == text.replace("eins", "one")


def test_blocks_that_are_not_run() -> None:
    text = block("$ rm x", info="console skip") + block("rm y", info="sh") + "````\n" + block("$ rm z") + "````\n"
    assert parse(text) == []


def test_a_text_without_commands_is_true(tmp_path: Path) -> None:
    assert replay("words\n" + block(), tmp_path) == "words\n" + block()


def test_the_question_mark_variable_is_that_of_the_command_before(tmp_path: Path) -> None:
    text = block("$ (exit 3)", "[exit 3]", "$ echo $?", "3")
    assert replay(text, tmp_path) == text


def test_each_command_line_has_a_seed_that_new_lines_leave_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = replay(block("$ echo $CRMCLI_SEED", "$ echo $CRMCLI_SEED"), tmp_path / "a").split("\n")
    after = replay(block("$ echo new", "$ echo $CRMCLI_SEED", "$ echo $CRMCLI_SEED"), tmp_path / "b").split("\n")
    assert before[2] != before[4]
    assert after[3:] == before[1:]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (block("hello"), "line 2: a console block begins with a command"),
        ("```console\n$ true\n", "line 1: the block is not closed"),
        (block("$ echo 'open"), "did not get past `echo 'open`"),
        (block("$ exit 2", "$ echo never"), "did not get past `exit 2`"),
        ("<!-- run: false -->\n" + block("$ true"), "line 1: `false` failed"),
    ],
)
def test_what_cannot_be_replayed_says_why(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(TranscriptError) as error:
        replay(text, tmp_path)
    assert complaint in str(error.value)


def test_pytest_collects_fails_and_updates(pytester: pytest.Pytester) -> None:
    path = pytester.path / "docs" / "page.md"
    path.parent.mkdir()
    path.write_text("Words.\n\n<!-- run: echo hidden > file -->\n" + block("$ cat file", "shown"), encoding="utf-8")
    (pytester.path / "prose.md").write_text("No console here.\n", encoding="utf-8")

    wrong = pytester.runpytest("-p", "tests.replay")
    wrong.assert_outcomes(failed=1)
    wrong.stdout.fnmatch_lines(["*as it happens*", "-shown", "+hidden"])

    pytester.runpytest("-p", "tests.replay", "--update-transcripts").assert_outcomes(passed=1)
    assert path.read_text(encoding="utf-8").endswith("$ cat file\nhidden\n```\n")
    pytester.runpytest("-p", "tests.replay").assert_outcomes(passed=1)


def test_absent_sample_data_skips(pytester: pytest.Pytester) -> None:
    (pytester.path / "page.md").write_text("<!-- needs: no-such-data -->\n" + block("$ false"), encoding="utf-8")
    pytester.runpytest("-p", "tests.replay").assert_outcomes(skipped=1)

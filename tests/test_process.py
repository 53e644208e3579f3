"""The process file: what is shown, what may be applied, and that TOML text means what it was made of."""

from __future__ import annotations

import re
import shutil
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import OvertakenError
from crmcli.formats.toml_text import toml_text
from crmcli.model.process import DEFAULT, Process
from crmcli.storage.processing import apply_process
from tests.storage.company import Company, Result, make_company


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return make_company(tmp_path_factory.mktemp("founded") / "company")


@pytest.fixture
def company(founded: Company, tmp_path: Path) -> Company:
    return Company(Path(shutil.copytree(founded.folder, tmp_path / "company")))


def apply(company: Company, text: str, *options: str, who: str = "admin") -> Result:
    path = company.folder / "process.toml"
    path.write_text(text, encoding="utf-8")
    return company.crmcli("process", "apply", str(path), *options, who=who)


def shown(company: Company) -> str:
    result = company.crmcli("process", "show")
    assert (result.code, result.err) == (0, "")
    return result.out


PRODUCT = '[[products]]\nname = "Чай \\"Ёж\\""\ncategory = "a\\\\b"\nprice = 350.5\nuse_up_days = 30\n'

_texts = st.text(st.characters(exclude_categories=["Cs"]))
_plain = st.one_of(_texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
_values = st.recursive(_plain, lambda inner: st.lists(inner) | st.dictionaries(_texts, inner))


@given(st.dictionaries(_texts, _values))
def test_toml_text_means_what_it_was_made_of(document: dict[str, Any]) -> None:
    text = toml_text(document)
    assert tomllib.loads(text) == document
    assert all(line.isprintable() for line in text.split("\n"))


def test_what_is_shown_can_be_applied_and_changes_nothing(company: Company) -> None:
    text = shown(company)
    assert Process.from_plain(tomllib.loads(text)) == DEFAULT
    result = apply(company, text)
    assert result.code == 0
    assert "none, nothing changed" in result.out
    assert company.view().newest("process").version == 1


def test_an_applied_process_is_the_process(company: Company) -> None:
    text = shown(company).replace('id = "closing"', 'id = "подпись"') + PRODUCT
    tried = apply(company, text, "--dry-run")
    assert "none, this was a dry run" in tried.out
    assert company.view().products == []
    assert apply(company, text).code == 0
    view = company.view()
    assert view.newest("process").version == 2
    assert view.process.pipelines[0].stages[-1].id == "подпись"
    (product,) = view.products
    assert (product.name, product.category, str(product.price), product.use_up_days) == (
        'Чай "Ёж"',
        "a\\b",
        "350.50",
        30,
    )
    assert shown(company).endswith(PRODUCT.replace("350.5", '"350.5"'))
    assert "nothing changed" in apply(company, shown(company)).out
    assert apply(company, text.replace("350.5", "400")).code == 0
    (cheaper,) = company.view().products
    assert (cheaper.product_id, cheaper.price) == (product.product_id, Decimal(400))


def test_what_was_set_for_a_product_is_what_is_shown_compared_and_put_back_by_a_file(company: Company) -> None:
    before = shown(company) + PRODUCT
    assert apply(company, before).code == 0
    name = 'Чай "Ёж"'
    assert company.crmcli("products", "set", name, "--price", "400", "--category", "").code == 0
    assert company.crmcli("products", "set", "Honey", "--new").code == 0
    now = shown(company)
    assert tomllib.loads(now)["products"] == [{"name": name, "price": "400", "use_up_days": 30}]
    assert "nothing changed" in apply(company, now).out
    told = company.crmcli("process", "check", str(company.folder / "process.toml")).out
    assert told == "nothing would change\n"
    (company.folder / "process.toml").write_text(before, encoding="utf-8")
    told = company.crmcli("process", "check", str(company.folder / "process.toml")).out
    assert [line for line in told.splitlines() if line.startswith(("-p", "+p"))] == [
        '-price = "400"',
        '+price = "350.5"',
    ]
    assert apply(company, before).code == 0
    assert {product.name: str(product.price) for product in company.view().products} == {
        name: "350.50",
        "Honey": "None",
    }
    assert company.crmcli("products", "set", name, "--price", "").code == 0
    assert "price" not in tomllib.loads(shown(company))["products"][0]


def test_a_stage_with_open_deals_stays(company: Company) -> None:
    for name in ("Anna", "Boris"):
        assert company.crmcli("add-client", name).code == 0
    text = shown(company)
    without = re.sub(r'(?s)id = "call".*?\[\[pipelines.stages\]\]\n', "", text, count=1)
    assert without != text
    result = apply(company, without)
    assert result.code == 5
    assert "open deals stand at stage 'call' of pipeline 'new', which the file has not: 2" in result.err
    assert "keep the stage, or move them first" in result.err
    for name in ("Anna", "Boris"):
        assert company.crmcli("advance-stage", name, "--lost", "price").code == 0
    assert apply(company, without).code == 0


def test_a_deal_opened_meanwhile_is_seen(company: Company) -> None:
    session = company.session()
    process = Process.from_plain(tomllib.loads(shown(company).replace('id = "call"', 'id = "greeting"')))
    with pytest.raises(OvertakenError), session.writing() as draft:
        assert apply_process(draft, session.acting(draft), process) == 2
        assert company.crmcli("add-client", "Anna").code == 0
    assert company.view().newest("process").version == 1


def test_only_an_admin_applies(company: Company) -> None:
    text = shown(company) + PRODUCT
    for options in ((), ("--dry-run",)):
        assert apply(company, text, *options, who="manager").code == 15
        assert apply(company, text, *options, who="analyst").code == 15
    assert company.view().newest("process").version == 1


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("sources = [", "sorces = [", "the process has no key 'sorces'"),
        ("segments = [", "segments = 5 #", "segments: must be a list of texts"),
        ("sources = [", "sources = [1, ", "sources must be a text"),
        ("[[pipelines]]", "[[pipelines]]", None),
        ('id = "new"', 'id = ""', "the id of a pipeline must be a text"),
        ('id = "call"', 'id = "won"', "'won' is how a deal ends, not a stage"),
        ('id = "call"', 'id = "discovery"', "stage 'discovery' is there twice"),
        ('norm = "2bd"', 'norms = "2bd"', "a stage has no key 'norms'"),
        ('norm = "2bd"', 'norm = "0bd"', "stage 'call': norm must be a number of days"),
        ('gap = "1bd"', "gap = 1", "stage 'call': gap must be a number of days"),
        ('idle = "3bd"', 'idle = "3 days"', "stage 'call': idle must be a number of days"),
        ('idle = "3bd"', 'require = ["shoe_size"]', "stage 'call': 'shoe_size' cannot be required"),
        ('idle = "3bd"', 'require = "phone"', "require: must be a list of texts"),
        ('norm = "2bd"\ngap = "1bd"', "", "stage 'call': next_action has no day"),
        ("Call: who decides", "x" * 201, "stage 'call': next_action must be printable and at most 200 letters"),
        ('"mon", "tue"', '"mon", "may"', "working_days has days that are none"),
        ('["mon", "tue", "wed", "thu", "fri"]', "[]", "working_days has days that are none"),
        ('["mon", "tue", "wed", "thu", "fri"]', '"mon"', "working_days: must be a list"),
        ('"09:00-18:00"', '"18:00-09:00"', "hours must be from and to"),
        ('"09:00-18:00"', '"09:00-25:00"', "hours must be from and to"),
        ("holidays = []", 'holidays = ["2026-02-29"]', "holidays has what is no day"),
        ("holidays = []", 'holidays = [2026-05-09, "05-09", "02-29"]', None),
        ("holidays = []", "holidy = []", "calendar has no key 'holidy'"),
        ("[calendar]", "[[calendar]]", "calendar: must be a table"),
        ('business = "30d"', 'busines = "30d"', "cadence: there is no segment 'busines'"),
        ('business = "30d"', 'business = "30bd"', "cadence of 'business' must be calendar days"),
        ('business = "30d"', "business = 30", "cadence of 'business' must be a number of days"),
        ("[[pipelines]]", "[[pipelines", "this is no TOML: "),
        ("350.5", '"dear"', "price must be a number from 0 on with at most two places"),
        ("350.5", "nan", "price must be a number from 0 on with at most two places"),
        ("350.5", "-1", "price must be a number from 0 on with at most two places"),
        ("350.5", "1e300", "price must be a number from 0 on with at most two places"),
        ("use_up_days = 30", "use_up_days = 0", "use_up_days must be a whole number from 1 to 9999"),
        ("use_up_days = 30", "use_up_days = 10000", "use_up_days must be a whole number from 1 to 9999"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(company: Company, before: str, after: str, problem: str | None) -> None:
    text = shown(company) + PRODUCT
    assert before in text
    result = apply(company, text.replace(before, after, 1))
    assert result.code == (2 if problem else 0)
    assert (problem or "") in result.err
    if problem and "TOML" in problem:
        assert "(at line " in result.err
    assert result.err.count("\n") <= 2
    # What cannot be applied is told by the check before, in the same words.
    checked = company.crmcli("process", "check", str(company.folder / "process.toml"))
    assert (checked.code, checked.err) == (result.code, result.err)


def test_a_file_that_is_none(company: Company) -> None:
    assert "no such file" in company.crmcli("process", "apply", str(company.folder / "nothing.toml")).err
    path = company.folder / "latin.toml"
    path.write_bytes(b"a = '\xe9'")
    assert "has to be UTF-8" in company.crmcli("process", "apply", str(path)).err

"""After every attack of the tables commands end as they must: found or harmless, in two lines, within bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.storage import attacks_on_files, attacks_on_log, attacks_on_parquet
from tests.storage.attacks import COMMANDS, Attack, copied, judge, make_scene, raid, run, run_whole
from tests.storage.company import Company, Result

TABLE = [*attacks_on_files.ATTACKS, *attacks_on_log.ATTACKS, *attacks_on_parquet.ATTACKS]
if os.geteuid():
    # Only root may make a device.
    TABLE = [attack for attack in TABLE if "device" not in attack.name]


@pytest.fixture(scope="module")
def scene(founded: Company, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The company that is attacked, in copies."""
    return make_scene(founded, tmp_path_factory.mktemp("scene") / "company")


@pytest.fixture(scope="module")
def before(scene: Company, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """How each command ends where nobody attacked."""
    company = copied(scene, tmp_path_factory.mktemp("before") / "company")
    results = {command: run(company, command) for command in COMMANDS}
    assert {command: result.code for command, result in results.items()} == dict.fromkeys(COMMANDS, 0) | {"doctor": 6}
    return results


@pytest.mark.parametrize("attack", TABLE, ids=str)
def test_attack_is_found_or_harmless(attack: Attack, scene: Company, before: dict[str, Result], tmp_path: Path) -> None:
    company = raid(scene, tmp_path / "company", attack)
    if attack.is_nasty:
        # What may wait for ever or fill the memory is met by a process of its own first.
        command = "list" if "list" in attack.found_by or not attack.found_by else "verify"
        judge(attack, command, run_whole(company, command), before)
    turn = TABLE.index(attack)
    for place, command in enumerate(COMMANDS):
        # The others take turns, for in long runs each of them meets every attack.
        if command in ("list", "verify") or (place + turn) % 3 == 0:
            judge(attack, command, run(company, command), before)


@pytest.mark.soak
@pytest.mark.parametrize("attack", TABLE, ids=str)
def test_every_whole_process_keeps_within_bounds(
    attack: Attack, scene: Company, before: dict[str, Result], tmp_path: Path
) -> None:
    company = raid(scene, tmp_path / "company", attack)
    for command in COMMANDS:
        judge(attack, command, run_whole(company, command), before)

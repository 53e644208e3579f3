"""After a power cut at any moment every disk that may be left opens, holds what was acknowledged, and goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storage.company import Company
from tests.storage.crash_model import disks
from tests.storage.stories import STORIES, Story, flaw, record

Told = Callable[[str], Story]


pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture(scope="module")
def told(founded: Company, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Gives a story by its name, recorded once."""
    known: dict[str, Story] = {}

    def tell(name: str) -> Story:
        if name not in known:
            known[name] = record(name, founded, tmp_path_factory.mktemp(name))
        return known[name]

    return tell


# A usual run tries the likeliest of what may survive, and works on with some of it.
@pytest.mark.parametrize("most", [3, pytest.param(None, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", STORIES)
def test_every_disk_that_a_power_cut_leaves_is_a_whole_store(
    told: Told, name: str, most: int | None, tmp_path: Path
) -> None:
    story = told(name)
    left = list(disks(story.trace, whole=most is None))
    assert len(left) > 20
    step = -(-len(left) // most) if most else 1
    for n, disk in enumerate(left):
        assert flaw(story, disk, tmp_path / "disk", going_on=n % step == 0) == "", disk


# Where the program asks for an fsync, and a story that goes wrong without it.
NEEDED = {
    "writing._write_file: write_new": "a_client",
    "writing._write_files: sync_folder": "a_client",
    "writing._write_files: ensure_folder": "a_client_without_folders",
    "writing._link: write_new": "a_client",
    "writing._link: sync_folder": "a_client",
    "store._sync_head: sync_folder": "reading_after_a_writer_was_killed",
    "memory._write: replace_atomically": "a_client",
    "memory.set_pin: ensure_private": "founding",
    "erasure.remove: sync_folder": "erasure",
    "log.pack: write_new": "packing",
    "log.pack: sync_folder": "packing",
    "store.create: write_new, again": "founding",
    "store.create: sync_folder": "founding",
    "identity.save_identity: add_atomically": "founding",
    "identity.save_identity: replace_atomically": "founding_in_a_folder",
    "identity.save_identity: sync_folder": "founding",
    "founding.found_store: ensure_private": "founding",
    "founding.found_store: sync_folder": "founding_in_a_folder",
    "founding._move_up: sync_folder": "founding_in_a_folder",
    "founding._move_up: sync_folder, again": "founding_in_a_folder",
}
# What may be lost: an empty file has no content, and a cache is made anew; both are written in the same way as others.
NEEDLESS = {"store.create: write_new", "memory._write: ensure_private"}


@pytest.mark.parametrize("site", NEEDED)
def test_without_this_sync_something_is_lost(told: Told, site: str, tmp_path: Path) -> None:
    story = told(NEEDED[site])
    assert site in story.trace.sites()
    with_it = {disk.key() for disk in disks(story.trace)}
    left = [disk for disk in disks(story.trace, without=site) if disk.key() not in with_it]
    # The later the cut, the more there is to be lost.
    assert any(flaw(story, disk, tmp_path / "disk", going_on=True) for disk in reversed(left))


def test_no_sync_escapes_the_question_whether_it_is_needed(told: Told) -> None:
    assert {site for name in STORIES for site in told(name).trace.sites()} == NEEDED.keys() | NEEDLESS

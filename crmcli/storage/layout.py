"""The layout of a store's folder: where its parts lie, and whether they lie there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import CrmError, DamagedError, NoStoreError, RolledBackError
from crmcli.storage import files
from crmcli.storage.genesis import MAX_GENESIS, Genesis

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("log", "files", "inbox", "tmp")


def file_path(file_id: str) -> str:
    """Return the path of a file inside the store."""
    return f"files/{file_id[:2]}/{file_id}.parquet"


def check_folders(root: Path) -> None:
    """Raise DamagedError unless the store's own folders are there and are no links; an empty one may be missing."""
    for name in FOLDERS:
        files.require_folder(root / name)
    if not (root / "log").is_dir() or not (root / "files").is_dir():
        raise DamagedError("the store has no log or no files", "put the store back from a backup")
    if (root / "lock").is_symlink() or not (root / "lock").is_file():
        raise files.no_lock_file(root / "lock")


def read_genesis(root: Path) -> Genesis:
    """Return the genesis of the store in a folder. Raises: NoStoreError, DamagedError."""
    try:
        raw, _ = files.read_regular(root / "genesis.json", MAX_GENESIS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoStoreError(
            f"no store in {root}", "crmcli init makes one; CRMCLI_STORE or --store names one that lies elsewhere"
        ) from error
    except OSError as error:
        raise CrmError(f"the store in {root} cannot be read: {(error.strerror or '').lower()}") from error
    return Genesis.parse(raw)


def require_genesis(root: Path, fingerprint: str) -> Genesis:
    """Return the genesis of the store in a folder. Raises: RolledBackError if it has another fingerprint."""
    genesis = read_genesis(root)
    if genesis.hash != fingerprint:
        raise RolledBackError(
            f"the store in {root} has another fingerprint", "compare it with the admin's, and look at CRMCLI_STORE"
        )
    return genesis

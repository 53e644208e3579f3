"""Backups to a real object store on this machine, through a connection that is cut off in the middle."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.storage.company import Company, Result
from tests.storage.test_backups import grow, tree

PYTHON = Path(sys.prefix) / "object-store" / "bin" / "python"
BUCKET = "backups"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """An object store with an empty bucket."""
    if not PYTHON.exists():
        pytest.skip("make setup installs the object store")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    command = [str(PYTHON), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(number)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(300):
                with suppress(OSError), socket.create_connection(("127.0.0.1", number), 1):
                    break
                time.sleep(0.1)
            yield number
        finally:
            server.kill()


class Proxy(threading.Thread):
    """Passes connections on; once `left` bytes have gone to the server, or come from it, it cuts them all off."""

    def __init__(self, port: int, left: int, side: str) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.left = left
        self.side = side
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.number: int = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.start()

    def run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.left <= 0:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.port))
                for source, sink, side in ((client, server, "to"), (server, client, "from")):
                    threading.Thread(target=self.pass_on, args=(source, sink, side), daemon=True).start()

    def pass_on(self, source: socket.socket, sink: socket.socket, side: str) -> None:
        with suppress(OSError):
            while content := source.recv(4096):
                if side == self.side:
                    with self.lock:
                        self.left -= len(content)
                if self.left <= 0:
                    break
                sink.sendall(content)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
                end.close()


class Remote:
    """A company whose backups lie in the object store, in a folder of their own."""

    def __init__(self, company: Company, port: int, folder: str) -> None:
        self.company = company
        self.port = port
        self.folder = folder

    def address(self, port: int | None = None) -> str:
        query = (
            f"endpoint_override=127.0.0.1:{port or self.port}&scheme=http&region=us-east-1&allow_bucket_creation=true"
        )
        return f"s3://{BUCKET}/{self.folder}?{query}"

    def run(self, *arguments: str, port: int | None = None, who: str = "colleague") -> Result:
        option = "--from" if arguments[0] == "restore" else "--to"
        process = self.company.start(*arguments, option, self.address(port), who=who)
        try:
            out, err = process.communicate(timeout=90)
        finally:
            process.kill()
        return Result(process.returncode, out, err)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        result = self.run(*arguments, "--format", "json")
        assert result.code == 0, result
        found: list[dict[str, Any]] = json.loads(result.out)
        return found


@pytest.fixture
def remote(company: Company, port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Remote:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    grow(company, 6)
    made = Remote(company, port, tmp_path.name)
    code = (
        "import sys; from pyarrow import fs; "
        "files, _ = fs.FileSystem.from_uri(sys.argv[1]); files.create_dir(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, made.address(), BUCKET], check=True)
    return made


def test_an_object_store_does_all_that_a_folder_does(remote: Remote) -> None:
    company = remote.company
    [first] = remote.rows("backup")
    assert first["place"] == f"s3://{BUCKET}/{remote.folder}"
    assert first["copied"] > 20
    [again] = remote.rows("backup")
    assert again["copied"] == 0
    grow(company)
    [third] = remote.rows("backup")
    assert 0 < third["copied"] < first["copied"]
    assert remote.rows("backup", "verify", "--deep")[0]["problems"] == 0
    assert remote.rows("backup", "drill")[0]["ok"] is True
    assert remote.rows("backup", "status")[0]["state"] == "ok"
    assert remote.run("backup", "pin", third["snapshot"]).code == 0
    assert remote.rows("backup", "list")[0]["pinned"] is True
    assert {row["fate"] for row in remote.rows("backup", "forget", "--yes")} == {"stays"}
    target = company.folder / "target"
    assert remote.run("restore", "latest", "--exact", "--to", str(target)).code == 0
    live = tree(company.root)
    assert all(live[name] == content for name, content in tree(target).items())
    assert tree(target / "log") == tree(company.log)


@pytest.mark.parametrize("left", [500, 20_000, 60_000])
def test_a_connection_that_is_cut_off_leaves_no_snapshot(remote: Remote, left: int) -> None:
    proxy = Proxy(remote.port, left, "to")
    result = remote.run("backup", port=proxy.number)
    assert result.code == 1, result
    assert result.err.startswith("crmcli: error: cannot write the backup in s3://")
    assert "network connection" in result.err
    assert result.err.count("\n") <= 2
    listed = remote.run("backup", "list", "--format", "json")
    assert listed.code == 3 or json.loads(listed.out) == []
    [made] = remote.rows("backup")
    assert made["copied"] > 0
    assert remote.rows("backup", "verify", "--deep")[0]["problems"] == 0


@pytest.mark.parametrize("left", [2_000, 40_000])
def test_a_restore_that_is_cut_off_leaves_nothing(remote: Remote, left: int) -> None:
    remote.rows("backup")
    proxy = Proxy(remote.port, left, "from")
    target = remote.company.folder / "target"
    result = remote.run("restore", "latest", "--exact", "--to", str(target), port=proxy.number)
    assert result.code == 1, result
    assert result.err.count("\n") <= 2
    assert not target.exists()
    assert not list(remote.company.folder.glob(".target*"))
    assert remote.run("restore", "latest", "--exact", "--to", str(target)).code == 0


def test_no_server_and_no_such_address_are_one_line_each(remote: Remote) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        result = remote.run("backup", port=closed.getsockname()[1])
    assert result.code == 1
    assert result.err.count("\n") <= 2
    unnamed = remote.address().replace(BUCKET, "No_Such Bucket")
    result = remote.company.run("backup", "--to", unnamed)
    assert result.code in (1, 2), result
    assert "unforeseen" not in result.err
    for place in ("nonsense://x", "s3://", "s3:///x"):
        result = remote.company.run("backup", "--to", place)
        assert result.code == 2, result
        assert result.err.count("\n") <= 2

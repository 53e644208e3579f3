"""Records what this process does to a folder, call by call, for the model of power cuts."""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.storage.crash_model import ROOT, Content, Names, Said, Sync, Trace
from tests.storage.faulty import Call, wrapped

CALLS = ("open", "close", "write", "fsync", "link", "rename", "replace", "unlink", "mkdir", "rmdir")


class Recorder:
    """Follows the functions of `os` that change a folder, and knows at any moment which file has which name."""

    def __init__(self, root: Path, pristine: Path) -> None:
        """Follow the folder `root`, of which `pristine` is a copy that stays as it is."""
        self.root = root
        self.trace = Trace()
        self._numbers = itertools.count(ROOT + 1)
        self._names: dict[int, dict[str, int]] = {}
        self._handles: dict[int, int | None] = {}
        self._lines: dict[str, list[int]] = {}
        self._scan(pristine, ROOT)
        self.trace.folders = {node: dict(names) for node, names in self._names.items()}

    def _scan(self, folder: Path, node: int) -> None:
        self._add_folder(folder.name, node)
        for path in sorted(folder.iterdir()):
            number = self._names[node][path.name] = next(self._numbers)
            if path.is_dir():
                self._scan(path, number)
            else:
                self.trace.before[number] = path

    def _add_folder(self, name: str, node: int) -> None:
        self._names[node] = {}
        if name == "tmp":
            self.trace.unread.add(node)
        if name == "files":
            self.trace.sorted.add(node)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record for as long as the block lasts."""
        with wrapped(CALLS, self._around):
            yield

    def hearing(self, step: int) -> io.StringIO:
        """Return a stdout: what is written to it tells the user that a step is done."""
        return _Heard(self.trace, step)

    def _around(self, name: str, call: Call) -> Call:
        record = getattr(self, f"_on_{name}")

        def recorded(*arguments: Any, **options: Any) -> Any:
            assert options.get("dir_fd") is None, "a name relative to an open folder is not followed"
            result = call(*arguments, **options)
            record(result, *arguments)
            return result

        return recorded

    def _place(self, path: Any) -> tuple[int, str] | None:
        """Return the folder and the name in it, or None for what lies elsewhere."""
        path = Path(path)
        if path == self.root or not path.is_relative_to(self.root):
            return None
        *folders, name = path.relative_to(self.root).parts
        node = ROOT
        for folder in folders:
            node = self._names[node][folder]
        return node, name

    def _node(self, path: Any) -> int | None:
        if Path(path) == self.root:
            return ROOT
        place = self._place(path)
        return self._names[place[0]][place[1]] if place else None

    def _change(self, folder: int, *changes: tuple[str, int | None]) -> None:
        self.trace.events.append(Names(folder, changes))
        for name, node in changes:
            if node is None:
                del self._names[folder][name]
            else:
                self._names[folder][name] = node

    def _on_open(self, handle: int, path: Any, *_: Any) -> None:
        place = self._place(path)
        if place is not None and place[1] not in self._names[place[0]]:
            self._change(place[0], (place[1], next(self._numbers)))
        self._handles[handle] = self._node(path)

    def _on_close(self, _: None, handle: int) -> None:
        self._handles.pop(handle, None)

    def _on_write(self, size: int, handle: int, content: bytes | memoryview) -> None:
        node = self._handles.get(handle)
        if node is not None:
            self.trace.events.append(Content(node, bytes(content[:size])))

    def _on_fsync(self, _: None, handle: int) -> None:
        node = self._handles.get(handle)
        if node is not None:
            name, line = _site()
            lines = self._lines.setdefault(name, [])
            lines += [line] if line not in lines else []
            number = lines.index(line)
            self.trace.events.append(Sync(node, f"{name}, again" if number else name))

    def _on_mkdir(self, _: None, path: Any, *__: Any) -> None:
        place = self._place(path)
        if place is not None:
            node = next(self._numbers)
            self._add_folder(place[1], node)
            self.trace.folders[node] = {}
            self._change(place[0], (place[1], node))

    def _on_link(self, _: None, source: Any, target: Any) -> None:
        place = self._place(target)
        if place is not None:
            self._change(place[0], (place[1], self._node(source)))

    def _on_rename(self, _: None, source: Any, target: Any) -> None:
        node, old, new = self._node(source), self._place(source), self._place(target)
        if old is None or new is None:
            assert old is new, "nothing is moved into the folder or out of it"
        elif old[0] == new[0]:
            self._change(old[0], (old[1], None), (new[1], node))
        else:
            self._change(new[0], (new[1], node))
            self._change(old[0], (old[1], None))

    _on_replace = _on_rename

    def _on_unlink(self, _: None, path: Any) -> None:
        place = self._place(path)
        if place is not None:
            self._change(place[0], (place[1], None))

    _on_rmdir = _on_unlink


class _Heard(io.StringIO):
    def __init__(self, trace: Trace, step: int) -> None:
        super().__init__()
        self._trace = trace
        self._step = step

    def write(self, text: str) -> int:
        """Note that the user is told; once, for it may be told in several pieces."""
        if not self.tell():
            self._trace.events.append(Said(self._step))
        return super().write(text)


def _site() -> tuple[str, int]:
    """Return which function asks for an fsync by which function of `files`, and in which line."""
    frame = sys._getframe(1)
    by = ""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module == "crmcli.storage.files":
            by = frame.f_code.co_name
        elif module.startswith("crmcli."):
            return f"{module.rpartition('.')[2]}.{frame.f_code.co_name}: {by}", frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    raise AssertionError("an fsync from elsewhere")

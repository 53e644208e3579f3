"""The app: the list of commands, each loaded when it is called, the global options, and the one error boundary."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from crmcli import __version__
from crmcli.commands import COMMANDS, DEFAULTS, GROUPS
from crmcli.errors import (
    CrmError,
    InputError,
    InterruptedByUserError,
    NoSpaceError,
    OutcomeUnknownError,
    OvertakenError,
)
from crmcli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crmcli.session import Session

GLOBAL = ("--store", "--identity", "--op-id")
MOST_ATTEMPTS = 5
# Characters of output that are held back until a command is through.
_MOST_HELD = 1 << 20


class LazyGroup(TyperGroup):
    """A group that imports a command's module when the command is called, not to list it."""

    prefix = ""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the names of the commands, groups once."""
        names = (name.removeprefix(self.prefix) for name in COMMANDS if name.startswith(self.prefix))
        return list(dict.fromkeys(name.split(" ")[0] for name in names))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return a command, imported, or a group of them, or None."""
        name = self.prefix + cmd_name
        if name in COMMANDS:
            module, help_line = COMMANDS[name]
            function = "list_" if module == "list" else module
            command = _command(cmd_name, getattr(import_module(f"crmcli.commands.{module}"), function), help_line)
            return _with_commands(name, command) if any(other.startswith(f"{name} ") for other in COMMANDS) else command
        if name in GROUPS:
            return _group(name)
        return None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the group's own command where none is named."""
        own = DEFAULTS.get(self.prefix.strip())
        if own is not None and (not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)):
            args = [own, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first argument names. Raises: InputError naming the near ones."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "crmcli --help lists the commands"
            raise InputError(f"there is no command {self.prefix}{args[0]}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without importing one."""
        own = (name for name in COMMANDS if name.startswith(self.prefix))
        helps = GROUPS | {name.removeprefix(self.prefix): COMMANDS[name][1] for name in own}
        with formatter.section("Commands"):
            formatter.write_dl([(name, helps[name]) for name in self.list_commands(ctx)])


# To find a command and to run it asks for it twice, and to build it takes as long as much of what it does.
@cache
def _command(name: str, function: Any, help_line: str) -> TyperCommand:
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, short_help=help_line)(function)
    command: TyperCommand = typer.main.get_command(app)  # type: ignore[assignment]
    return command


def _group(name: str) -> TyperGroup:
    class Group(LazyGroup):
        prefix = f"{name} "

    return Group(name=name, help=GROUPS[name][0].upper() + GROUPS[name][1:] + ".", rich_markup_mode=None)


def _with_commands(name: str, command: TyperCommand) -> TyperGroup:
    """Return a group that, without the name of one of its commands, is a command itself."""

    class Group(LazyGroup):
        prefix = f"{name} "

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            # What was named runs in place of what the group does by itself.
            self.callback = None
            return super().resolve_command(ctx, args)

    return Group(
        name=command.name,
        params=command.params,
        callback=command.callback,
        help=command.help,
        invoke_without_command=True,
        subcommand_metavar="[COMMAND]",
        rich_markup_mode=None,
    )


app = typer.Typer(
    name="crmcli",
    cls=LazyGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(ctx: typer.Context, value: bool) -> None:  # noqa: FBT001 - as typer calls it
    if value:
        ctx.obj.output.line(f"crmcli {__version__}")
        raise typer.Exit


_Version = Annotated[bool, typer.Option("--version", help="print the version", is_eager=True, callback=_version)]


@app.callback()
def crmcli(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Option(metavar="DIR", help="the store (CRMCLI_STORE; else data/ here)")] = None,
    identity: Annotated[str | None, typer.Option(metavar="FILE", help="the identity (CRMCLI_IDENTITY)")] = None,
    op_id: Annotated[
        str | None, typer.Option(metavar="ID", help="repeat an operation whose outcome was unknown")
    ] = None,
    version: _Version = False,  # noqa: ARG001, FBT002 - a flag whose callback ends the run
) -> None:
    """Keep a company's client base: encrypted, signed, with reminders and reports, in plain files."""
    run = ctx.obj
    run.session = run.session or _session(store, identity, op_id, run.output)
    ctx.obj = run.session


def _session(store: str | None, identity: str | None, op_id: str | None, output: Output) -> Session:
    from crmcli.session import Session

    session = Session.of_process(store, identity, op_id)
    session.output = output
    return session


class Run:
    """What outlives an attempt at a command: where it talks, and the session once there is one."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.session: Session | None = None

    @property
    def saved(self) -> bool:
        """Whether a change was committed in this run."""
        return self.session is not None and self.session.saved

    @property
    def unsettled(self) -> str | None:
        """The operation that was being committed when the run was cut short."""
        return self.session.unsettled if self.session is not None else None


def main() -> NoReturn:
    """Run the command line of this process and end it with the exit code; leaves no time to tear down."""
    _harden()
    if "_CRMCLI_COMPLETE" in os.environ:
        # A shell asks what could come next; it opens no store.
        app(prog_name="crmcli")
    output = Output()
    code = run(sys.argv[1:], output)
    with suppress(OSError):
        output.flush()
    os._exit(code)


def run(arguments: Sequence[str], output: Output) -> int:
    """Run a command line and return its exit code, every failure told in two lines at most."""
    state = Run(output)
    code = _guarded(lambda: _finished(arguments, state), state)
    if code and state.saved:
        output.note("the change itself was saved: do not repeat it")
    if state.session is not None:
        # What was asked for is done and said; upkeep that fails is tried again by the next command.
        with suppress(Exception, KeyboardInterrupt):
            state.session.close(succeeded=code == 0)
    return code


def _finished(arguments: Sequence[str], state: Run) -> int:
    code = _attempts(_hoisted(list(arguments)), state)
    state.output.flush()
    return code


def _guarded(command: Callable[[], int], state: Run) -> int:  # noqa: PLR0911 - a failure each
    """Return the exit code of a command, or tell its failure and return the code of that."""
    output = state.output
    try:
        return command()
    except CrmError as error:
        return _tell(error, output)
    except (KeyboardInterrupt, typer.Abort):
        if state.unsettled is not None and not state.saved:
            return _tell(OutcomeUnknownError.of(state.unsettled), output)
        kept = "what was asked for" if state.saved else "nothing"
        return _tell(InterruptedByUserError(f"interrupted; {kept} was saved"), output)
    except BrokenPipeError:
        return 0
    except MemoryError:
        return _tell(CrmError("not enough memory"), output)
    except OSError as error:
        return _tell(_unwritten(error), output)
    except Exception as error:  # noqa: BLE001 - the boundary
        return _tell(_unforeseen(error), output)


def _attempts(arguments: list[str], state: Run) -> int:
    """Run the command, again from its start if somebody else's commit overtook it; return its exit code.

    What an attempt writes is held back until it is through, so that nothing is shown twice.
    """
    command = typer.main.get_command(app)
    for attempt in range(MOST_ATTEMPTS):
        held = Held(state.output.stdout)
        try:
            with held.in_front_of(state.output), command.make_context("crmcli", list(arguments), obj=state) as context:
                try:
                    command.invoke(context)
                finally:
                    if state.session is not None:
                        state.session.remember()
        except typer.Exit as ended:
            return int(ended.exit_code)
        except typer.TyperException as error:
            raise _usage(error, arguments) from error
        except OvertakenError:
            if attempt + 1 == MOST_ATTEMPTS or state.session is None or state.saved or held.has_written:
                raise
            state.session.attempt = attempt + 1
        else:
            return 0
    return 1


class Held(io.StringIO):
    """Holds back what is written to a stream until that is much, or it is flushed."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.has_written = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self.stream.encoding

    def fileno(self) -> int:
        """Return the number that the system knows the stream by."""
        return self.stream.fileno()

    def write(self, text: str) -> int:
        """Hold back a text."""
        count = super().write(text)
        if self.tell() > _MOST_HELD:
            self.let_go()
        return count

    def flush(self) -> None:
        """Write all of it."""
        self.let_go()
        self.stream.flush()

    def let_go(self) -> None:
        """Give the stream what was held back."""
        if self.tell():
            self.has_written = True
            self.stream.write(self.getvalue())
            self.seek(0)
            self.truncate()

    @contextmanager
    def in_front_of(self, output: Output) -> Iterator[None]:
        """Hold back what a command writes until it is through; what it wrote before it was overtaken is forgotten."""
        output.stdout = self
        try:
            yield
        except OvertakenError:
            self.seek(0)
            self.truncate()
            raise
        finally:
            output.stdout = self.stream
            self.let_go()


def _hoisted(arguments: list[str]) -> list[str]:
    """Return the arguments with the global options first, wherever before a `--` they were typed."""
    front: list[str] = []
    rest: list[str] = []
    queue = iter(arguments)
    for argument in queue:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            rest += [argument, *queue]
        elif name in GLOBAL:
            front += [argument] if equals else [argument, *islice(queue, 1)]
        else:
            rest.append(argument)
    return front + rest


def _usage(error: typer.TyperException, arguments: Sequence[str]) -> CrmError:
    """Return what the command line's parser says, in our words; an incomplete command line shows the help instead."""
    text = getattr(error, "format_message", lambda: str(error))()
    if type(error).__name__ == "NoArgsIsHelpError":
        return InputError("which command?", "crmcli --help lists them")
    context = getattr(error, "ctx", None)
    line = " ".join(text.split()).rstrip(".")
    path = getattr(context, "command_path", None) or _command_of(arguments)
    hint = f"{path} --help shows how"
    if re.match(r"No such option: -[0-9]", line):
        hint = "write -- before a negative number"
    return InputError(line[:1].lower() + line[1:], hint)


def _command_of(arguments: Sequence[str]) -> str:
    """Return the command that a command line names, as far as it can be told."""
    names = (" ".join(arguments[at : at + words]) for at in range(len(arguments)) for words in (2, 1))
    return " ".join(["crmcli", *islice((name for name in names if name in COMMANDS), 1)])


def _tell(error: CrmError, output: Output) -> int:
    if error.exit_code:
        output.error(error)
    else:
        output.note(error.message)
    return error.exit_code


def _unwritten(error: OSError) -> CrmError:
    """Return what to say of the operating system's refusal, such as a full disk behind stdout."""
    reason = (error.strerror or type(error).__name__).lower()
    if error.errno == errno.ENOSPC:
        return NoSpaceError(f"cannot write: {reason}")
    return CrmError(f"the system says no: {reason}")


def _unforeseen(error: Exception) -> CrmError:
    """Return a line that names the place of a bug and no value; the environment can ask for all of it."""
    if os.environ.get("CRMCLI_TRACEBACK"):
        raise error
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}" if place else "?"  # noqa: PTH119
    return CrmError(
        f"unforeseen {type(error).__name__} in {where}", "please report it; CRMCLI_TRACEBACK=1 shows where it came from"
    )


def _harden() -> None:
    """Leave no core file, and let a termination end a command as Ctrl-C does."""
    import signal

    os.umask(0o077)
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass

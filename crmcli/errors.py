"""The error tree: each class owns one exit code and carries one line, and where the user can act a second."""

from __future__ import annotations

from typing import ClassVar


class CrmError(Exception):
    """Base of everything crmcli raises on purpose; by itself it stands for an unforeseen failure.

    `message` and `hint` are one line each: lower case, no full stop, no cell values.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(CrmError):
    """The command line or an input file is not of the form it must have."""

    exit_code = 2


class NotFoundError(CrmError):
    """Nothing of that name among what the keys at hand open."""

    exit_code = 3


class ConflictError(CrmError):
    """Ambiguous, a duplicate, or changed by somebody else meanwhile."""

    exit_code = 4


class RuleError(CrmError):
    """The rules of the sales process say no."""

    exit_code = 5


class AttentionError(CrmError):
    """A check found something that a person should look at; nothing failed."""

    exit_code = 6


class NoStoreError(CrmError):
    """There is no store in the folder, or none that this version can read."""

    exit_code = 10


class LockedError(CrmError):
    """Somebody else holds the lock for too long."""

    exit_code = 11


class NoKeyError(CrmError):
    """No identity, a wrong passphrase, or a key that does not open what it should."""

    exit_code = 12


class DamagedError(CrmError):
    """Bytes are not what was signed."""

    exit_code = 13


class RolledBackError(CrmError):
    """An older or forked store, or one that the identity does not belong to."""

    exit_code = 14


class NotPermittedError(CrmError):
    """The role does not allow it, or no valid grant does."""

    exit_code = 15


class UndeliveredError(CrmError):
    """Reminders did not get out; they stay due, and a later run tries them again."""

    exit_code = 16


class NoSpaceError(CrmError):
    """The disk is full; nothing was half-written."""

    exit_code = 17


class OutcomeUnknownError(CrmError):
    """A failure after the commit point: the change may or may not be durable."""

    exit_code = 18

    @classmethod
    def of(cls, op_id: str) -> OutcomeUnknownError:
        """Return the error of an operation that was cut short while it was being saved."""
        return cls(
            f"cut short while saving: the outcome of {op_id} is unknown",
            f"run it again with --op-id {op_id}: if it was saved, nothing changes",
        )


class InterruptedByUserError(CrmError):
    """Ctrl-C or SIGTERM before anything was committed."""

    exit_code = 130


class OvertakenError(ConflictError):
    """What the command read was changed by somebody else's commit; the boundary runs it again from its start."""


class RepeatedError(CrmError):
    """The operation was committed before, by an earlier attempt with the same op_id: nothing is left to do."""

    exit_code = 0


def no_such_file(path: object) -> InputError:
    """Return the error for a file that was named and is not there."""
    return InputError(f"no such file: {path}", "look at its name, and at the folder that you are in")

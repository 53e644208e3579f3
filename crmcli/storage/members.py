"""Who is in a store and what there is to hold: members and their roles, books and their keys, grants."""

from __future__ import annotations

from crmcli.model.frozen import dataclass
from crmcli.storage.genesis import member_json, member_of
from crmcli.storage.keys import PublicKeys
from crmcli.storage.tables import COMPANY, FACTS, PERSONAL

ADMIN, MANAGER, LEAD, ANALYST, SERVICE = "admin", "manager", "lead", "analyst", "service"
ROLES = (ADMIN, MANAGER, LEAD, ANALYST, SERVICE)
PROOF_LABEL = "crmcli/member/v1"
# What a member who is no admin may add to the company book.
COMPANY_TABLES = {MANAGER: "products", LEAD: "products", SERVICE: "norms"}
GROUPS_OF = {"member": (FACTS, PERSONAL), "inbox": (FACTS, PERSONAL), "company": (COMPANY,)}
RIGHTS = ("export", "erase")


SERVICE_TABLE = "deliveries"
# What a member may not write in the own book: who is a canary there is for admins to say.
ADMIN_TABLE = "canaries"


def proof_message(store: str, member: str, keys: PublicKeys) -> bytes:
    """Return what a new member signs to prove possession: all public keys, so that none can be swapped on the way."""
    return "|".join((store, *member_json(member, keys).values())).encode()


@dataclass(frozen=True, slots=True)
class Member:
    """A member: public keys in the log's form, role, and what an admin allowed beyond the role."""

    member: str
    keys: dict[str, str]
    role: str
    active: bool = True
    recovery: bool = False
    dispatcher: bool = False
    read: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()

    @property
    def public(self) -> PublicKeys:
        """The member's public keys."""
        return member_of(self.keys)[1]


@dataclass(frozen=True, slots=True)
class Wrap:
    """One key of a book: its name, who holds it, and my own copy of it, sealed, if I do."""

    key_id: str
    holders: tuple[str, ...]
    mine: str | None


@dataclass(frozen=True, slots=True)
class Book:
    """A book: its kind (member, inbox, company), owner, epoch, keys by group and epoch, drop keys by epoch."""

    book: str
    kind: str
    owner: str | None
    epoch: int
    wraps: dict[str, Wrap]
    drops: dict[str, dict[str, str]]

    def wrap(self, group: str, epoch: int) -> Wrap | None:
        """Return the wrapped key of a group at an epoch."""
        return self.wraps.get(f"{group}/{epoch}")


@dataclass(frozen=True, slots=True)
class Grant:
    """A right given by an admin to a member until a time; `used` counts its uses."""

    grant: str
    to: str
    right: str
    books: tuple[str, ...] | None
    columns: tuple[str, ...] | None
    max_rows: int | None
    expires: str
    once: bool
    used: int = 0
    revoked: bool = False


def role_text(role: str) -> str:
    """Return a role with its article, as a sentence has it."""
    return f"an {role}" if role[0] == "a" else f"a {role}"


def may_write(member: Member, book: Book | None, table: str) -> bool:
    """Say whether a member may add rows of a table to a book."""
    if member.role == ADMIN:
        return True
    if member.role == ANALYST or book is None:
        return False
    if book.kind == "company":
        return COMPANY_TABLES.get(member.role) == table
    if book.owner != member.member or table == ADMIN_TABLE:
        return False
    return member.role != SERVICE or table == SERVICE_TABLE


def who_may(member: Member, book: Book, table: str) -> str:
    """Return who may add rows of a table to a book, for a member who may not."""
    if book.kind == "company" or table == ADMIN_TABLE:
        others = [role_text(role) for role, own in COMPANY_TABLES.items() if own == table]
        return f"{' or '.join(['an admin', *others])} can"
    if member.role in (ANALYST, SERVICE):
        return "a manager, a lead or an admin can; crmcli member role gives a role"
    return "the owner of that book can, and an admin"


def entitled(member: Member, book: Book, group: str) -> bool:
    """Say whether a member is one of those who hold a key of a book, by role and by what an admin allowed."""
    if member.role == ADMIN or book.kind == "company":
        return True
    if member.role == ANALYST:
        return group == FACTS and book.kind == "member"
    if book.owner == member.member:
        return True
    if book.kind == "inbox":
        return member.role == SERVICE or member.dispatcher
    if member.role == SERVICE:
        return group == FACTS or book.book in member.personal
    return member.role == LEAD and book.book in member.read

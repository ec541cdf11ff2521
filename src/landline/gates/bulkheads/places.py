"""Who has a place and who is next: plain data, no clock and no task (RES-6).

A run needs a place of its upstream and one of its tenant, and takes both in one step or none, so no run holds one while it
waits for the other. A place that gets free goes to the waiting tenant with the fewest places of that upstream, among
equals to the one whose last turn is longest ago; in it to a user by the same rule, in the user to who came first. A tenant
that was away begins one turn back: before those just served, behind those who wait since. So nobody is passed over
without end, and a tenant with slow runs comes to no more than its share while others wait.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

__all__ = ["Bound", "Full", "Places", "Ticket"]


@dataclass(frozen=True, slots=True)
class Bound:
    """`at_once` runs go on; of one tenant `queue` wait, none longer than `wait_s` seconds."""

    at_once: int
    queue: int
    wait_s: float


class Full(Exception):
    """The queue of a tenant is full; `scope` is the bulkhead: `upstream` or `tenant`."""

    def __init__(self, scope: Literal["upstream", "tenant"]) -> None:
        super().__init__(scope)
        self.scope: Literal["upstream", "tenant"] = scope


State = Literal["new", "reserved", "waiting", "held", "lent", "returning", "gone"]


@dataclass(slots=True, eq=False)
class Ticket:
    """A run, from its admission until its segment is over.

    `reserved`: admitted, not begun. `lent`: it started a run of its own and gave its place up for it. `returning`: it wants
    it back. `granted` is called when it gets a place that it had to wait for.
    """

    run_id: str
    upstream: str
    tenant: str
    user: str
    parent: "Ticket | None" = None
    state: State = "new"
    children: int = 0
    granted: Callable[[], None] = lambda: None


@dataclass(slots=True, eq=False)
class _User:
    last: int = -1
    since: int = 0
    held: int = 0
    waiting: dict[str, Ticket] = field(default_factory=dict[str, Ticket])

    @property
    def turn(self) -> tuple[int, int, int]:
        return self.held, self.last, self.since


@dataclass(slots=True, eq=False)
class _Tenant:
    last: int = -1
    since: int = 0
    held: int = 0
    turns: int = 0
    pending: int = 0
    """Reserved and waiting: what the length of the queue bounds."""
    waiting: int = 0
    users: dict[str, _User] = field(default_factory=dict[str, _User])

    @property
    def turn(self) -> tuple[int, int, int]:
        return self.held, self.last, self.since


@dataclass(slots=True, eq=False)
class _Upstream:
    bound: Bound | None
    last: int = 0
    turns: int = 0
    held: int = 0
    waiting: int = 0
    tenants: dict[str, _Tenant] = field(default_factory=dict[str, _Tenant])
    returning: dict[str, Ticket] = field(default_factory=dict[str, Ticket])


@dataclass(slots=True, eq=False)
class _Whole:
    """A tenant over all upstreams."""

    bound: Bound | None
    held: int = 0
    pending: int = 0


class Places:
    """The places of one process, by upstream and by tenant; the two functions say what bounds one, None for nothing."""

    def __init__(
        self, of_upstream: Callable[[str], Bound | None], of_tenant: Callable[[str], Bound | None]
    ) -> None:
        self._of_upstream, self._of_tenant = of_upstream, of_tenant
        self._upstreams: dict[str, _Upstream] = {}
        self._tenants: dict[str, _Whole] = {}
        self._turns = 0
        self._order = count()

    # what runs do

    def reserve(self, ticket: Ticket) -> None:
        """Count a run that is admitted among those who wait. Raises Full when it could neither begin nor wait."""
        upstream, whole = self._upstream(ticket.upstream), self._whole(ticket.tenant)
        tenant = upstream.tenants.get(ticket.tenant)
        parent = ticket.parent if ticket.parent is not None and ticket.parent.state == "held" else None
        from_upstream = parent is not None and parent.upstream == ticket.upstream
        from_tenant = parent is not None and parent.tenant == ticket.tenant
        full: Literal["upstream", "tenant"] | None = None
        if _full(upstream.bound, tenant.pending if tenant else 0, upstream.held - from_upstream):
            full = "upstream"
        elif _full(whole.bound, whole.pending, whole.held - from_tenant):
            full = "tenant"
        if full is not None:
            self._forget(ticket)
            raise Full(full)
        ticket.state = "reserved"
        self._count_pending(ticket, 1)

    def enter(self, ticket: Ticket) -> None:
        """Let a run begin or wait for its turn; afterwards it is `held` or `waiting`. Its parent gives its place up."""
        if ticket.state == "reserved":
            self._count_pending(ticket, -1)
        parent = ticket.parent
        if parent is not None and parent.state != "gone":
            parent.children += 1
            held = self.lend(parent, serve=False)
            if held and (parent.upstream, parent.tenant) == (ticket.upstream, ticket.tenant):
                self._take(ticket)  # handed over: nobody comes between the two
                return
        else:
            ticket.parent = None
        self._wait(ticket)
        self._serve()

    def leave(self, ticket: Ticket) -> None:
        """Let go of whatever the run has: place, turn or reservation. A second time changes nothing."""
        before, ticket.state = ticket.state, "gone"
        match before:
            case "held":
                self._give(ticket)
            case "waiting":
                self._unwait(ticket)
            case "returning":
                self._upstream(ticket.upstream).returning.pop(ticket.run_id, None)
            case "reserved":
                self._count_pending(ticket, -1)
            case _:
                pass
        parent = ticket.parent
        if parent is not None and before in ("held", "waiting", "lent", "returning"):
            parent.children -= 1
            if not parent.children:
                self.take_back(parent, serve=False)
        self._forget(ticket)
        self._serve()

    def lend(self, ticket: Ticket, *, serve: bool = True) -> bool:
        """Give a run's place up while it waits for another run; whether it had one."""
        if ticket.state != "held":
            return False
        ticket.state = "lent"
        self._give(ticket)
        if serve:
            self._serve()
        return True

    def take_back(self, ticket: Ticket, *, serve: bool = True) -> None:
        """Ask for the place that was lent; it comes before everybody who has not begun."""
        if ticket.state == "lent":
            ticket.state = "returning"
            self._upstream(ticket.upstream).returning[ticket.run_id] = ticket
            if serve:
                self._serve()

    # who is next

    def _serve(self) -> None:
        """Give out what is free. Upstreams come in turn, for tenants that are bounded over all of them."""
        while True:
            open_ones = [one for one in self._upstreams.values() if one.waiting or one.returning]
            for upstream in sorted(open_ones, key=lambda one: one.last):
                ticket = self._next(upstream)
                if ticket is not None:
                    self._turns += 1
                    upstream.last = self._turns
                    self._take(ticket)
                    ticket.granted()
                    break
            else:
                return

    def _next(self, upstream: _Upstream) -> Ticket | None:
        if not _free(upstream.bound, upstream.held):
            return None
        for ticket in upstream.returning.values():
            if self._tenant_free(ticket.tenant):
                del upstream.returning[ticket.run_id]
                return ticket
        may = [name for name, one in upstream.tenants.items() if one.waiting and self._tenant_free(name)]
        if not may:
            return None
        tenant = upstream.tenants[min(may, key=lambda name: upstream.tenants[name].turn)]
        user = min((one for one in tenant.users.values() if one.waiting), key=lambda one: one.turn)
        ticket = next(iter(user.waiting.values()))
        self._unwait(ticket)
        upstream.turns += 1
        tenant.turns += 1
        tenant.last, user.last = upstream.turns, tenant.turns
        return ticket

    def _tenant_free(self, name: str) -> bool:
        whole = self._whole(name)
        return _free(whole.bound, whole.held)

    # counting

    def _take(self, ticket: Ticket) -> None:
        upstream, tenant, user, whole = self._of(ticket)
        ticket.state = "held"
        for one in (upstream, tenant, user, whole):
            one.held += 1

    def _give(self, ticket: Ticket) -> None:
        upstream, tenant, user, whole = self._of(ticket)
        for one in (upstream, tenant, user, whole):
            one.held -= 1

    def _wait(self, ticket: Ticket) -> None:
        upstream, tenant, user, _ = self._of(ticket)
        ticket.state = "waiting"
        if not tenant.waiting:
            tenant.last, tenant.since = max(tenant.last, upstream.turns - 1), next(self._order)
        if not user.waiting:
            user.last, user.since = max(user.last, tenant.turns - 1), next(self._order)
        user.waiting[ticket.run_id] = ticket
        tenant.waiting += 1
        upstream.waiting += 1
        self._count_pending(ticket, 1)

    def _unwait(self, ticket: Ticket) -> None:
        upstream, tenant, user, _ = self._of(ticket)
        del user.waiting[ticket.run_id]
        tenant.waiting -= 1
        upstream.waiting -= 1
        self._count_pending(ticket, -1)

    def _count_pending(self, ticket: Ticket, by: int) -> None:
        _, tenant, _, whole = self._of(ticket)
        tenant.pending += by
        whole.pending += by

    def _of(self, ticket: Ticket) -> tuple[_Upstream, _Tenant, _User, _Whole]:
        upstream = self._upstream(ticket.upstream)
        tenant = upstream.tenants.get(ticket.tenant)
        if tenant is None:
            tenant = upstream.tenants[ticket.tenant] = _Tenant()
        user = tenant.users.get(ticket.user)
        if user is None:
            user = tenant.users[ticket.user] = _User()
        return upstream, tenant, user, self._whole(ticket.tenant)

    def _upstream(self, name: str) -> _Upstream:
        if name not in self._upstreams:
            self._upstreams[name] = _Upstream(self._of_upstream(name))
        return self._upstreams[name]

    def _whole(self, name: str) -> _Whole:
        if name not in self._tenants:
            self._tenants[name] = _Whole(self._of_tenant(name))
        return self._tenants[name]

    def _forget(self, ticket: Ticket) -> None:
        """Keep nothing of who neither has, nor waits for, nor lends a place; upstreams are as few as agents."""
        upstream, whole = self._upstream(ticket.upstream), self._whole(ticket.tenant)
        tenant = upstream.tenants.get(ticket.tenant)
        if tenant is not None:
            user = tenant.users.get(ticket.user)
            if user is not None and not (user.held or user.waiting):
                del tenant.users[ticket.user]
            if not (tenant.held or tenant.pending):
                del upstream.tenants[ticket.tenant]
        if not (whole.held or whole.pending):
            del self._tenants[ticket.tenant]

    # what tests and metrics look at

    @property
    def remembered(self) -> int:
        """How many tenants and users are remembered."""
        tenants = [tenant for one in self._upstreams.values() for tenant in one.tenants.values()]
        return len(self._tenants) + len(tenants) + sum(len(tenant.users) for tenant in tenants)

    def held(self, upstream: str) -> int:
        """How many places of an upstream are held."""
        return self._upstreams[upstream].held if upstream in self._upstreams else 0

    def waiting(self, upstream: str) -> int:
        """How many runs wait for an upstream."""
        return self._upstreams[upstream].waiting if upstream in self._upstreams else 0


def _free(bound: Bound | None, held: int) -> bool:
    return bound is None or held < bound.at_once


def _full(bound: Bound | None, pending: int, held: int) -> bool:
    return bound is not None and pending >= bound.queue + max(0, bound.at_once - held)

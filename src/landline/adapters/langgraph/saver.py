"""Checkpoints of one run in the run's own records: each step writes what it changed and nothing again.

Every put is one record `graph:<n>`; taken up again, the run reads them in order. A checkpoint refers to its parent for
the channels that stayed, and lists of messages are ranges of a pool whose thread part is never written (see `values`).
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from typing import Any, cast

import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    copy_checkpoint,
    writes_sort_key,
)

from landline.adapters.langgraph.values import Pool
from landline.model.errors import AgentFailed
from landline.ports.adapter import Line

__all__ = ["LineSaver"]

_ERROR = "__error__"

_Writes = dict[tuple[str, int], tuple[str, str, str, Any]]


class _Put(msgspec.Struct, tag="put", omit_defaults=True):
    """A checkpoint: what differs from its parent."""

    ns: str
    id: str
    ts: str
    v: int
    metadata: dict[str, Any]
    parent: str | None = None
    values: dict[str, Any] = {}
    gone: list[str] = []
    versions: dict[str, Any] = {}
    seen: dict[str, dict[str, Any]] = {}
    updated: list[str] | None = None
    new: list[msgspec.Raw] = []
    base: int | None = None


class _Wrote(msgspec.Struct, tag="wrote", omit_defaults=True):
    """What one finished task wrote."""

    ns: str
    id: str
    task: str
    path: str
    writes: list[tuple[str, Any]]
    new: list[msgspec.Raw] = []
    base: int | None = None


_decoder = msgspec.json.Decoder(_Put | _Wrote)


class LineSaver(BaseCheckpointSaver[int]):
    """The checkpointer of one segment of one run; `seed` is where the thread's state stood before this turn."""

    def __init__(self, line: Line, pool: Pool, seed: Checkpoint | None) -> None:
        super().__init__()
        self._line, self._pool = line, pool
        self._loop = asyncio.get_running_loop()
        self._checkpoints: dict[tuple[str, str], tuple[Checkpoint, CheckpointMetadata, str | None]] = {}
        self._heads: dict[str, str] = {}
        self._writes: dict[tuple[str, str], _Writes] = {}
        self._count = 0
        if seed is not None:
            self._keep("", seed, {"source": "loop", "step": -2, "parents": {}}, None)
        self._seed = seed
        while (stored := line.recorded(f"graph:{self._count}")) is not None:
            self._again(_decoder.decode(stored))
            self._count += 1

    @property
    def begun(self) -> bool:
        """Whether this run has a checkpoint of its own."""
        return self._count > 0

    def head(self) -> Checkpoint | None:
        """Return the graph's newest checkpoint, or None before the first."""
        head = self._heads.get("")
        return None if head is None else self._checkpoints["", head][0]

    # what the framework calls

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the named checkpoint of a graph, or its newest."""
        at = config.get("configurable", {})
        ns = at.get("checkpoint_ns", "")
        id_ = at.get("checkpoint_id") or self._heads.get(ns)
        if id_ is None or (ns, id_) not in self._checkpoints:
            return None
        checkpoint, metadata, parent = self._checkpoints[ns, id_]
        writes = sorted(
            self._writes.get((ns, id_), {}).items(), key=lambda item: writes_sort_key(item[1][0], *item[0])
        )
        return CheckpointTuple(
            config=_config(at, ns, id_),
            checkpoint=copy_checkpoint(checkpoint),
            metadata=metadata,
            parent_config=_config(at, ns, parent) if parent else None,
            pending_writes=[(task, channel, value) for _, (_, task, channel, value) in writes],
        )

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the named checkpoint of a graph, or its newest."""
        return self.get_tuple(config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the framework's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield this run's checkpoints of a graph, the newest first; filters on metadata are not known here."""
        at = (config or {}).get("configurable", {})
        end = (before or {}).get("configurable", {}).get("checkpoint_id")
        ids = [id_ for ns, id_ in self._checkpoints if ns == at.get("checkpoint_ns", "")]
        for id_ in [id_ for id_ in sorted(ids, reverse=True) if end is None or id_ < end][:limit]:
            found = self.get_tuple(
                {"configurable": {**at, "checkpoint_ns": at.get("checkpoint_ns", ""), "checkpoint_id": id_}}
            )
            if found is not None:
                yield found

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the framework's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield this run's checkpoints of a graph, the newest first."""
        for found in self.list(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Record a checkpoint."""
        at = config.get("configurable", {})
        ns, parent = at.get("checkpoint_ns", ""), at.get("checkpoint_id")
        kept = self._checkpoints.get((ns, parent or ""))
        before = kept[0] if kept else None
        values, old = checkpoint["channel_values"], before["channel_values"] if before else {}
        versions, old_versions = checkpoint["channel_versions"], before["channel_versions"] if before else {}
        seen, old_seen = checkpoint["versions_seen"], before["versions_seen"] if before else {}
        changed = {k for k in values if k not in old or versions.get(k) != old_versions.get(k)}
        self._record(
            _Put(
                ns=ns,
                id=checkpoint["id"],
                ts=checkpoint["ts"],
                v=checkpoint["v"],
                metadata=msgspec.to_builtins({k: v for k, v in metadata.items() if k in _METADATA}),
                parent=parent,
                values={k: self._pool.dump(values[k]) for k in values if k in changed},
                gone=[k for k in old if k not in values],
                versions={k: v for k, v in versions.items() if old_versions.get(k) != v},
                seen={k: dict(v) for k, v in seen.items() if old_seen.get(k) != v},
                updated=checkpoint.get("updated_channels"),
            )
        )
        self._keep(ns, checkpoint, metadata, parent)
        return _config(at, ns, checkpoint["id"])

    def aput_writes(  # pyright: ignore[reportIncompatibleMethodOverride] - awaited it does the same; it begins earlier
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> Coroutine[Any, Any, None]:
        """Record what a task wrote, at once and not when it is awaited: it is there before anybody hears of it."""
        at = config.get("configurable", {})
        ns, id_ = at.get("checkpoint_ns", ""), at["checkpoint_id"]
        # Errors are not kept: a run that failed is not taken up again, and their text stays out of the storage.
        kept = [(channel, value) for channel, value in writes if channel != _ERROR]
        if kept:
            dumped = [(channel, self._pool.dump(value)) for channel, value in kept]
            try:
                self._record(_Wrote(ns=ns, id=id_, task=task_id, path=task_path, writes=dumped))
            except BaseException as error:  # noqa: BLE001 - the line is lost: it is raised where it is awaited
                return _raised(error)
            self._keep_writes(ns, id_, task_id, task_path, kept)
        return _nothing()

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Record a checkpoint of a graph that a sync node runs in its thread."""
        work = self.aput(config, checkpoint, metadata, new_versions)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Record what a task wrote, of a graph that a sync node runs in its thread."""

        async def work() -> None:
            await self.aput_writes(config, writes, task_id, task_path)

        asyncio.run_coroutine_threadsafe(work(), self._loop).result()

    # the records

    def _record(self, entry: _Put | _Wrote) -> None:
        entry.new = [msgspec.Raw(dump) for dump in self._pool.take_new()]
        if self._count == 0:
            entry.base = self._pool.base
        self._line.record(f"graph:{self._count}", msgspec.json.encode(entry))
        self._count += 1

    def _again(self, entry: _Put | _Wrote) -> None:
        if entry.base is not None and entry.base != self._pool.base:
            raise AgentFailed("The thread is not what it was when the run began.", code="replay_mismatch")
        self._pool.give_back(entry.new)
        if isinstance(entry, _Wrote):
            writes = [(channel, self._pool.load(value)) for channel, value in entry.writes]
            self._keep_writes(entry.ns, entry.id, entry.task, entry.path, writes)
            return
        before = self._checkpoints.get((entry.ns, entry.parent or ""))
        old = copy_checkpoint(before[0]) if before else None
        values = {k: v for k, v in (old["channel_values"] if old else {}).items() if k not in entry.gone}
        checkpoint = Checkpoint(
            v=entry.v,
            id=entry.id,
            ts=entry.ts,
            channel_values={**values, **{k: self._pool.load(v) for k, v in entry.values.items()}},
            channel_versions={**(old["channel_versions"] if old else {}), **entry.versions},
            versions_seen={**(old["versions_seen"] if old else {}), **entry.seen},
            updated_channels=entry.updated,
        )
        self._keep(entry.ns, checkpoint, cast("CheckpointMetadata", entry.metadata), entry.parent)

    def _keep(
        self, ns: str, checkpoint: Checkpoint, metadata: CheckpointMetadata, parent: str | None
    ) -> None:
        self._checkpoints[ns, checkpoint["id"]] = (checkpoint, metadata, parent)
        self._heads[ns] = checkpoint["id"]

    def _keep_writes(
        self, ns: str, id_: str, task: str, path: str, writes: Sequence[tuple[str, Any]]
    ) -> None:
        kept = self._writes.setdefault((ns, id_), {})
        for number, (channel, value) in enumerate(writes):
            place = WRITES_IDX_MAP.get(channel, number)
            if place < 0 or (task, place) not in kept:
                kept[task, place] = (path, task, channel, value)


_METADATA = {"source", "step", "parents", "counters_since_delta_snapshot"}
"""What of a checkpoint's metadata the framework reads again; the rest may hold the run's context."""


def _config(at: dict[str, Any], ns: str, id_: str) -> RunnableConfig:
    return {"configurable": {"thread_id": at.get("thread_id"), "checkpoint_ns": ns, "checkpoint_id": id_}}


async def _nothing() -> None:
    """What was to be done is done."""


async def _raised(error: BaseException) -> None:
    raise error

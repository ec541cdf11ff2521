"""The figures that can be measured, by name: how each is shown, and which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["METRICS", "Figures", "Metric"]

Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a figure is shown; `higher` says which way is better."""

    title: str
    unit: str = ""
    higher: bool = False
    digits: int = 1


METRICS: Mapping[str, Metric] = {
    "turns_s": Metric(title="turns", unit="1/s", higher=True),
    "turn_cpu_ms": Metric(title="CPU a turn", unit="ms", digits=2),
    "turn_p50_ms": Metric(title="turn p50", unit="ms"),
    "turn_p99_ms": Metric(title="turn p99", unit="ms"),
    "ideal": Metric(title="of ideal", higher=True, digits=3),
    "tokens_s": Metric(title="tokens", unit="1/s", higher=True, digits=0),
    "cpu_ms_1k": Metric(title="CPU per 1,000 tokens", unit="ms"),
    "delay_p50_ms": Metric(title="token delay p50", unit="ms"),
    "delay_p99_ms": Metric(title="token delay p99", unit="ms"),
    "first_p50_ms": Metric(title="first token p50", unit="ms"),
    "first_p99_ms": Metric(title="first token p99", unit="ms"),
    "model_late_p99_ms": Metric(title="(instrument late p99)", unit="ms"),
    "cut": Metric(title="streams cut at the limit", digits=0),
    "stream_kb": Metric(title="memory an open stream", unit="KB"),
    "reader_kb": Metric(title="memory a mere reader", unit="KB"),
    "idle_mb": Metric(title="idle memory (RSS)", unit="MB"),
    "ready_s": Metric(title="start to ready", unit="s", digits=2),
    "ready_by_import": Metric(title="start to ready / import of the framework", digits=2),
    "turn_short_ms": Metric(title="turn on a thread of 10 messages", unit="ms", digits=2),
    "turn_long_ms": Metric(title="turn on the long thread", unit="ms", digits=2),
    "cpu_short_ms": Metric(title="its CPU, 10 messages", unit="ms", digits=2),
    "cpu_long_ms": Metric(title="its CPU, long thread", unit="ms", digits=2),
    "written_short_kb": Metric(title="written a turn, 10 messages", unit="KB"),
    "written_long_kb": Metric(title="written a turn, long thread", unit="KB"),
    "share_short_ms": Metric(title="own share of its CPU, 10 messages", unit="ms", digits=2),
    "share_long_ms": Metric(title="own share of its CPU, long thread", unit="ms", digits=2),
    "share_growth": Metric(title="own share of CPU, long / 10", digits=2),
    "written_growth": Metric(title="bytes written, long / 10", digits=2),
    "readers_mb": Metric(title="memory with all readers", unit="MB"),
    "readers_cpu": Metric(title="CPU while they idle", unit="%", digits=2),
    "request_p99_ms": Metric(title="a new request p99", unit="ms", digits=2),
    "replay_events_s": Metric(title="replay over HTTP", unit="1/s", higher=True, digits=0),
    "replay_cpu_ms_1k": Metric(title="replay CPU per 1,000 events", unit="ms", digits=2),
    "replay_inner_s": Metric(title="replay encoded, in process", unit="1/s", higher=True, digits=0),
    "sign_in_us": Metric(title="sign-in by key, warm", unit="us"),
    "limits_us": Metric(title="limits, three rules", unit="us"),
}

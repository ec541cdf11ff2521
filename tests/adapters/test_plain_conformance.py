"""Plain functions pass the suite that every adapter passes, async and in threads."""

from landline.ports.adapter import Finished
from landline.testing.adapters import AdapterConformance
from landline.testing.line import MemoryLine, turn_of
from tests.adapters.plain_kit import AsyncKit, SyncKit


class _Functions(AdapterConformance):
    async def test_closing_the_stream_of_events_stops_the_model_call(self) -> None:
        """A function's events go to its line as they happen; it never rests between two yields, so there is nothing
        to close: stopping it is cancelling it.
        """
        line = MemoryLine()
        items = [item async for item in self.kit.adapter.run(turn_of(line, self.kit.echo(), "hi"))]
        assert [type(item) for item in items] == [Finished]
        assert line.events


class TestAsyncFunctions(_Functions):
    kit = AsyncKit()


class TestSyncFunctions(_Functions):
    kit = SyncKit()

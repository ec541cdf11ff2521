"""What a plain function is given: its run. Everything that must happen once goes through it (ADP-11)."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from landline.adapters.plain.calls import Calls, refuse_inside
from landline.adapters.plain.speech import SCOPE
from landline.adapters.plain.tape import Tape
from landline.model.agents import ToolInfo
from landline.model.callers import Caller
from landline.model.events import Custom, Event, ReasoningDelta, SourceAdded, ToolProgress
from landline.model.messages import Message, Part, text_of
from landline.model.runs import QuestionKind
from landline.ports.adapter import Ask, ToolRaised

__all__ = ["PlainRun", "RunFacts"]


class RunFacts:
    """What a run is, the same for async and sync functions."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    @property
    def id(self) -> str:
        """The run's id."""
        return self._tape.turn.run_id

    @property
    def thread_id(self) -> str:
        """The thread's id."""
        return self._tape.turn.thread_id

    @property
    def input(self) -> str:
        """The text of the user's message."""
        return text_of(self._tape.turn.input)

    @property
    def parts(self) -> Sequence[Part]:
        """The user's message with its files and images."""
        return self._tape.turn.input

    @property
    def history(self) -> list[Message]:
        """The thread before this turn, oldest first."""
        return list(self._tape.turn.history)

    @property
    def context(self) -> Any:
        """The run's context; never stored."""
        return self._tape.turn.context

    @property
    def settings(self) -> dict[str, Any]:
        """The request's settings, such as `temperature`."""
        return dict(self._tape.turn.settings)

    @property
    def metadata(self) -> dict[str, Any]:
        """The run's metadata, as its client or the door it came through gave it; nobody vouches for it."""
        return dict(self._tape.turn.metadata)

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """The JSON schema that the request wants the answer to fit, None when it wants none.

        A function that reads this says that it can give such an answer; what it returns is checked.
        """
        schema = self._tape.turn.output_schema
        return None if schema is None else dict(schema)

    @property
    def caller(self) -> Caller:
        """Who started the run."""
        return self._tape.turn.caller

    @property
    def attempt(self) -> int:
        """1, and one more for each time the run was taken up after its worker was lost."""
        return self._tape.turn.attempt

    @property
    def cancelled(self) -> bool:
        """Whether the run is being stopped; a long loop in a sync function asks this now and then."""
        return self._tape.speech.stopped is not None or self._tape.line.cancelled

    @property
    def replaying(self) -> bool:
        """Whether readers have what would be said next, from before an answer or a crash: no need to pace it."""
        return self._tape.speech.replaying

    @property
    def mcp_tools(self) -> list[ToolInfo]:
        """What `mcp` may call: the tools of the agent's MCP servers, as a model is told of them."""
        return [
            ToolInfo(
                name=tool.name,
                description=tool.description,
                parameters=dict(tool.parameters),
                approval=tool.policy.approval,
                idempotent=tool.policy.idempotent,
            )
            for tool in self._tape.turn.tools
        ]

    @property
    def call_id(self) -> str | None:
        """Inside a step or tool: its id, the same when it runs again, so a good idempotency key for what it calls."""
        around = SCOPE.get()
        return around.call_id if around else None


class PlainRun(RunFacts):
    """One run of an async function or async generator.

    After an answer or a crash the function runs again from its top. What was done through these methods is not done
    again: finished steps and tools give their recorded results, answered questions their answers, and text that
    readers have is compared with the log instead of being sent. Code between them may run several times.
    """

    @cached_property
    def _calls(self) -> Calls:
        return Calls(self._tape)

    async def step(self, name: str, fn: Callable[..., Any], /, *args: Any, idempotent: bool = False) -> Any:
        """Run `fn(*args)` once over all crashes and return its result as plain JSON data.

        `fn` may be sync (it runs in a thread) or async; its result must be JSON data, a pydantic model or a dataclass.
        Steps are known by name and order: when the function runs again it must call those of one name in the same
        order. A step left in flight by a crash runs again if it is `idempotent`; without this a human is asked.

        What `fn` says is a message of its own. If it runs again and says something else, as a language model does, the
        cut message is taken back: a model's answer that streams belongs in an idempotent step.

        Raises:
            ToolRaised: It failed, now or before a crash.
        """
        return await self._calls.step(name, fn, args, idempotent=idempotent)

    async def tool(self, name: str, fn: Callable[..., Any], /, **arguments: Any) -> Any:
        """Run `fn(**arguments)` as the tool `name`: once, visible with its arguments, under its owner's policy.

        With `tools={name: landline.tool(approval=True)}` on the agent a human agrees first, perhaps to edited arguments.

        Raises:
            ToolRaised: It failed, or was denied (`code="denied"`, `message` is the reason).
        """
        return await self._calls.tool(name, fn, arguments)

    async def mcp(self, name: str, /, **arguments: Any) -> Any:
        """Call a tool of the agent's MCP servers, as `tool` calls one of your own.

        Raises:
            ToolRaised: It failed, was denied, or there is no such tool (`mcp_no_tool`), perhaps because it changed and
                is not approved.
        """
        tool = next((tool for tool in self._tape.turn.tools if tool.name == name), None)

        async def call(**given: Any) -> Any:
            if tool is None:
                # Told inside the call: when the function runs again, a recorded result needs no tool.
                raise ToolRaised("mcp_no_tool", f"No MCP server of this agent offers {name} at the moment.")
            return await tool.call(given)

        return await self._calls.tool(name, call, arguments)

    async def ask(
        self,
        prompt: str,
        *,
        kind: QuestionKind = "input",
        choices: Sequence[str] | None = None,
        tool: str | None = None,
        arguments: Any = None,
        expires_s: float | None = None,
    ) -> Any:
        """Ask a human; the run waits, for days if need be, without holding anything in memory.

        Returns:
            The answer's value for `input` and `choice` (None when it expired), True or False for `approval`.
        """
        refuse_inside("run.ask")
        tape = self._tape
        tape.check()
        key = tape.key("ask")
        question = {"kind": kind, "prompt": prompt, "choices": choices, "tool": tool, "arguments": arguments}
        tape.same(f"question:{key}", question, "it asks another question")
        if tool is not None:
            tape.line.knows(tool)
        answer = await tape.ask(
            Ask(
                key=key,
                kind=kind,
                prompt=prompt,
                choices=choices,
                tool=tool,
                arguments=arguments,
                expires_s=expires_s,
            )
        )
        return bool(answer.approve) if kind == "approval" else answer.value

    async def inputs(self) -> list[str]:
        """Return what the user has said since the last look, while this run goes on (`on_busy: steer`); often nothing.

        When the function runs again each look finds the same again. What is never looked at becomes the next run.
        """
        tape = self._tape
        tape.check()
        return [text_of(parts) for parts in tape.line.take_input(tape.key("inputs"))]

    async def text(self, text: str) -> None:
        """Say `text`: it streams, as part of the open message."""
        await self._tape.speech.say(text)

    async def end_message(self) -> None:
        """Complete the message; what is said next is a new one. Steps, tools and questions do this by themselves."""
        await self._tape.speech.end()

    async def output(self, so_far: Any) -> None:
        """Show the structured output so far; each one replaces the one before."""
        await self._tape.output(so_far)

    async def reasoning(self, text: str) -> None:
        """Show what is being thought, apart from the answer."""
        await self._tape.emit(ReasoningDelta(message_id="", delta=text))

    async def source(self, title: str, *, url: str | None = None, quote: str | None = None) -> None:
        """Name a source the answer rests on."""
        await self._tape.emit(SourceAdded(message_id="", title=title, url=url, quote=quote))

    async def progress(self, message: str | None = None, *, fraction: float | None = None) -> None:
        """Say how far it is: of the step or tool this is called in, else of the run (a custom event `progress`)."""
        if (call_id := self.call_id) is not None:
            await self._tape.emit(ToolProgress(call_id=call_id, message=message, fraction=fraction))
        else:
            await self.emit("progress", {"message": message, "fraction": fraction})

    async def emit(self, event: Event | str, data: Any = None) -> None:
        """Emit an event of your own by name, or one of the kinds a function may emit (see `landline.model.events`)."""
        await self._tape.emit(Custom(name=event, data=data) if isinstance(event, str) else event)

    async def read_file(self, file_id: str) -> tuple[str, str, bytes]:
        """Return (name, media type, bytes) of one of the caller's files."""
        return await self._tape.line.read_file(file_id)

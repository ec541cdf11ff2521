"""What a workflow is given: a `ui` to tell and to ask, in FastAgency's manner, on the run of a plain function.

The names, the arguments and their order are those of FastAgency's `UI`, so that a workflow's body needs no change when
it comes here. What they become in the log:

| call | in the log |
|---|---|
| `text_message` | an assistant message, and the custom event `text_message` {message_id, sender, recipient, auto_reply} |
| `text_input` | a question of kind `input`; its `arguments` are those of {sender, recipient, auto_reply, suggestions,
  password} that were given, None when none was |
| `multiple_choice` | a question of kind `choice`; `arguments` as above, of {sender, recipient, auto_reply, default,
  single}; `single` is there when it is false |
| `system_message`, `error`, `suggested_function_call`, `function_call_execution`, `workflow_started`,
  `workflow_completed` | a custom event of that name: {sender, recipient, auto_reply, …} and the call's own arguments |
| `progress` | the custom event `progress`; inside a step the `tool.progress` of that step |
| `step` | a journalled call, as `run.step` |
| `keep_alive` | nothing: every line of Landline keeps itself open |

Two things differ. Ids are Landline's (`message_id`, `question_id`), so a `uuid` is taken and not used; it would also
differ when the workflow runs again. And `process` is missing: it reads an AG2 0.x response, whose calls nothing could
record. Call the agents in steps, or serve an AG2 agent as it is.

A workflow resumes by replay: after an answer or a crash it runs again from its top, what it told is not told again, and
what it asked has its answer. Code between the calls may run several times; what must run once belongs in `step`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from landline.adapters.plain.run import PlainRun
from landline.adapters.plain.sync import SyncRun
from landline.adapters.plain.tape import Tape
from landline.adapters.plain.threads import Portal
from landline.model.events import Custom

__all__ = ["UI", "AsyncUI"]

Given = ParamSpec("Given")
T = TypeVar("T")


class AsyncUI:
    """The `ui` of an async workflow; `UI` is the one of a sync workflow."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._run = PlainRun(tape)

    @property
    def run(self) -> PlainRun:
        """The run, for what workflows of FastAgency do not have: its history, context, tools, output and more."""
        return self._run

    @property
    def workflow_uuid(self) -> str:
        """The run's id."""
        return self._run.id

    async def text_message(
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        body: str | None = None,
    ) -> None:
        """Say `body` as a message of its own. An empty body is no message, only its event."""
        facts = _facts(sender, recipient, auto_reply)
        if body:
            await self._tape.message(body, "text_message", facts)
        else:
            await self._tell("text_message", facts)

    async def text_input(  # noqa: PLR0913 - the signature is FastAgency's
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        prompt: str | None = None,
        suggestions: Sequence[str] | None = None,
        password: bool = False,
        *,
        expires_s: float | None = None,
    ) -> str | None:
        """Ask for a text; the run waits for it, for days if need be, and holds nothing in memory meanwhile.

        `password` tells whoever asks the human to hide the text; it is stored with the run as any answer is.
        `expires_s` is Landline's own: after so many seconds without an answer this returns None.
        """
        about = _facts(sender, recipient, auto_reply)
        about |= {"suggestions": list(suggestions or ()), "password": password}
        return await self._run.ask(prompt or "", arguments=_given(about), expires_s=expires_s)

    async def multiple_choice(  # noqa: PLR0913 - the signature is FastAgency's
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        prompt: str | None = None,
        choices: Sequence[str] | None = None,
        default: str | None = None,
        single: bool = True,
        *,
        expires_s: float | None = None,
    ) -> str | None:
        """Ask for one of `choices`; with `single` false for several, which are returned joined by commas.

        An answer with several choices where one is asked for is not taken: the question is asked again. `default` is
        shown with the question, and returned when nobody answers within `expires_s` seconds.

        Raises:
            ValueError: There is nothing to choose from.
        """
        if not choices:
            raise ValueError("multiple_choice needs choices")
        about = _given({**_facts(sender, recipient, auto_reply), "default": default})
        if not single:
            about = {**(about or {}), "single": False}
        while True:
            chosen = await self._run.ask(
                prompt or "", kind="choice", choices=list(choices), arguments=about, expires_s=expires_s
            )
            if chosen is None:
                return default
            if isinstance(chosen, str):
                return chosen
            if len(chosen) == 1 or not single:
                return ",".join(chosen)

    async def system_message(
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        message: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell `message`, which is JSON data, beside the conversation."""
        await self._tell(
            "system_message", {**_facts(sender, recipient, auto_reply), "message": dict(message or {})}
        )

    async def error(
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        short: str | None = None,
        long: str | None = None,
    ) -> None:
        """Tell of an error that does not end the workflow; one that does is raised."""
        await self._tell("error", {**_facts(sender, recipient, auto_reply), "short": short, "long": long})

    async def suggested_function_call(  # noqa: PLR0913 - the signature is FastAgency's
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        function_name: str | None = None,
        call_id: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell that a call is suggested. Nothing is called; `run.tool` calls, and journals what it calls."""
        about = {"function_name": function_name, "call_id": call_id, "arguments": dict(arguments or {})}
        await self._tell("suggested_function_call", {**_facts(sender, recipient, auto_reply), **about})

    async def function_call_execution(  # noqa: PLR0913 - the signature is FastAgency's
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        function_name: str | None = None,
        call_id: str | None = None,
        retval: Any = None,
    ) -> None:
        """Tell what a call gave."""
        about = {"function_name": function_name, "call_id": call_id, "retval": retval}
        await self._tell("function_call_execution", {**_facts(sender, recipient, auto_reply), **about})

    async def workflow_started(  # noqa: PLR0913 - the signature is FastAgency's
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        name: str | None = None,
        description: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell that a workflow begins, such as one that this one calls; the run's own begin is in the log anyway."""
        about = {"name": name, "description": description, "params": dict(params or {})}
        await self._tell("workflow_started", {**_facts(sender, recipient, auto_reply), **about})

    async def workflow_completed(
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
        result: str | None = None,
    ) -> None:
        """Tell that a workflow ended."""
        await self._tell("workflow_completed", {**_facts(sender, recipient, auto_reply), "result": result})

    async def keep_alive(
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
    ) -> None:
        """Do nothing, because every line of Landline keeps itself open."""

    async def progress(self, message: str | None = None, *, fraction: float | None = None) -> None:
        """Say how far the workflow is, or the step this is called in; `fraction` is 0 to 1."""
        await self._run.progress(message, fraction=fraction)

    async def step(self, name: str, fn: Callable[..., Any], /, *args: Any, idempotent: bool = False) -> Any:
        """Run `fn(*args)` once over all crashes and return its result; see `PlainRun.step`."""
        return await self._run.step(name, fn, *args, idempotent=idempotent)

    async def _tell(self, name: str, data: Mapping[str, Any]) -> None:
        await self._tape.emit(Custom(name=name, data=dict(data)))


def _waits(
    method: Callable[Concatenate[AsyncUI, Given], Awaitable[T]],
) -> Callable[Concatenate["UI", Given], T]:
    """Return a method of `AsyncUI` as one of `UI`: same arguments, and the workflow's thread waits for its end."""

    @wraps(method)
    def wait(ui: "UI", *args: Given.args, **kwargs: Given.kwargs) -> T:
        asked = partial(method, ui._ui, *args, **kwargs)  # pyright: ignore[reportPrivateUsage] - it becomes a method
        return ui._portal.call(asked)  # pyright: ignore[reportPrivateUsage] - as above

    return wait


class UI:
    """The `ui` of a sync workflow, which runs in a thread of its own; each method does what `AsyncUI`'s does."""

    def __init__(self, tape: Tape, portal: Portal) -> None:
        self._portal = portal
        self._ui = AsyncUI(tape)
        self._run = SyncRun(tape, portal)

    @property
    def run(self) -> SyncRun:
        """The run, for what workflows of FastAgency do not have: its history, context, tools, output and more."""
        return self._run

    @property
    def workflow_uuid(self) -> str:
        """The run's id."""
        return self._run.id

    text_message = _waits(AsyncUI.text_message)
    text_input = _waits(AsyncUI.text_input)
    multiple_choice = _waits(AsyncUI.multiple_choice)
    system_message = _waits(AsyncUI.system_message)
    error = _waits(AsyncUI.error)
    suggested_function_call = _waits(AsyncUI.suggested_function_call)
    function_call_execution = _waits(AsyncUI.function_call_execution)
    workflow_started = _waits(AsyncUI.workflow_started)
    workflow_completed = _waits(AsyncUI.workflow_completed)
    progress = _waits(AsyncUI.progress)
    step = _waits(AsyncUI.step)

    def keep_alive(
        self,
        sender: str | None = None,
        recipient: str | None = None,
        auto_reply: bool = False,
        uuid: str | None = None,
    ) -> None:
        """Do nothing, because every line of Landline keeps itself open."""


def _facts(sender: str | None, recipient: str | None, auto_reply: bool) -> dict[str, Any]:
    return {"sender": sender, "recipient": recipient, "auto_reply": auto_reply}


def _given(about: dict[str, Any]) -> dict[str, Any] | None:
    """Return what says something: whoever is asked is shown it."""
    return {name: value for name, value in about.items() if value} or None

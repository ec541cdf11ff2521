"""The run's own twins of its agents: the user's objects are shared by all runs, so nothing is written on them (AGT-3)."""

from copy import copy
from typing import Any, cast

from agents import Agent, AgentOutputSchemaBase, Handoff, ModelProvider, ModelSettings, RunContextWrapper
from agents.agent import ToolsToFinalOutputResult
from agents.models import get_default_model_settings

from landline.adapters.openai_agents.guards import own_output_guards
from landline.adapters.openai_agents.journal import Journal
from landline.adapters.openai_agents.mcp import RunServers
from landline.adapters.openai_agents.model import JournalModel, model_of
from landline.adapters.openai_agents.tools import Tools
from landline.model.errors import Unsupported

__all__ = ["OwnAgents"]


class OwnAgents:
    """The twins of one run, each made once: agents may hand off in circles."""

    def __init__(  # noqa: PLR0913 - what all twins of a run share
        self,
        journal: Journal,
        tools: Tools,
        servers: RunServers,
        provider: ModelProvider,
        *,
        model: Any,
        named: str | None,
        wanted: AgentOutputSchemaBase | None = None,
    ) -> None:
        self._journal, self._tools, self._servers, self._provider = journal, tools, servers, provider
        self._model, self._named, self._wanted = model, named, wanted
        self._made: dict[int, Agent[Any]] = {}

    def own(self, agent: Agent[Any]) -> Agent[Any]:
        """Return the twin of `agent`, whose model, tools, guards and handoffs are on the line.

        Raises:
            Unsupported: It does what cannot be put on the line.
        """
        if (known := self._made.get(id(agent))) is not None:
            return known
        if any(cls.__name__ == "SandboxAgent" for cls in type(agent).__mro__):
            raise Unsupported("Landline does not run sandbox agents.", code="local_tool")
        own = self._made[id(agent)] = copy(agent)
        self._made[id(own)] = own
        own.model_settings = self._settings(agent)
        own.model = JournalModel(
            model_of(self._model or agent.model, self._provider, name=self._named), self._journal
        )
        if self._wanted is not None:
            own.output_type = self._wanted
        own.tools = self._tools.own(agent.tools)
        own.output_guardrails = own_output_guards(agent.output_guardrails, self._journal)
        own.handoffs = [self._handoff(target) for target in agent.handoffs]
        if callable(agent.tool_use_behavior):
            own.tool_use_behavior = self._patient(agent.tool_use_behavior)

        async def get_mcp_tools(run_context: RunContextWrapper[Any]) -> list[Any]:
            await self._journal.at_line(self._servers.ready(agent.mcp_servers))
            found = await agent.get_mcp_tools(run_context)
            known = [tool.name for tool in found if self._servers.known(tool, agent.mcp_servers)]
            self._journal.line.knows(*known)
            return self._tools.own(found)

        own.get_mcp_tools = get_mcp_tools
        return own

    def release(self) -> None:
        """Let go of the twins, which know this object as it knows them: what a turn used is then free at once."""
        self._made.clear()

    def _settings(self, agent: Agent[Any]) -> ModelSettings:
        """Return the agent's settings; defaults that the SDK gave for one model are not taken to another."""
        settings, model = agent.model_settings, agent.model
        if self._named is not None and (model is None or isinstance(model, str)):
            defaults = get_default_model_settings(model) if model else get_default_model_settings()
            if settings == defaults:
                settings = get_default_model_settings(self._named)
        if settings.include_usage is None:
            # Without it a chat endpoint that is not OpenAI's own tells no usage.
            settings = settings.resolve(ModelSettings(include_usage=True))
        return settings

    def _handoff(self, target: Any) -> Any:
        if isinstance(target, Agent):
            return self.own(cast("Agent[Any]", target))
        own: Handoff[Any, Any] = copy(target)
        invoke = own.on_invoke_handoff

        async def on_invoke(ctx: RunContextWrapper[Any], arguments: str) -> Any:
            # A call of this answer that waits ends the segment before the owner's callback has an effect.
            await self._journal.settle()
            next_ = await invoke(ctx, arguments)
            if (
                id(next_) not in self._made
            ):  # the owner's function made it: nobody could list its tools before
                self._journal.line.knows(*(tool.name for tool in next_.tools))
            return self.own(next_)

        own.on_invoke_handoff = on_invoke
        return own

    def _patient(self, decide: Any) -> Any:
        def decide_on(ctx: Any, results: Any) -> Any:
            if self._journal.held:
                return ToolsToFinalOutputResult(is_final_output=False, final_output=None)
            return decide(ctx, results)

        return decide_on

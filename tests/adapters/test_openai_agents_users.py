"""Fifty users on one shared agent object of the OpenAI Agents SDK."""

import asyncio
import random

import pytest
from agents import Agent, RunContextWrapper, function_tool

from landline.adapters.openai_agents import adapter
from landline.model import events as log
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.models.openai_agents import Asked, Call, Think
from tests.adapters.openai_agents_kit import Pieces, agent_of


@pytest.mark.contract("ADP-9", "AGT-3")
async def test_fifty_users_with_tools_handoffs_and_cancels_hear_no_word_of_each_other() -> None:
    @function_tool
    async def remember(ctx: RunContextWrapper[str], word: str) -> str:
        await asyncio.sleep(0.001)
        return f"{word} {ctx.context}"

    @function_tool
    def repeat(ctx: RunContextWrapper[str], word: str) -> str:
        return f"{word} {ctx.context}"

    async def front_says(asked: Asked) -> Pieces:
        word = asked.prompts[-1]
        yield Think(f"{word} ")
        yield f"{word} "
        await asyncio.sleep(0)
        if not asked.told:
            yield Call("remember", {"word": word}, "call")
            yield Call("repeat", {"word": word}, "call2")
        else:
            yield Call("transfer_to_back", {}, "over")

    async def back_says(asked: Asked) -> Pieces:
        yield " ".join(text for _, text in asked.told)
        yield f" {asked.instructions}"

    def instruct(ctx: RunContextWrapper[str], _: Agent[str]) -> str:
        return ctx.context

    back = agent_of(back_says, name="back", instructions=instruct)
    front = agent_of(front_says, name="front", tools=[remember, repeat], handoffs=[back])
    spec = AgentSpec(agent=front, name="front")
    chance = random.Random(11)

    async def user(number: int) -> int:
        whole = 0
        for turn in range(3):
            word = f"canary-{number:04d}"
            line = MemoryLine()
            given = turn_of(line, spec, word, context=f"ctx-{word}", run_id=f"run-{number}-{turn}")
            task = asyncio.create_task(drive(adapter, line, given))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.3)
                task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(outcome, Finished):
                whole += 1
                assert str(outcome.output).count(word) == 5
            else:
                assert isinstance(outcome, asyncio.CancelledError)
            heard = b"".join([*map(log.encode, line.events), *line.records.values()])
            others = {f"canary-{other:04d}".encode() for other in range(50) if other != number}
            assert not [other for other in others if other in heard]
        return whole

    async with asyncio.timeout(30):
        finished = await asyncio.gather(*(user(number) for number in range(50)))
    assert sum(finished) > 75

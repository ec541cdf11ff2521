"""The bank support agent: structured output and one tool. The customers are made up."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field
from pydantic_ai import Agent, RunContext
from pydantic_ai.models import Model

from landline.model.ids import fingerprint

__all__ = ["Customer", "SupportOutput", "bank_agent", "customer_of"]

INSTRUCTIONS = (
    "You are a support agent of a bank. Give the customer advice and judge the risk of what they report, "
    "from 0 (none) to 10 (money is being lost now). Use the tool when the balance matters."
)


@dataclass(frozen=True, slots=True)
class Customer:
    """Who is asking."""

    name: str
    balance: float
    pending: float


class SupportOutput(BaseModel):
    """Advice for the customer."""

    support_advice: str = Field(description="Advice for the customer, in plain words")
    block_card: bool = Field(description="Whether the customer's card is to be blocked")
    risk_level: Annotated[int, Field(ge=0, le=10, description="Risk of the case")]
    follow_up_actions: list[str] = Field(description="What the customer should do next, step by step")


def customer_of(user: str) -> Customer:
    """Return the made-up account of a user: always the same one for the same user."""
    number = int(fingerprint(user.encode())[:8], 16)
    return Customer(name=user, balance=100 + number % 490_000 / 100, pending=number % 9_000 / 100)


def customer_balance(ctx: RunContext[Customer], include_pending: bool) -> str:
    """Return the customer's current balance; pending payments are taken off if they are to be included."""
    customer = ctx.deps
    return f"${customer.balance - (customer.pending if include_pending else 0):,.2f}"


def bank_agent(model: Model) -> Agent[Customer, SupportOutput]:
    """Return the agent on `model`."""
    return Agent(
        model,
        name="bank_support",
        deps_type=Customer,
        output_type=SupportOutput,
        instructions=INSTRUCTIONS,
        tools=[customer_balance],
    )

"""What the offline script understands of a bank's customers, and what it advises. First match wins."""

import re
from typing import Any

from landline.demo.script import Call, Reply, Said

__all__ = ["bank_script"]

_CASES: tuple[tuple[str, str, bool, int, tuple[str, ...]], ...] = (
    (
        r"\b(fraud|unknown (charge|payment)|unauthori[sz]ed|not made|(did not|didn't|never) (make|made|authori[sz]e)|hacked)\b",
        (
            "A payment that you did not make is treated as fraud. Your card is blocked now, and the payment is disputed "
            "for you. You are not liable for it while the case is open."
        ),
        True,
        9,
        (
            "Check the last 30 days for other payments",
            "Confirm the disputed payment",
            "Wait for your new card",
        ),
    ),
    (
        (
            r"\b(lost|stolen|stole|missing|can'?t find|cannot find)\b.*\b(card|wallet|purse)\b"
            r"|\b(card|wallet|purse)\b.*\b(lost|stolen|stole|missing|gone)\b"
        ),
        "Your card is blocked at once, so nobody can pay with it. A new one is on its way and takes three to five days.",
        True,
        8,
        ("Check your latest payments", "Report a theft to the police", "Activate the new card when it comes"),
    ),
    (
        r"\b(phishing|scam|suspicious|caller|called me|text message|link|asked for my (pin|password|code))\b",
        (
            "The bank never asks for your PIN, your password or a code. Do not answer, and do not follow any link. If you "
            "gave something away, say so, and your card will be blocked."
        ),
        False,
        7,
        ("Do not answer the message", "Change your password in the app", "Forward the message to the bank"),
    ),
    (
        r"\b(pin|password|log ?in|locked out)\b",
        "You can set a new PIN or password in the app under Security. It takes a minute and needs your identity card.",
        False,
        2,
        ("Open Security in the app", "Choose a PIN or password that you use nowhere else"),
    ),
    (
        r"\b(travel|abroad|holiday|trip)\b",
        "Your card works abroad. Switch the region on in the app before you leave, so that payments are not stopped.",
        False,
        1,
        ("Switch on the region in the app", "Note the number for blocking your card"),
    ),
    (
        r"\b(loan|mortgage|credit|overdraft|interest)\b",
        "A credit depends on your income and your payments of the last six months. An adviser goes through it with you.",
        False,
        1,
        ("Collect your last three payslips", "Make an appointment with an adviser"),
    ),
)
_BALANCE = re.compile(r"\b(balance|how much|money|account|pending)\b", re.IGNORECASE)
_FALLBACK = (
    "I am a small offline script, not a language model, and did not recognise your question. I know about your balance, "
    "a lost or stolen card, payments you did not make, suspicious messages, PIN and password, travel, and credit."
)


def bank_script(said: Said) -> Reply:
    """Return the script's next move: a look at the balance, or advice."""
    if said.rounds:
        return _advice(
            f"Your balance is {said.rounds[0][0].content}. Payments of the last hours may not be included yet.",
            block_card=False,
            risk_level=0,
            follow_up_actions=("Look at the latest payments in the app",),
        )
    for pattern, advice, block, risk, actions in _CASES:
        if re.search(pattern, said.words, re.IGNORECASE | re.DOTALL):
            return _advice(advice, block_card=block, risk_level=risk, follow_up_actions=actions)
    if _BALANCE.search(said.words):
        return [Call("customer_balance", {"include_pending": "pending" in said.words.lower()})]
    actions = ("Ask “What is my balance?”", "Say “I lost my card”")
    return _advice(_FALLBACK, block_card=False, risk_level=0, follow_up_actions=actions)


def _advice(
    advice: str, *, block_card: bool, risk_level: int, follow_up_actions: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "support_advice": advice,
        "block_card": block_card,
        "risk_level": risk_level,
        "follow_up_actions": list(follow_up_actions),
    }

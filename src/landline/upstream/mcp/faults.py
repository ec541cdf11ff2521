"""What can go wrong with a call, by what is known of it: a call that may have been carried out is never sent again."""

from landline.ports.adapter import ToolRaised

__all__ = ["BadResult", "Down", "Fault", "Lost", "NotSent", "Refused", "TimedOut"]


class Fault(Exception):
    """A call that gave no result. `code` and `message` are what the model and the log are told."""

    code = "mcp_down"
    message = "The tool's server cannot be reached or does not answer."

    @property
    def raised(self) -> ToolRaised:
        """The fault as adapters know it."""
        return ToolRaised(self.code, self.message)


class NotSent(Fault):
    """The server did not take it: the connection had broken, or the server does not know it any more."""


class Down(Fault):
    """The server cannot be reached, or does not say what tools it has."""


class Lost(Fault):
    """The connection broke after it may have been sent."""

    code = "mcp_outcome_unknown"
    message = (
        "The connection to the tool's server broke; whether the call was carried out is not known. "
        "It was not sent again."
    )


class TimedOut(Fault):
    """No answer in time; the server was told to stop."""

    code = "mcp_timed_out"
    message = "The tool's server did not answer in time; whether the call was carried out is not known."


class Refused(Fault):
    """The server answered that it will not carry it out."""

    code = "mcp_refused"
    message = "The tool's server refused the call."

    def __init__(self, said: str | None = None) -> None:
        super().__init__(said)
        if said:
            self.message = f"{Refused.message[:-1]}: {said}"


class BadResult(Fault):
    """It was carried out, and what came back cannot be used."""

    code = "mcp_bad_result"
    message = "The tool's server answered with something that cannot be used as a result."

    def __init__(self, *, longer_than: int | None = None) -> None:
        super().__init__(longer_than)
        if longer_than is not None:
            self.message = f"The tool's result is longer than {longer_than} bytes, which is the limit."

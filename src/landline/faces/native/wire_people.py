"""The bodies of the routes that look after keys and users; a field they do not know is refused."""

from typing import Annotated

from pydantic import AfterValidator, Field

from landline.faces.native.wire import Body, Name
from landline.model.callers import MAX_USER_CHARS, is_user_name

__all__ = ["AddUserBody", "ChangeUserBody", "CreateKeyBody", "RotateKeyBody"]

MAX_LIFE_S = 10 * 365 * 24 * 3600
"""Ten years: longer is the same as never, which is said by leaving it out."""
MAX_OVERLAP_S = 30 * 24 * 3600


def _visible(text: str) -> str:
    if not is_user_name(text):
        raise ValueError("a user's name has visible characters only, no spaces")
    return text


UserName = Annotated[str, Field(min_length=1, max_length=MAX_USER_CHARS), AfterValidator(_visible)]
Word = Annotated[str, Field(min_length=1, max_length=64)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Life = Annotated[int, Field(ge=1, le=MAX_LIFE_S)]
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^\s@]+@[^\s@]+$")]
Password = Annotated[str, Field(min_length=1, max_length=1024)]
Roles = Annotated[list[Word], Field(max_length=32)]


class CreateKeyBody(Body):
    """A key to make in the caller's tenant."""

    user: UserName = Field(description="Whose key it is.", examples=["ann"])
    scopes: Annotated[list[Word], Field(max_length=64)] | None = Field(
        None, description="What it may do; all that its user may, when left out.", examples=[["runs:write"]]
    )
    agents: Annotated[list[Name], Field(max_length=200)] | None = Field(
        None, description="The agents it may use; every one, when left out.", examples=[["notes"]]
    )
    tier: Word = Field("free", description="What its limits go by.")
    limits: Annotated[dict[Word, Word], Field(max_length=32)] | None = Field(
        None, description="Limits of its own, in place of the tier's."
    )
    name: Label | None = Field(None, description="What it is for.", examples=["laptop"])
    expires_in_s: Life | None = Field(
        None, description="Seconds that it holds; for good, when left out.", examples=[86_400]
    )


class RotateKeyBody(Body):
    """How a key is followed by another."""

    overlap_s: int = Field(3600, ge=0, le=MAX_OVERLAP_S, description="Seconds that the old key still holds.")
    expires_in_s: Life | None = Field(
        None, description="Seconds that the new key holds; as many as the old one was given, when left out."
    )


class AddUserBody(Body):
    """A user to make in the caller's tenant."""

    name: UserName = Field(description="Unique in the tenant.", examples=["ann"])
    roles: Roles = Field(default=["user"], description="user, premium, admin, or roles of the owner's own.")
    email: Email | None = Field(None, examples=["ann@example.com"])
    password: Password | None = Field(None, description="Kept as an argon2id hash; none, when left out.")


class ChangeUserBody(Body):
    """Changes to a user; what is left out stays. `email: null` takes the address away."""

    roles: Roles | None = Field(None, description="All that it has from now on.")
    email: Email | None = None
    password: Password | None = None
    disabled: bool | None = Field(
        None, description="true keeps it out: keys and tokens stop within 5 seconds; false lets it in again."
    )

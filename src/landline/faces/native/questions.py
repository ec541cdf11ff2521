"""The inbox of open questions over REST (RUN-9)."""

from starlette.responses import Response

from landline.faces.native import documents, encode
from landline.faces.native.turn import PREFIX
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.paging import DEFAULT_LIMIT, CursorParam, LimitParam
from landline.web.route import Entry, lists, requires

__all__ = ["QuestionRoutes"]


class QuestionRoutes:
    """The handler, and the table that says where it is."""

    def __init__(self, ports: FacePorts) -> None:
        self._questions = ports.questions

    @requires("approvals:answer")
    @lists()
    async def inbox(
        self, caller: CallerOf, limit: LimitParam = DEFAULT_LIMIT, cursor: CursorParam = None
    ) -> Response:
        """Return a page of the open questions the caller may answer, over all threads."""
        return encode.json_response(
            encode.page(await self._questions.inbox(caller, limit=limit, cursor=cursor))
        )

    def routes(self) -> list[Entry]:
        """Return the table."""
        listed = documents.answer(
            "QuestionPage", documents.page_of(documents.QUESTION), "A page of open questions."
        )
        return [
            Entry(method="GET", path=f"{PREFIX}/approvals", endpoint=self.inbox, name="list_approvals",
                  summary="List open questions", docs={"responses": {200: listed, **documents.problems()}}),
        ]  # fmt: skip

"""Files over REST (THR-9, TRU-16): uploaded as a stream, downloaded as an attachment that nothing runs."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.native import decode, documents, encode
from landline.faces.native.params import IdempotencyParam, IdParam
from landline.faces.native.turn import PREFIX, location
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.route import Entry, requires, takes_uploads
from landline.web.upload import open_upload

__all__ = ["FileRoutes"]

_HARMLESS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "cache-control": "private, no-store",
}


class FileRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._files = ports.files

    @requires("files:write")
    @takes_uploads
    async def upload(
        self,
        request: Request,
        caller: CallerOf,
        name: Annotated[
            str | None, Query(min_length=1, max_length=255, description="The name of a raw body.")
        ] = None,
        key: IdempotencyParam = None,
    ) -> Response:
        """Keep a file: the one file of a multipart form, or the raw body; its type is what its bytes show."""
        file_name, pieces = await open_upload(request, name=name)
        named = decode.idempotency(key, route="POST /files", body=[file_name])
        info, replayed = await self._files.upload(caller, file_name, pieces, idempotency=named)
        headers = {"location": location(request, f"/files/{info.id}")}
        if replayed:
            headers["idempotency-replayed"] = "true"
        return encode.json_response(info, status=201, headers=headers)

    @requires("files:read")
    async def get(self, file_id: IdParam, caller: CallerOf) -> Response:
        """Return what is known of a file."""
        return encode.json_response(await self._files.info(caller, file_id))

    @requires("files:read")
    async def content(self, file_id: IdParam, caller: CallerOf) -> Response:
        """Return a file's bytes."""
        info, data = await self._files.read(caller, file_id)
        attachment = {"content-disposition": f"attachment; filename*=UTF-8''{quote(info.name, safe='')}"}
        return Response(data, headers={**_HARMLESS, **attachment, "content-type": info.media_type})

    def routes(self) -> list[Entry]:
        """Return the table."""
        info = documents.answer("FileInfo", documents.FILE, "The file.")
        made = {
            **info,
            "description": "The file; Location names it.",
            "headers": {"Location": {"schema": {"type": "string"}}},
        }
        bytes_ = {
            "description": "The bytes, as an attachment.",
            "content": {"*/*": {"schema": _BINARY, "example": "milk, bread"}},
        }
        return [
            Entry(method="POST", path=f"{PREFIX}/files", endpoint=self.upload, name="upload_file", summary="Upload a file",
                  status=201, docs={"responses": {201: made, **documents.problems(409, 507)}, "openapi_extra": _BODY}),
            Entry(method="GET", path=f"{PREFIX}/files/{{file_id}}", endpoint=self.get, name="get_file",
                  summary="Get what is known of a file", docs={"responses": {200: info, **documents.problems(404)}}),
            Entry(method="GET", path=f"{PREFIX}/files/{{file_id}}/content", endpoint=self.content, name="download_file",
                  summary="Download a file",
                  docs={"responses": {200: bytes_, **documents.problems(404)}, "response_class": Response}),
        ]  # fmt: skip


_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": _BINARY}},
            },
            "application/octet-stream": {"schema": _BINARY, "example": "milk, bread"},
        },
    }
}

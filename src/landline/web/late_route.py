"""Routes that are built when they are first needed. FastAPI works out what a handler takes and what it answers the moment
a route is made, a millisecond or two each: a server has fifty routes and a start needs none of them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import compile_path, get_name

__all__ = ["LateRoute", "join"]

_DOCUMENTED = ("responses", "response_fields")
"""What only an OpenAPI document asks of a route."""


class LateRoute(APIRoute):
    """A route that knows at once where it is, and all else from its first request or its first reader on.

    Args:
        path: Where it is.
        endpoint: Its handler. What FastAPI has against its signature is raised when the route is built: when the OpenAPI
            document is made at the latest.
        options: As `APIRoute` takes them. In `responses`, a `functools.partial` as `model` returns the model.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path, self.endpoint = path, endpoint
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ("GET",)}
        self.include_in_schema = options.get("include_in_schema", True)
        self._answers: Mapping[int | str, dict[str, Any]] = options.pop("responses", None) or {}
        self._options = options

    def __getattr__(self, name: str) -> Any:
        """Build the route, or the part of it that is for the document; Python asks here for what is not there."""
        if name in _DOCUMENTED:
            self._document()
        elif name.startswith("__") or "app" in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        else:
            self._build()
        return getattr(self, name)

    def _build(self) -> None:
        documented = {name: self.__dict__[name] for name in _DOCUMENTED if name in self.__dict__}
        super().__init__(self.path, self.endpoint, **self._options)
        for name in _DOCUMENTED:
            # It was built without its answers: whoever asks for them comes to `_document`.
            self.__dict__.pop(name, None)
        self.__dict__.update(documented)

    def _document(self) -> None:
        answers = {status: _modelled(answer) for status, answer in self._answers.items()}
        whole = APIRoute(self.path, self.endpoint, responses=answers, **self._options)
        self.responses, self.response_fields = whole.responses, whole.response_fields


def _modelled(answer: dict[str, Any]) -> dict[str, Any]:
    model = answer.get("model")
    return {**answer, "model": model()} if isinstance(model, partial) else answer


def join(router: APIRouter, faces: Sequence[APIRouter]) -> None:
    """Put the routes of faces, which have no prefix, into `router` as they are, and their lifespans with its own.

    FastAPI's own way would build every route once more. It would also look through each face twice for each request, and
    make sure each time that no route in it has changed: a sixth of what a request costs before its handler.
    """
    for face in faces:
        router.routes.extend(face.routes)
        face.routes.clear()
    for face in faces:
        router.include_router(face)

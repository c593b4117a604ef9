"""The web application: addresses, and what is answered at each. All of its state is in the file of answers.

A learner's address holds a secret token, and so does the organiser's; there are no cookies, so a page
elsewhere can post nothing in anybody's name.
"""

import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from diptych.collect.export import lines
from diptych.collect.folder import Pictures
from diptych.collect.guard import Guard, Hosts
from diptych.collect.pages import page, static
from diptych.collect.session import ConflictError, Sessions, UnknownLearnerError
from diptych.embed import UnreadableImageError

_LOG = logging.getLogger("uvicorn.error")

Visit = Annotated[str, Field(min_length=1, max_length=64)]


class Going(BaseModel):
    """A page asks what comes next."""

    model_config = ConfigDict(strict=True, extra="forbid")
    visit: Visit
    seen: int | None = None


class Answering(BaseModel):
    """A page sends an answer."""

    model_config = ConfigDict(strict=True, extra="forbid")
    visit: Visit
    step: int
    answer: Any
    response_time: float | None = None


def make_app(sessions: Sessions, pictures: Pictures, hosts: Hosts, organiser: str) -> FastAPI:
    """Put the application together.

    Args:
        sessions: The learners' ways through the study, whose store is closed with the application.
        pictures: Of the study.
        hosts: By which names it may be called.
        organiser: Secret token of the organiser's page.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        sessions.store.close()

    # Without the pages that describe the addresses: they load scripts from a network.
    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, hosts=hosts)
    _add_errors(app)
    _add_learners(app, sessions)
    _add_pictures(app, sessions, pictures)
    _add_organiser(app, sessions, organiser)

    @app.get("/static/{name}")
    def file(name: str) -> Response:
        found = static(name)
        if found is None:
            raise HTTPException(404, "There is no such file.")
        return found

    return app


def _add_learners(app: FastAPI, sessions: Sessions) -> None:
    kind = sessions.store.study.kind

    @app.get("/")
    def start() -> Response:
        return page("start.html.j2", root="", ticket=sessions.ticket(), instructions=kind.instructions())

    @app.post("/begin/{ticket}")
    def begin(ticket: str) -> Response:
        return RedirectResponse(f"../learn/{sessions.begin(ticket)}", status_code=303)

    @app.get("/learn/{token}")
    def learn(token: str) -> Response:
        if sessions.store.learner(token) is None:
            raise UnknownLearnerError("nobody has begun at this address")
        return page("learn.html.j2", root="../", visit=secrets.token_urlsafe(12), kind=kind.name)

    @app.post("/learn/{token}/go")
    def go(token: str, asked: Going) -> Response:
        return _json(sessions.go(token, asked.visit, asked.seen))

    @app.post("/learn/{token}/answer")
    def answer(token: str, sent: Answering) -> Response:
        try:
            sessions.answer(token, sent.visit, sent.step, sent.answer, sent.response_time)
        except ConflictError as error:
            return _json({"detail": str(error)}, 409)
        except ValueError as error:
            return _json({"detail": str(error)}, 422)
        return _json({"kept": sent.step})


def _add_pictures(app: FastAPI, sessions: Sessions, pictures: Pictures) -> None:
    @app.get("/learn/{token}/image/{step}/{place}")
    def image(token: str, step: int, place: int) -> Response:
        number = sessions.image(token, step, place)
        try:
            content, media_type = pictures.encoded(number)
        except UnreadableImageError as error:
            _LOG.error("%s", error)
            raise HTTPException(410, "This picture cannot be read any more.") from error
        # An address means one picture for ever; no cache that others use may keep it.
        headers = {"cache-control": "private, max-age=86400, immutable"}
        return Response(content, media_type=media_type, headers=headers)


def _add_organiser(app: FastAPI, sessions: Sessions, token: str) -> None:
    def check(given: str) -> None:
        if not secrets.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            raise HTTPException(404, "There is no such page.")

    @app.get("/organiser/{given}")
    def organiser(given: str) -> Response:
        check(given)
        learners = sessions.store.learners()
        return page(
            "organiser.html.j2",
            root="../",
            learners=sorted(learners, key=lambda each: each.last or each.began, reverse=True),
            finished=sum(each.answered == each.steps for each in learners),
            answers=sum(each.answered for each in learners),
            minute=lambda seconds: datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M"),
            export=f"{token}/answers.jsonl",
        )

    @app.get("/organiser/{given}/answers.jsonl")
    def answers(given: str) -> Response:
        check(given)
        return Response(
            "".join(lines(sessions.store, sessions.store.learners())),
            media_type="application/x-ndjson",
            headers={
                "content-disposition": 'attachment; filename="answers.jsonl"',
                "cache-control": "no-store",
            },
        )


def _add_errors(app: FastAPI) -> None:
    def told(request: Request, status: int, detail: str) -> Response:
        if request.method == "GET":
            # Pages lie at different depths; the style's address is given from the root that the server has.
            root = "../" * (request.url.path.count("/") - 1)
            return page("error.html.j2", status, root=root, detail=detail)
        return _json({"detail": detail}, status)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        return told(request, error.status_code, str(error.detail))

    @app.exception_handler(UnknownLearnerError)
    def unknown(request: Request, error: UnknownLearnerError) -> Response:
        if request.method == "POST" and request.url.path.startswith("/begin/"):
            return page("error.html.j2", 404, root="../", detail=f"{error}; begin anew.")
        return told(request, 404, f"{str(error).capitalize()}.")

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        # Not what was found, as by default: it may be what JSON cannot hold.
        where = ", ".join(".".join(map(str, each["loc"])) + ": " + each["msg"] for each in error.errors())
        return told(request, 422, where.encode("utf-8", "replace").decode())

    @app.exception_handler(sqlite3.Error)
    def failed(request: Request, error: sqlite3.Error) -> Response:
        _LOG.error("The file of answers cannot be written: %s", error)
        return PlainTextResponse("The file of answers cannot be written.", 503)


def _json(content: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(content, status, headers={"cache-control": "no-store"})

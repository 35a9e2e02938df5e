"""The service: its routes, behind the gate."""

from __future__ import annotations

import importlib.resources
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from negah import __version__
from negah.runtime import Captioner
from negah.serve import native, ollama, openai, photoprism
from negah.serve.description import TEXT, add_bodies, body, refusals
from negah.serve.gate import MESSAGES, PAGE, Gate
from negah.serve.metrics import CONTENT_TYPE, ServiceMetrics
from negah.serve.models import Models
from negah.serve.options import ServeOptions
from negah.serve.problems import RefusedError, answer, failure

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


def build_app(captioners: Mapping[str, Captioner], options: ServeOptions) -> Gate:
    """The service as an ASGI application. Its lifespan warms up the models and closes them.

    Args:
        captioners: the models by the names for clients; the first is the default.
        options: of the service.
    """
    metrics = ServiceMetrics()
    models = Models(captioners, options.limits, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # beside the first requests, which wait their turn
        warm_up = threading.Thread(target=models.warm_up, name="negah-warm-up", daemon=True)
        warm_up.start()
        yield
        warm_up.join()
        models.close()

    app = FastAPI(
        title="Negah",
        version=__version__,
        description=TEXT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        exception_handlers={
            RefusedError: _refuse,
            HTTPException: _no_route,
            RecursionError: _too_deep,
            Exception: _fail,
        },
    )
    routers = (
        _about_the_service(models, metrics),
        _native(models),
        _ollama(models),
        _openai(models),
        _photoprism(models),
        _page(models),
    )
    for router in routers:
        app.include_router(router)
    add_bodies(app)
    if options.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After", "X-Negah-Ignored"],
        )
    routes = (route for router in routers for route in router.routes)
    paths = frozenset(route.path for route in routes if isinstance(route, Route))
    return Gate(app, options, metrics, paths)


async def _refuse(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, RefusedError)
    return answer(refusal, request.url.path)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal = RefusedError(error.status_code, str(error.detail), "no_route", error.headers)
    return answer(refusal, request.url.path)


async def _too_deep(request: Request, error: Exception) -> Response:
    """Refuse JSON that was readable but is nested too deeply for processing."""
    return answer(RefusedError(400, "the body is nested too deeply"), request.url.path)


async def _fail(request: Request, error: Exception) -> Response:
    return answer(failure(), request.url.path)


def _about_the_service(models: Models, metrics: ServiceMetrics) -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get("/livez", response_class=PlainTextResponse)
    async def is_alive() -> str:
        """Whether the process is alive."""
        return "ok\n"

    @router.get("/readyz", response_class=PlainTextResponse, responses={503: {}})
    async def is_ready() -> Response:
        """Whether every model has produced a caption."""
        if models.ready:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the models are being warmed up\n", 503)

    @router.get("/metrics", response_class=PlainTextResponse, responses={401: {}})
    async def prometheus() -> Response:
        """Metrics in the format of Prometheus."""
        return Response(metrics.text(models.held()), media_type=CONTENT_TYPE)

    return router


def _native(models: Models) -> APIRouter:
    router = APIRouter(tags=["negah"])

    @router.post(
        "/v1/captions",
        responses=refusals(problem=True),
        openapi_extra=body(native.CaptionRequest, form=True),
    )
    async def caption(request: Request) -> Response:
        """Caption one photo or clip, sent as a form or in JSON."""
        return await native.answer(request, models)

    return router


def _ollama(models: Models) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["ollama"])

    @router.post("/generate", responses=refusals(), openapi_extra=body(ollama.GenerateRequest))
    async def generate(request: Request) -> Response:
        """Caption photos."""
        return await ollama.generate(request, models)

    @router.post("/chat", responses=refusals(), openapi_extra=body(ollama.ChatRequest))
    async def chat(request: Request) -> Response:
        """Caption the photos of a conversation."""
        return await ollama.chat(request, models)

    @router.post("/show", responses=refusals(), openapi_extra=body(ollama.ShowRequest))
    async def show(request: Request) -> dict[str, Any]:
        """Describe a model."""
        return ollama.show(models, await request.body())

    @router.get("/tags", responses={401: {}})
    async def tags() -> dict[str, Any]:
        """The models."""
        return ollama.tags(models)

    @router.get("/version", responses={401: {}})
    async def version() -> dict[str, str]:
        """The version of this program."""
        return {"version": __version__}

    return router


def _openai(models: Models) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["openai"])

    @router.post(
        "/chat/completions",
        responses=refusals(),
        openapi_extra=body(openai.ChatCompletionRequest),
    )
    async def chat_completions(request: Request) -> Response:
        """Caption the photos of a conversation."""
        return await openai.chat_completions(request, models)

    @router.post("/responses", responses=refusals(), openapi_extra=body(openai.ResponsesRequest))
    async def responses(request: Request) -> Response:
        """Caption the photos of the input."""
        return await openai.responses(request, models)

    @router.get("/models", responses={401: {}})
    async def list_models() -> dict[str, Any]:
        """The models, also for the native interface."""
        return {"object": "list", "data": openai.model_rows(models)}

    @router.get("/models/{name:path}", responses=refusals(problem=True))
    async def one_model(name: str) -> dict[str, Any]:
        """One model."""
        served = models.find(name)
        return next(row for row in openai.model_rows(models) if row["id"] == served.name)

    return router


def _photoprism(models: Models) -> APIRouter:
    router = APIRouter(prefix="/api/v1/vision", tags=["photoprism"])

    @router.post("/caption", responses=refusals(), openapi_extra=body(photoprism.VisionRequest))
    async def caption(request: Request) -> JSONResponse:
        """Caption one photo."""
        return await photoprism.answer(request, models)

    return router


def _page(models: Models) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    folder = importlib.resources.files("negah.serve") / "page"
    for path, name in PAGE.items():
        content = _messages(models) if name == MESSAGES else (folder / name).read_bytes()
        router.add_api_route(path, _sends(content, _TYPES[name.rpartition(".")[2]]))
    return router


def _messages(models: Models) -> bytes:
    """The texts of the page in the languages of its models, as a JavaScript module."""
    tables = {served.language.code: dict(served.language.messages) for served in models}
    return f"export const MESSAGES = {json.dumps(tables)};\n".encode()


def _sends(content: bytes, media_type: str) -> Any:
    async def send() -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return send

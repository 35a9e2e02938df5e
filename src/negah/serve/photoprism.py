"""The interface of PhotoPrism for vision services."""

from __future__ import annotations

import secrets
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from negah.serve.bodies import JsonBody, read_json
from negah.serve.models import Models
from negah.serve.problems import RefusedError
from negah.serve.uploads import from_data_url


class VisionRequest(JsonBody):
    """``POST /api/v1/vision/caption``."""

    id: str | None = Field(default=None, max_length=128)
    model: str | None = Field(default=None, description="One of /v1/models.", examples=["negah"])
    images: list[str] = Field(default=[], description="The photo, as a data URL; one.")


async def answer(request: Request, models: Models) -> JSONResponse:
    """Answer one request; the caption has a confidence if the model is calibrated."""
    given = read_json(VisionRequest, await request.body())
    served = models.find(given.model)
    if len(given.images) != 1:
        raise RefusedError(
            400, f"images has one photo, as a data URL, and here are {len(given.images)}"
        )
    upload = from_data_url(given.images[0], "images[0]")
    caption = await models.caption(served, upload)
    grid = served.backend.sight.size
    result: dict[str, Any] = {"text": caption.text, "source": "image"}
    if caption.confidence is not None:
        result["confidence"] = round(caption.confidence, 4)
    return JSONResponse(
        {
            "id": given.id or secrets.token_hex(8),
            "code": 200,
            "model": {
                "type": "caption",
                "name": served.name,
                "version": served.backend.identity.sha256[:12],
                "resolution": min(grid),
            },
            "result": {"caption": result},
        },
        headers=given.ignored(),
    )

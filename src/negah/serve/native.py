"""The native interface: ``POST /v1/captions``."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from negah.captions import Caption
from negah.evidence.light import has_maps, light_of_maps, maps_of
from negah.evidence.words import describe
from negah.serve.bodies import JsonBody, read_json
from negah.serve.models import Models
from negah.serve.problems import RefusedError
from negah.serve.uploads import Upload, from_base64, read_form, upload_of


class CaptionRequest(JsonBody):
    """One photo or clip and how to caption it."""

    model_config = ConfigDict(extra="forbid", title="CaptionRequest")

    file: str = Field(
        description="The photo or clip, in base64 or as a data URL.",
        json_schema_extra={"contentEncoding": "base64"},
    )
    model: str | None = Field(default=None, description="One of /v1/models; the first by default.")
    language: str | None = Field(
        default=None,
        max_length=32,
        description="Of the caption, by its code, such as fa: the first model that captions in it.",
    )
    frames: int | None = Field(default=None, ge=1, description="Frames that are looked at.")
    evidence: bool = Field(default=False, description="With every word and its numbers.")
    maps: bool = Field(
        default=False,
        description="With every word and its map: where it comes from, measured; takes longer.",
    )
    decoding: dict[str, Any] = Field(
        default={}, description="Decoding options, such as beam, n_best, max_length, banned."
    )


#: Fields of a form that are read as JSON; the others are text.
_JSON_FIELDS = frozenset({"frames", "evidence", "maps", "decoding"})


async def answer(request: Request, models: Models) -> JSONResponse:
    """Answer one request for a caption."""
    given, upload = await _read(request)
    served = models.find(given.model, given.language)
    found = await models.caption(served, upload, given.decoding, given.frames, maps=given.maps)
    return JSONResponse(
        {
            "model": served.name,
            "kind": "clip" if upload.clip else "photo",
            **_row(found, evidence=given.evidence, maps=given.maps),
        }
    )


def _row(caption: Caption, *, evidence: bool, maps: bool) -> dict[str, Any]:
    row = caption.to_dict(words=evidence or maps)
    if maps and not evidence:
        for one in row.get("alternatives", ()):
            del one["words"]
    if has_maps(caption):
        light_TFHW = light_of_maps(maps_of(caption))
        for word, told, light_FHW in zip(caption.words, row["words"], light_TFHW, strict=True):
            told["light"] = np.round(light_FHW.astype(np.float64), 3).tolist()
            told["told"] = describe(word, caption.times, language=caption.language)
    return row


async def _read(request: Request) -> tuple[CaptionRequest, Upload]:
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    body = await request.body()
    if kind == "application/json":
        given = read_json(CaptionRequest, body)
        return given, from_base64(given.file, "file")
    if kind != "multipart/form-data":
        raise RefusedError(
            415,
            f"the body is {kind[:64] or 'of no stated type'}; send multipart/form-data with a "
            'part "file", or application/json',
            "wrong_type",
        )
    form = read_form(body, content_type)
    if [name for name, _ in form.files] != ["file"]:
        raise RefusedError(
            422, 'the form has one photo or clip: a part "file" with a file name, and no other'
        )
    values: dict[str, Any] = {"file": "", **form.fields}
    for name in _JSON_FIELDS & values.keys():
        try:
            values[name] = json.loads(values[name])
        except (ValueError, RecursionError):
            raise RefusedError(422, f"{name}: this is no JSON") from None
    return read_json(CaptionRequest, json.dumps(values).encode()), upload_of(form.files[0][1])

"""The service as a client meets it: its own interface, who may ask, what it tells of itself."""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from common import PATIENCE, REPOSITORY
from negah.cli.lazy import LazyGroup
from negah.cli.main import COMMANDS, run
from negah.runtime import Captioner
from serving import Client, clip_file, photo_file, service

PHOTO = photo_file(1)


@pytest.fixture(scope="module")
def captioner(tiny_bundle: Path) -> Captioner:
    return Captioner(tiny_bundle, threads=2)


@pytest.fixture(scope="module")
def client(captioner: Captioner) -> Iterator[Client]:
    models = {"tiny": captioner, "again": captioner}
    with service(models) as client:
        yield client


def test_a_photo_is_captioned_as_by_the_library(client: Client, captioner: Captioner) -> None:
    expected = captioner.caption(PHOTO).text
    encoded = base64.b64encode(PHOTO).decode()
    for answer in (
        client.form(PHOTO),
        client.form(PHOTO, model="again"),
        client.post("/v1/captions", {"file": encoded}),
        client.post("/v1/captions", {"file": f"data:image/jpeg;base64,{encoded}"}),
    ):
        assert answer.status == 200, answer.body
        assert answer.json["caption"] == expected
        assert answer.json["kind"] == "photo"
        assert "words" not in answer.json


def test_options_and_evidence(client: Client, captioner: Captioner) -> None:
    decoding = {"beam": 4, "n_best": 2, "max_length": 5}
    answer = client.form(PHOTO, evidence="true", decoding=json.dumps(decoding)).json
    expected = captioner.caption(PHOTO, **decoding).to_dict()
    assert answer["words"] == expected["words"]
    assert answer["alternatives"][0]["caption"] == expected["alternatives"][0]["caption"]


def test_a_clip_is_told_by_its_content(client: Client, captioner: Captioner) -> None:
    answer = client.form(clip_file(), frames="3").json
    assert answer["kind"] == "clip"
    assert answer["caption"] == captioner.caption_clip(clip_file(), frames=3).text
    assert len(answer["times"]) == 3


def test_models_are_told_in_both_forms(client: Client) -> None:
    rows = client.get("/v1/models").json
    assert rows["object"] == "list"
    assert [row["id"] for row in rows["data"]] == ["tiny", "again"]
    assert client.get("/v1/models/tiny").json == rows["data"][0]
    missing = client.get("/v1/models/tny")
    assert missing.status == 404
    assert "Did you mean 'tiny'?" in missing.json["detail"]


def test_it_tells_how_it_is(client: Client) -> None:
    assert client.get("/livez").body == b"ok\n"
    while client.get("/readyz").status == 503:
        time.sleep(0.01)
    client.form(PHOTO)
    lines = client.get("/metrics").body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert int(values['negah_requests_total{path="/v1/captions",status="200"}']) >= 1
    assert int(values['negah_captions_total{model="tiny",kind="photo"}']) >= 1
    assert values['negah_queue{model="tiny"}'] == "0"
    buckets = [name for name in values if name.startswith("negah_request_seconds_bucket")]
    assert any('le="+Inf"' in name for name in buckets)


def test_every_answer_has_the_headers_of_a_careful_server(client: Client) -> None:
    for path in ("/", "/v1/models", "/no/such"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "negah.example"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
    ],
)
def test_pages_of_other_servers_may_not_ask(
    client: Client, headers: dict[str, str], status: int
) -> None:
    given = {name: value.format(port=client.port) for name, value in headers.items()}
    assert client.get("/v1/models", **given).status == status


def test_a_token_and_an_origin_are_let_in_and_no_other(captioner: Captioner) -> None:
    page = "https://photos.example"
    with service({"tiny": captioner}, token="a secret of ours", origins=(page,)) as client:
        assert client.form(PHOTO).status == 200
        assert client.get("/v1/models", Authorization="Bearer another").status == 401
        assert client.get("/metrics", Authorization="Basic a secret of ours").status == 401
        assert client.get("/livez", Authorization="").status == 200
        asked = client.request(
            "OPTIONS",
            "/v1/captions",
            headers={
                "Authorization": "",
                "Origin": page,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        assert asked.headers["access-control-allow-origin"] == page
        assert client.get("/v1/models", Origin="https://other.example").status == 403


DOCUMENT = (REPOSITORY / "docs" / "serve.md").read_text(encoding="utf-8")


def lines_of(start: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith(start)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader of the document would stand."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    (tmp_path / "clip.mp4").write_bytes(clip_file())
    (tmp_path / "token.txt").write_text("a secret of ours\n")
    return tmp_path


@pytest.mark.parametrize("line", lines_of("negah serve"))
def test_commands_of_the_document_are_commands(line: str, here: Path) -> None:
    """They are read, with their options and files, and not run: each would serve for ever."""
    command = LazyGroup(name="negah")
    command.group = COMMANDS
    serve = command.get_command(None, "serve")
    with serve.make_context("serve", shlex.split(line)[2:]) as context:
        assert context.params["port"] == 8484


@pytest.mark.parametrize("line", lines_of("curl"))
def test_requests_of_the_document_are_answered(line: str, here: Path, captioner: Captioner) -> None:
    if shutil.which("curl") is None or shutil.which("base64") is None:
        pytest.skip("curl and base64 are not installed")
    with service({"negah": captioner}) as client:
        done = subprocess.run(
            ["bash", "-c", line.replace("127.0.0.1:8484", f"127.0.0.1:{client.port}")],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
    if "clip.mp4" in line:
        expected = captioner.caption_clip(clip_file(), frames=4)
    else:
        expected = captioner.caption(PHOTO, **({"beam": 5, "n_best": 3} if "beam" in line else {}))
    assert json.loads(done.stdout)["caption"] == expected.text


def test_programs_of_the_document_work(
    here: Path, captioner: Captioner, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openai")
    pytest.importorskip("ollama")
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT, re.S)
    with service({"negah": captioner}) as client:
        for block in blocks:
            code = block.replace("127.0.0.1:8484", f"127.0.0.1:{client.port}")
            exec(compile(code, "serve.md", "exec"), {})
            own = Captioner("negah-photo") if "CaptionQueue" in block else captioner
            assert capsys.readouterr().out.strip() == own.caption(PHOTO, beam=3).text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "without a token"),
        (["--host", "192.0.2.7", "--allow-anyone"], "cannot be listened to"),
        (["--model", "a=b=c", "--model", "a=d"], "two are called 'a'"),
        (["--model", "!="], "write MODEL or NAME=MODEL"),
        (["--model", "no-such-model"], "no folder 'no-such-model'"),
        (["--token-file", "/dev/null"], "holds one word"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_served(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tiny_bundle: Path,
) -> None:
    monkeypatch.delenv("NEGAH_TOKEN", raising=False)
    own = [] if "--model" in arguments else ["--model", f"tiny={tiny_bundle}"]
    assert run(["serve", "--port", "0", *own, *arguments]) == 2
    assert words in capsys.readouterr().err

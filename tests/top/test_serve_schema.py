"""The service against its own description: schemathesis makes requests of it, good and bad."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")
pytest.importorskip("schemathesis", reason="this needs the extra dev")

import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from negah.runtime import Captioner
from negah.serve.description import EXAMPLES
from serving import Client, service

load_all_checks()


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Iterator[Client]:
    with service({"negah": Captioner(tiny_bundle, threads=2)}) as client:
        yield client


@pytest.fixture(scope="module")
def description(client: Client) -> Any:
    return schemathesis.openapi.from_url(f"{client.url}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_requests_made_of_the_description(description: Any, mode: GenerationMode) -> None:
    tried = 0
    for found in description.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue  # nothing of it can be wrong but its path

        @hypothesis.settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            # what is base64 need not be a photo, and no schema can say what is one
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        check()
        tried += 1
    assert tried >= 7


def test_every_example_of_it_is_answered(client: Client) -> None:
    description = client.get("/openapi.json").json
    tried = 0
    for path, methods in description["paths"].items():
        body = methods.get("post", {}).get("requestBody", {}).get("content", {})
        for example in body.get("application/json", {}).get("examples", {}).values():
            answer = client.post(path, example["value"])
            assert answer.status == 200, answer.body
            tried += 1
    assert tried == sum(map(len, EXAMPLES.values()))

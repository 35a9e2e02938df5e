"""Files that a host of repositories reads: they say what the project itself says."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml

from common import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _yaml(path: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))
    return found


def test_the_citation_is_of_this_version() -> None:
    citation = _yaml("CITATION.cff")
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]


def test_public_checks_are_those_of_the_project() -> None:
    workflow = _yaml(".github/workflows/ci.yml")
    steps = workflow["jobs"]["checks"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    versions = {
        step["with"]["python-version"]
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "setup-python" in step.get("uses", "")
    }
    assert {PROJECT["requires-python"].removeprefix(">=")} == versions
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for hook in _yaml(".pre-commit-config.yaml")["repos"][0]["hooks"]:
        target = hook["entry"].removeprefix("make ")
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_forms_for_issues_ask_for_something(name: str) -> None:
    form = _yaml(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert form["name"]
    assert form["description"]
    assert any(part.get("validations", {}).get("required") for part in form["body"])

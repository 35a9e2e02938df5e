"""What is installed is enough: the extras bring what is imported and what recipes start from."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from common import PATIENCE, REPOSITORY
from negah.extras import EXTRAS

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGE = REPOSITORY / "src" / "negah"
#: Calls that import what they name, or look whether it is there.
_IMPORTERS = ("import_module", "importlib.import_module", "find_spec", "importlib.util.find_spec")


def _distribution(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def distributions_of(extra: str) -> set[str]:
    """What an extra requires; "" is the base install."""
    requirements = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {_distribution(requirement) for requirement in requirements}


#: Modules that the extra dev leaves out, called as what brings them: half a gigabyte for one test.
NOT_FOR_TESTS = {"ray"}

#: By module, what brings it; slow to find out.
_packages_distributions = functools.cache(importlib.metadata.packages_distributions)


def distributions_with(module: str) -> set[str]:
    if module in NOT_FOR_TESTS:
        return {module}
    found = _packages_distributions().get(module)
    if not found:
        pytest.skip(f"{module} is not installed; make test installs all extras")
    return {_distribution(name) for name in found}


def imported() -> dict[str, Path]:
    """Every module that the package imports, in any depth and by any means, and one file."""
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in _IMPORTERS:
                names = [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
            found.update({name.partition(".")[0]: path for name in names})
    return {m: p for m, p in found.items() if m not in {*sys.stdlib_module_names, "negah"}}


def test_whatever_the_package_imports_is_in_the_base_install_or_in_the_table() -> None:
    base = distributions_of("")
    for module, path in imported().items():
        assert module in EXTRAS or distributions_with(module) <= base, f"{path} imports {module}"


@pytest.mark.parametrize("module", EXTRAS)
def test_the_extra_of_the_table_brings_the_module(module: str) -> None:
    brings = distributions_with(module)
    assert brings <= distributions_of(EXTRAS[module])
    assert not brings & distributions_of("")


def test_the_table_has_whatever_the_extras_bring() -> None:
    """A module that several extras bring stands in the table with one of them."""
    brought = set[str]().union(*map(distributions_with, EXTRAS))
    for extra in sorted(set(PROJECT["optional-dependencies"]) - {"dev", "docs", "notebooks"}):
        assert distributions_of(extra) <= brought, extra


def _named_for_training() -> str:
    """The extra that docs/training.md installs before it trains."""
    page = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```sh\n(.*?)```", page, re.S) if "negah[" in b]
    named = re.match(r"pip install 'negah\[(\w+)\]'\nnegah train ", block)
    assert named is not None, block
    return named[1]


def test_the_extra_of_the_page_is_enough_for_every_recipe() -> None:
    """A training of the package's recipes downloads nothing, and needs no other extra."""
    pytest.importorskip("torch", reason="recipes need the train extra")
    from negah.models.backbones import ALIASES, LITE_PACKAGES
    from negah.text.vectors import PACKAGE as VECTORS
    from negah.training import load_recipe, recipe_names

    for name in recipe_names():
        recipe = load_recipe(name)
        encoder = ALIASES.get(recipe.encoder.name, recipe.encoder.name)
        assert recipe.encoder.weights == "auto"
        weights, _ = LITE_PACKAGES[encoder]
        assert EXTRAS[weights] == _named_for_training(), name
        assert recipe.text.vectors != VECTORS, f"{name} needs the extra glove"


def test_a_missing_module_names_its_extra() -> None:
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom negah.cli.main import run\n"
        f"sys.exit(run(['train', 'cam-rnn', '--data', {str(REPOSITORY)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "negah: this command needs torch, which is not installed. "
        "Install it with: pip install 'negah[train]'\n"
    )


def test_weights_that_are_not_installed_name_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="encoders need the train extra")
    from negah.errors import MissingExtraError
    from negah.models.backbones import LITE_PACKAGES, load_pretrained

    for name, (module, _) in LITE_PACKAGES.items():
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError, match=rf"{name}.*pip install 'negah\[train\]'"):
            load_pretrained(name, "auto")

"""docs/extending.md: its five packages are installed by pip, and do what the page says."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import negah
from common import PATIENCE, REPOSITORY
from negah.backends import BACKENDS
from negah.cli.main import run
from negah.data.formats import FORMATS
from negah.errors import TrainingError, UnknownNameError, UsageError
from negah.metrics import METRICS

pytest.importorskip("torch", reason="an example is of PyTorch models")


from negah.bundle import read_bundle
from negah.export import load_captioner
from negah.export.run import export_run, load_run
from negah.models import CAPTIONERS, ENCODERS, CamRnnOptions, load_encoder
from negah.training import load_recipe
from negah.training.objectives import OBJECTIVES
from tiny_data import make_shapes
from tiny_training import Recorder, interrupt, run_training, tiny_dataset, tiny_recipe

EXAMPLES = REPOSITORY / "examples" / "extending"
PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
REGISTRIES = (BACKENDS, FORMATS, METRICS, CAPTIONERS, OBJECTIVES, ENCODERS)
FILES = sorted(path for path in EXAMPLES.glob("*/*.*") if path.suffix != ".egg-info")
POLY = "training.objective={{kind: poly, epsilon: {}}}"

pytestmark = pytest.mark.usefixtures("one_thread", "installed")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The five packages beside Negah, as ``pip install`` puts them; afterwards gone again."""
    folder = tmp_path_factory.mktemp("extending")
    # pip builds in place
    copies = [shutil.copytree(path, folder / path.name) for path in sorted(EXAMPLES.iterdir())]
    site = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*command, "--no-build-isolation", "--target", site, *copies], check=True, timeout=PATIENCE
    )
    with contextlib.ExitStack() as stack:
        for registry in REGISTRIES:
            stack.enter_context(registry.temporary())
        sys.path.insert(0, str(site))
        importlib.invalidate_caches()
        yield site
    sys.path.remove(str(site))
    importlib.invalidate_caches()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_page_shows_each_file(path: Path) -> None:
    assert f"\n{path.read_text(encoding='utf-8').rstrip()}\n```" in PAGE


def test_each_package_enters_its_registry(installed: Path) -> None:
    found = [list(registry) for registry in REGISTRIES]
    own = ["colours", "pipes", "LengthRatio", "mean-gru", "poly", "colour-grid"]
    assert all(name in names for name, names in zip(own, found, strict=True))
    assert Path(
        sys.modules[type(BACKENDS.get("colours")).__module__].__file__ or ""
    ).is_relative_to(installed)


COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("negah ")
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page's commands name."""
    monkeypatch.chdir(tmp_path)
    make_shapes(tmp_path / "shapes")
    photo = Image.new("RGB", (60, 40), (240, 20, 10))
    for name in ("photo.jpg", "robin.jpg", "wren.jpg"):
        photo.save(name)
    Path("captions.csv").write_text("image,caption\na.jpg,a red bird\nb.jpg,two birds\n")
    Path("references.csv").write_text("image,caption\na.jpg,a bird\nb.jpg,two small birds sit\n")
    lines = "robin.jpg | a robin on a branch\nwren.jpg | a wren\nrobin.jpg | a red bird\n"
    Path("birds.captions").write_text(lines)
    shutil.copy(EXAMPLES / "captioner" / "mean-gru.yaml", "mean-gru.yaml")
    return tmp_path


#: What a command of the page prints, and how it ends.
SHOWN = {
    "negah score captions.csv --refs references.csv --metrics nothing": (2, "LengthRatio"),
    "negah score captions.csv --refs references.csv --metrics LengthRatio,BLEU-4": (
        0,
        "LengthRatio   1.00",
    ),
    "negah data inspect birds.captions": (0, "3 captions"),
    "negah caption photo.jpg --model colours:namer": (0, "a red picture\n"),
    "negah train mean-gru.yaml --data shapes/": (0, "next:\n  negah caption"),
    "negah train mean-gru.yaml --data shapes/ --output runs/poly --no-export --set "
    '"training.objective={kind: poly, epsilon: 0.5}"': (0, "runs/poly trained"),
}


def test_the_table_above_has_all_commands() -> None:
    assert sorted(COMMANDS) == sorted(SHOWN)


@pytest.mark.parametrize("command", SHOWN)
def test_the_commands_of_the_page(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = SHOWN[command]
    arguments = shlex.split(command)[1:]
    assert run(arguments) == code
    shown = capsys.readouterr()
    assert text in shown.out + shown.err


def test_a_training_of_the_parts_resumes_exports_and_captions(tmp_path: Path) -> None:
    """Free-running captions of ONNX and PyTorch are the same; a resumed run ends in the same."""
    file, changes = str(EXAMPLES / "captioner" / "mean-gru.yaml"), [POLY.format(0.5)]
    changes += ["training.label_smoothing=0.0", "training.average=0.0", "training.patience=0"]
    recipe, dataset = load_recipe(file, changes), tiny_dataset(tmp_path / "photos")
    whole, first, rest = Recorder(), Recorder(5, interrupt), Recorder()
    assert run_training(recipe, dataset, tmp_path / "run", tmp_path / "f", reporter=whole).finished
    run_training(recipe, dataset, tmp_path / "again", tmp_path / "f", reporter=first)
    run_training(recipe, dataset, tmp_path / "again", tmp_path / "f", reporter=rest)
    assert first.losses + rest.losses == whole.losses
    assert whole.losses[-1] < whole.losses[0] / 2
    rows = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert all("missed" in row for row in rows if row["kind"] == "train")
    broken = load_recipe(file, [POLY.format("1.0e+39")])
    with pytest.raises(TrainingError, match="the loss is inf at step 0; lower"):
        run_training(broken, dataset, tmp_path / "broken", tmp_path / "f")
    run_of_parts = load_run(tmp_path / "run")
    photos = [example.path for example in dataset.examples]
    bundle, proof = export_run(run_of_parts, tmp_path / "bundle", photos)
    assert proof is not None
    assert proof.equal_text_share == 1
    assert (bundle.config.model.kind, bundle.config.encoder.name) == ("mean-gru", "colour-grid")
    assert bundle.config.provenance.encoder_weights == "colour-grid"
    encoder, captioner = load_captioner(read_bundle(tmp_path / "bundle"))
    assert (encoder.grid, encoder.channels) == ((8, 8), 3)
    assert captioner.options == recipe.model
    assert negah.load(tmp_path / "bundle").caption(photos[0]).text


def test_names_and_mistakes_follow_from_the_registries() -> None:
    recipe = str(EXAMPLES / "captioner" / "mean-gru.yaml")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'mean-gru'\? Known: cam-rnn, mean-"):
        load_recipe("cam-rnn", ["model.kind=mean-gruu"])
    with pytest.raises(UsageError, match=r"model: unknown option 'hiden_size'.*hidden_size"):
        load_recipe(recipe, ["model.hiden_size=3"])
    with pytest.raises(UnknownNameError, match=r"unknown objective 'pol'\. Did you mean 'poly'"):
        tiny_recipe("training.objective=pol")
    with pytest.raises(UsageError, match=r"training\.objective: weight: .*100"):
        tiny_recipe("training.objective={kind: unlikelihood, weight: 1000}")
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'colour'.*Known: colour-grid"):
        load_encoder(tiny_recipe("encoder.name=colour").encoder)
    with pytest.raises(UsageError, match="trainable_blocks must be 0"):
        load_encoder(tiny_recipe("encoder.name=colour-grid").encoder)
    with pytest.raises(UsageError, match="need the field  kind"):
        CAPTIONERS.register("other", CamRnnOptions)

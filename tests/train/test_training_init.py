"""Trainings that go on from a bundle or a run: encoder, words, scores of both, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="training needs the train extra")

import torch
from safetensors.torch import load_file, save_file

from negah.arrays import FloatArray
from negah.bundle import read_bundle
from negah.cli.main import run
from negah.data import build_features, load_dataset
from negah.errors import BundleError, CheckpointError, UsageError
from negah.evaluation import evaluate
from negah.export.initial import initial_of, open_initial
from negah.export.run import (
    CardNotes,
    load_run,
    provenance_of,
    training_data,
    without_folders,
)
from negah.models import EncoderOptions, load_encoder
from negah.models.backbones import digest_tensors
from negah.run_folder import RunFolder
from negah.runtime import Captioner, find_bundle
from negah.split import SplitPolicy, TrainingSplit
from negah.text import SPECIALS, CharTokenizer, SubwordTokenizer, WordTokenizer
from negah.text.vectors import Vectors
from negah.training import load_recipe
from negah.training.features import feature_key
from negah.training.identity import refuse_another_run
from negah.training.learner import Learner
from negah.training.provenance import DataRecord, InitialRun, same_data
from negah.training.words import match_words
from tiny_bundle import make_tiny_bundle, tiny_tokenizer
from tiny_data import make_shapes
from tiny_training import CAM_RNN, CHANGES, tiny_train

#: One step an epoch for the recipe ``fine-tune``, whose sizes are those of the bundle.
QUICK = ("training.epochs=1", "training.flips=false", "text.min_count=1")
#: A recipe of one's own, by what it says of others.
MINE = "extends: fine-tune\nname: mine\n"


@dataclass(frozen=True)
class Place:
    """A bundle of random weights, photos, and what ``fine-tune`` made of both."""

    root: Path
    out: str
    err: str

    @property
    def bundle(self) -> Path:
        return self.root / "first"

    @property
    def data(self) -> Path:
        return self.root / "shapes"

    @property
    def run(self) -> Path:
        return self.root / "run"

    def arguments(self, *changes: str, initial: Path | None = None, output: str) -> list[str]:
        given = ["train", "fine-tune", "--data", str(self.data), "--threads", "1"]
        given += ["--init", str(initial or self.bundle), "--output", str(self.root / output)]
        given += ["--features", str(self.root / "features"), "--device", "cpu"]
        return given + [part for change in (*QUICK, *changes) for part in ("--set", change)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    found = Place(tmp_path_factory.mktemp("init"), "", "")
    make_tiny_bundle(found.bundle, kind="show-tell")
    make_shapes(found.data)
    _store_features(found)
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = run([*found.arguments("training.learning_rate=0.01", output="run"), "--no-export"])
    assert code == 0, err.getvalue()
    return replace(found, out=out.getvalue(), err=err.getvalue())


def _store_features(place: Place) -> None:
    """Features of the photos, by PyTorch: for so few it is quicker than an export to ONNX."""
    encoder = load_encoder(load_recipe("fine-tune", initial=open_initial(place.bundle)).encoder)

    def encode(pixels_N3HW: FloatArray) -> FloatArray:
        return encoder.trunk(torch.from_numpy(pixels_N3HW)).numpy().astype(np.float32)

    photos = sorted((place.data / "images").iterdir())
    build_features(photos, encode, feature_key(encoder, "plain"), place.root / "features")


# The command


def test_the_words_of_the_bundle_stay_and_new_ones_come_behind_them(place: Place) -> None:
    theirs, ours = tiny_tokenizer().tokens, load_run(place.run).tokenizer.tokens
    assert ours[: len(theirs)] == theirs
    new = ours[len(theirs) :]
    assert {"circle", "triangle", "purple"} <= set(new)
    assert (
        f"starting from {place.bundle}: {len(theirs)} of {len(ours)} words are known" in place.err
    )
    assert f"0 start from a similar word, {len(new)} from the mean of all" in place.err


def test_the_score_before_is_of_the_bundle_itself(place: Place) -> None:
    """Of its own captions, as ONNX Runtime gives them to a user, with the beam of validation."""
    dev = load_dataset(place.data / "captions.csv", images=place.data / "images").split("dev")
    scores = evaluate(
        Captioner(place.bundle), dev, dataset="dev", scoring={"metrics": ["CIDEr-D"]},
        beam=load_recipe("fine-tune").training.validation_beam,
    ).scores  # fmt: skip
    lines = (place.run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in map(json.loads, lines) if row["kind"] == "initial"]
    assert row["CIDEr-D"] == pytest.approx(scores["CIDEr-D"], abs=1e-9)
    assert f"before: {place.bundle} unchanged has CIDEr-D {scores['CIDEr-D']:.2f}" in place.err
    assert f"before and after on dev: {place.bundle} {scores['CIDEr-D']:.2f}, " in place.out


def test_run_and_card_say_what_they_started_from(place: Place) -> None:
    digest = read_bundle(place.bundle).config.files["weights.safetensors"].sha256
    record = DataRecord.read(json.loads((place.run / "run.json").read_text(encoding="utf-8")))
    assert record is not None
    assert record.initial is not None
    assert (record.initial.run, record.initial.sha256) == (str(place.bundle), digest)
    first, own = training_data(record)
    assert first.name == "none"
    assert first.note.startswith(f"The weights started from those of first (SHA-256 {digest})")
    assert own.name == "shapes, part train"
    made = load_run(place.run)
    provenance, recipe = provenance_of(made, CardNotes()), without_folders(made.recipe)
    assert provenance.training_data == (first, own)
    assert provenance.encoder_weights == "first"
    assert (recipe["initial"]["model"], recipe["encoder"]["weights"]) == ("first", "first")
    assert str(place.root) not in f"{provenance} {recipe}"


def test_sizes_encoder_and_decoding_are_those_of_the_bundle(place: Place) -> None:
    recipe, config = load_run(place.run).recipe, read_bundle(place.bundle).config
    assert recipe.model.model_dump(mode="json") == config.model.options
    assert recipe.decoding == config.decoding
    assert (recipe.encoder.name, recipe.encoder.size) == ("test_efficientnet", 64)
    assert recipe.encoder.weights == str(place.bundle)
    assert recipe.encoder.trainable_blocks == 0
    theirs = load_encoder(
        EncoderOptions(name="test_efficientnet", weights=str(place.bundle), size=64)
    )
    assert load_run(place.run).encoder.fingerprint() == theirs.fingerprint()


def test_a_finished_run_still_knows_the_score_before(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    again = [*place.arguments("training.learning_rate=0.01", output="run"), "--no-export"]
    assert run(again) == 0
    shown = capsys.readouterr()
    assert "was finished already" in shown.out
    assert [line for line in shown.out.splitlines() if line.startswith("before and after")] == [
        line for line in place.out.splitlines() if line.startswith("before and after")
    ]
    assert "starting from" not in shown.err


def test_a_model_that_got_no_better_is_warned_of(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = place.arguments(
        "training.learning_rate=1e-9", "initial.new_words=fresh", output="no"
    )
    assert run([*arguments, "--no-export"]) == 0
    shown = capsys.readouterr().err
    assert (
        f"warning: {place.bundle}, as it stands, captions these dev photos at least as well"
        in shown
    )
    assert "words are known, " not in shown  # fresh, as from a run


def test_a_run_is_gone_on_from_with_its_own_encoder(tmp_path: Path) -> None:
    """Its tail learned; the next training freezes it, which ``encoder.weights`` has to say."""
    tiny_train(tmp_path, "tuned", "training.epochs=1")
    initial = open_initial(tmp_path / "tuned")
    changes = [c for c in (*CHANGES, *CAM_RNN) if not c.startswith("encoder")]
    named = [*changes, "encoder.name=test_efficientnet"]
    recipe, plain = (
        load_recipe("cam-rnn-video", named, initial),
        load_recipe("cam-rnn-video", named),
    )
    weights = {"weights": str(tmp_path / "tuned"), "size": 64}
    assert recipe.encoder == plain.encoder.model_copy(update=weights)
    assert recipe == plain.model_copy(update={"encoder": recipe.encoder})  # and nothing else
    encoder, theirs = load_encoder(recipe.encoder), load_run(tmp_path / "tuned")
    digests = (digest_tensors(one.by_block()) for one in (encoder, theirs.encoder))
    assert len(set(digests)) == 1
    said = Learner(recipe.model, encoder, len(theirs.tokenizer)).start_from(
        initial.read(), theirs.tokenizer
    )
    count = len(theirs.tokenizer)
    best = tmp_path / "tuned" / "best.safetensors"
    assert said == f"starting from {best}: {count} of {count} words are known"
    # and one that has its tail learn on begins with the weights that it always began with
    again = load_recipe("cam-rnn", named, initial).encoder
    assert again.weights == str(tmp_path / "tuned")  # those of this run were random, not "auto"
    values = {**initial.values, "encoder": {**initial.values["encoder"], "weights": "auto"}}
    usual = replace(initial, values=values)
    alike = [*named, "encoder.trainable_blocks=1"]
    assert load_recipe("cam-rnn", alike, usual) == load_recipe("cam-rnn", alike)
    # where it is cut elsewhere, blocks that are frozen here may have learned there, or the reverse
    other = load_recipe("cam-rnn", [*named, "encoder.trainable_blocks=2"], usual)
    assert other.encoder.weights == str(tmp_path / "tuned")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (["encoder.name=resnet18"], 2, "they are of test_efficientnet, this recipe has resnet18"),
        (["model.hidden_size=7"], 1, "does not fit this recipe: captioner."),
        (["text.tokenizer=char"], 2, "set text.tokenizer=word, or initial.keep_words=false"),
        (["text.stem=true"], 2, "set text.stem=False, or initial.keep_words=false"),
        (["initial=5"], 2, "a change reads section.option=value"),
        (["training..epochs=5"], 2, "a change reads section.option=value"),
        (["training.epochs.first=5"], 2, "training.epochs of the recipe is"),
        (["initial.new_words=far"], 2, "initial.new_words"),
    ],
)
def test_what_does_not_fit_is_refused(
    place: Place, changes: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*place.arguments(*changes, output="refused"), "--no-export"]) == code
    shown = capsys.readouterr().err
    assert words in shown
    assert "Traceback" not in shown
    shutil.rmtree(place.root / "refused", ignore_errors=True)


def test_other_features_than_those_of_the_bundle_are_refused(place: Place) -> None:
    """They fit by shape, and mean nothing to its captioner."""
    initial = open_initial(place.bundle)
    recipe = load_recipe("fine-tune", ["encoder.weights=random"], initial)
    learner = Learner(recipe.model, load_encoder(recipe.encoder), len(tiny_tokenizer()))
    with pytest.raises(CheckpointError, match=r"encoder\.weights of this recipe differ"):
        learner.start_from(initial.read(), tiny_tokenizer())


def test_the_weights_that_a_bundle_was_made_of_are_its_own(place: Place) -> None:
    """It stores them in half precision; their classifier, say, is in the first file alone."""
    initial = open_initial(place.bundle)
    recipe = load_recipe("fine-tune", initial=initial)
    encoder = load_encoder(recipe.encoder)
    for tensor in encoder.by_block().values():
        if tensor.ndim >= 2:
            tensor *= 1 + 1e-5
    learner = Learner(recipe.model, encoder, len(tiny_tokenizer()))
    count = len(tiny_tokenizer())
    said = learner.start_from(initial.read(), tiny_tokenizer())
    assert f"{count} of {count} words are known" in said


def test_another_policy_of_a_bundle_is_warned_of(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place.bundle, tmp_path / "other")
    file = tmp_path / "other" / "bundle.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    split = TrainingSplit(policy=SplitPolicy(dev_fraction=0.3))
    config["provenance"]["split"] = split.model_dump(mode="json")
    file.write_text(json.dumps(config), encoding="utf-8")
    changes = ("encoder.name=resnet18",)  # refused when the warning has been given
    arguments = place.arguments(*changes, initial=tmp_path / "other", output="warned")
    assert run(arguments) == 2
    shown = capsys.readouterr().err
    assert "other was trained with --dev-fraction 0.3 --test-fraction 0" in shown


# What a training starts from


@pytest.mark.parametrize("kind", ["nothing", "nowhere", "data", "cut", "changed"])
def test_no_model(place: Place, kind: str, tmp_path: Path) -> None:
    folder, error, words = tmp_path / kind, UsageError, f"--init {tmp_path / kind}: no training run"
    if kind == "nothing":
        folder.mkdir()
    elif kind == "data":
        folder = place.data
        words = "no training run with weights"
    elif kind != "nowhere":
        shutil.copytree(place.bundle, folder)
        weights, error, words = folder / "weights.safetensors", BundleError, "weights.safetensors"
        content = weights.read_bytes()
        weights.write_bytes(content[:-8] if kind == "cut" else content[:-1] + b"\x01")
    with pytest.raises(error, match=words):
        open_initial(folder)


def test_a_bundled_model_by_its_name() -> None:
    """What ``negah train fine-tune --data mine.csv`` goes on from."""
    initial = initial_of("fine-tune")
    assert initial is not None
    assert initial.name == "negah-photo"
    recipe = load_recipe("fine-tune", initial=initial)
    config = read_bundle(find_bundle("negah-photo")).config
    assert recipe.encoder.weights == recipe.initial.model == "negah-photo"
    assert recipe.encoder.size == config.preprocessing.height
    assert recipe.model.model_dump(mode="json").items() >= config.model.options.items()
    weights = initial.read()
    assert len(weights.tokenizer) == config.vocabulary_size
    encoder = load_encoder(recipe.encoder)
    own = encoder.by_block()
    assert weights.blocks
    assert all(torch.equal(own[key], tensor) for key, tensor in weights.blocks.items())
    assert initial_of("cam-rnn") is None


def test_a_plain_recipe_takes_the_encoder_of_a_bundle_alone(place: Place) -> None:
    initial = open_initial(place.bundle)
    recipe, plain = load_recipe("cam-rnn", initial=initial), load_recipe("cam-rnn")
    weights = {"weights": str(place.bundle), "size": 64}
    assert recipe.encoder == plain.encoder.model_copy(update=weights)
    assert (recipe.initial.new_words, recipe.initial.compare) == ("near", True)
    assert not recipe.initial.keep_words
    assert (recipe.model, recipe.decoding, recipe.text) == (plain.model, plain.decoding, plain.text)


def test_a_recipe_of_ones_own_may_follow_another_kind(place: Place, tmp_path: Path) -> None:
    """Whatever the recipe says is said after what the initial model says."""
    options = read_bundle(place.bundle).config.model.options
    assert options["kind"] == "show-tell"  # and the recipe extends one for another kind
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"{MINE}model: {{dropout: 0.25}}\ntraining: {{epochs: 3}}\n")
    recipe = load_recipe(str(mine), ["encoder.pool=1"], open_initial(place.bundle))
    assert recipe.model.model_dump(mode="json") == {**options, "dropout": 0.25}
    assert (recipe.encoder.pool, recipe.training.epochs) == (1, 3)


@pytest.mark.parametrize("follow", [True, False])
def test_a_change_says_whether_a_recipe_follows(place: Place, tmp_path: Path, follow: bool) -> None:
    """``--set initial.follow`` does what the same line in the recipe's file does."""
    initial, sections = open_initial(place.bundle), yaml.safe_load(MINE)
    sections["initial"] = {"follow": follow}
    (tmp_path / "told.yaml").write_text(yaml.safe_dump(sections))
    sections["initial"]["follow"] = not follow
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(sections))
    told = load_recipe(str(tmp_path / "told.yaml"), initial=initial)
    change = f"initial.follow={str(follow).lower()}"
    assert load_recipe(str(tmp_path / "changed.yaml"), [change], initial) == told
    assert (told.model.kind == "show-tell") == follow


def test_what_else_a_bundle_keeps_of_its_encoder_does_no_harm(place: Place, tmp_path: Path) -> None:
    """Such as weights of what reads the regions beside the captioner."""
    shutil.copytree(place.bundle, tmp_path / "more")
    file = tmp_path / "more" / "weights.safetensors"
    save_file({**load_file(file), "encoder.concepts.weight": torch.ones(3, 4)}, file)
    options = EncoderOptions(name="test_efficientnet", weights=str(place.bundle), size=64)
    more = load_encoder(options.model_copy(update={"weights": str(tmp_path / "more")}))
    assert more.fingerprint() == load_encoder(options).fingerprint()


def test_a_run_without_its_encoder_is_refused(place: Place) -> None:
    """The trunk is in no file of the run: other weights in its place are another model."""
    file = place.bundle / "weights.safetensors"
    kept = file.read_bytes()
    tensors = load_file(file)
    first = next(name for name in tensors if name.startswith("encoder.trunk_blocks"))
    file.unlink()
    save_file({**tensors, first: tensors[first] + 1}, file)
    try:
        with pytest.raises(CheckpointError, match=r"needs the encoder of .* as it was"):
            load_run(place.run)
        recipe = load_recipe("cam-rnn")
        with pytest.raises(CheckpointError, match=r"needs the encoder of .* as it was"):
            refuse_another_run(RunFolder(place.run), {"recipe": recipe.model_dump(mode="json")})
    finally:
        file.write_bytes(kept)
    assert load_run(place.run)


def test_records_of_before_the_digest_are_of_the_same_data() -> None:
    old = {"sources": [], "split": {}, "initial": {"run": "runs/first", "data": None}}
    new = DataRecord(
        sources=(), split=SplitPolicy(), initial=InitialRun(run="runs/first", sha256="a")
    )
    assert same_data(old, new.model_dump(mode="json"))
    other = new.model_copy(update={"initial": InitialRun(run="runs/other")})
    assert not same_data(old, other.model_dump(mode="json"))


# Words


def words(*tokens: str) -> WordTokenizer:
    return WordTokenizer([*SPECIALS, *tokens])


def test_new_words_start_from_words_near_them() -> None:
    theirs = words("train", "run", "running", "kitchen", "stand", "on")
    ours = words("run", "trains", "runs", "stove", "one")
    vectors = {
        "kitchen": [1.0, 0.1], "stand": [0.0, 1.0], "stove": [2.0, 0.0], "train": [-1.0, 0.0],
        "trains": [0.0, 5.0],
    }  # fmt: skip
    rows = {word: np.array(row, np.float32) for word, row in vectors.items()}
    plain = match_words(ours, theirs)
    near = match_words(ours, theirs, Vectors("made", 2, rows))

    def spelt(ids: Sequence[int]) -> list[str]:
        return [theirs.tokens[i] for i in ids]

    def found(match: object) -> dict[str, list[str]]:
        return {ours.tokens[i]: spelt(ids) for i, ids in match.near.items()}  # type: ignore[attr-defined]

    assert found(plain) == {"trains": ["train"], "runs": ["run", "running"]}
    assert [ours.tokens[i] for i in plain.far] == ["stove", "one"]
    assert found(near) == {**found(plain), "stove": ["kitchen"]}
    assert plain.describe(new_words=True) == (
        "5 of 9 words are known, 2 start from a similar word, 2 from the mean of all"
    )
    initial_VE = torch.randn(len(theirs), 3)
    own_VE = torch.zeros(len(ours), 3)
    near.fill(own_VE, initial_VE, new_words=True)
    row = dict(zip(theirs.tokens, initial_VE, strict=True))
    expected = {
        **{token: row[token] for token in (*SPECIALS, "run")},
        "trains": row["train"],
        "runs": (row["run"] + row["running"]) / 2,
        "stove": row["kitchen"],
        "one": initial_VE[len(SPECIALS) :].mean(0),
    }
    for i, token in enumerate(ours.tokens):
        torch.testing.assert_close(own_VE[i], expected[token], msg=token)
    left_VE = torch.zeros(len(ours), 3)
    near.fill(left_VE, initial_VE, new_words=False)
    assert not left_VE[len(SPECIALS) + 1 :].any()


def test_new_words_change_little_of_what_a_model_says(place: Place) -> None:
    """From the mean, a word gets at most the mean probability of the others at first."""
    initial = open_initial(place.bundle)
    recipe = load_recipe("fine-tune", initial=initial)
    captioner, tokenizer = initial.restore()
    ours = tokenizer.extended(["some more words, of which none is near"], min_count=1)
    torch.manual_seed(0)
    encoder = load_encoder(recipe.encoder)
    learner = Learner(recipe.model, encoder, len(ours)).eval()
    learner.start_from(initial.read(), ours, new_words=True)
    features_BFRC = encoder(torch.randn(3, 3, 64, 64))[:, None]
    inputs_BKT = torch.randint(4, len(tokenizer), (3, 2, 5))
    counts_BKT = torch.ones_like(inputs_BKT, dtype=torch.bool)
    with torch.no_grad():
        before, after = (
            one(features_BFRC, inputs_BKT, counts_BKT) for one in (captioner, learner.captioner)
        )
    torch.testing.assert_close(after[:, : len(tokenizer)], before)
    first = len(SPECIALS)
    new = after[:, len(tokenizer) :]
    torch.testing.assert_close(new, before[:, first:].mean(1, keepdim=True).expand_as(new))


@pytest.mark.parametrize(
    "tokenizer",
    [
        CharTokenizer.build(["abc"], min_count=1),
        SubwordTokenizer([*SPECIALS, "\u2581", "a", "b", "c", "ab"], [("a", "b")]),
        WordTokenizer.build(["abc"], min_count=1, remove_stop_words=True),
    ],
    ids=lambda tokenizer: tokenizer.kind,
)
def test_every_vocabulary_can_grow(tokenizer: CharTokenizer) -> None:
    longer = tokenizer.extended(["abc abd", "the dog"], min_count=1)
    assert type(longer) is type(tokenizer)
    assert longer.tokens[: len(tokenizer)] == tokenizer.tokens
    assert longer.options() == tokenizer.options()
    assert longer.decode(longer.encode("abd")) == "abd"
    assert tokenizer.extended(["abc"], min_count=9) == tokenizer
    assert longer.encode("abc")[-1] == tokenizer.encode("abc")[-1]
    with pytest.raises(UsageError, match="min_count"):
        tokenizer.extended(["abc"], min_count=0)

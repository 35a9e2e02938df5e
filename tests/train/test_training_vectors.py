"""Trainings that start from word vectors: what is loaded is what the captioner reads.

Axes: V vocabulary, W numbers of a vector.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch

from negah.errors import UsageError
from negah.models import EncoderOptions, build_captioner, load_encoder
from negah.models.cam_rnn import CamRnnOptions
from negah.models.embedding import WordEmbedding
from negah.models.show_tell import ShowTellOptions
from negah.run_folder import BEST, CHECKPOINT, RUN, TOKENIZER
from negah.text import PAD, load_tokenizer
from negah.training import Recipe, load_recipe
from negah.training.checkpoint import load_checkpoint
from tiny_training import Recorder, interrupt, tiny_recipe, tiny_train

WIDTH = 5
STEPS_AN_EPOCH = 3
WORDS = ("a", "red", "green", "square", "stripe", "is", "picture")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def source(root: Path) -> Path:
    """A file in the form of GloVe's, with some of the words of the tiny pictures."""
    path = root / "glove.tiny.5d.txt"
    random = np.random.default_rng(7)
    lines = (f"{word} {' '.join(f'{x:.4f}' for x in random.normal(size=WIDTH))}" for word in WORDS)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def recipe(name: str, source: Path, *more: str) -> Recipe:
    own = ("model.tie_embeddings=false",) if name == "cam-rnn" else ()
    vectors = (f"text.vectors={source}", f"model.word_size={WIDTH}", "training.epochs=2")
    return tiny_recipe(*vectors, *own, *more, name=name)


def in_file(source: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read by other means than those of the package."""
    rows = (line.split(" ") for line in source.read_text(encoding="utf-8").splitlines())
    return {word: np.array([float(x) for x in numbers], np.float32) for word, *numbers in rows}


def table(folder: Path, file: str = CHECKPOINT) -> dict[str, npt.NDArray[np.float32]]:
    """The table of a run, by token."""
    tensors = load_checkpoint(folder / file)[0]
    name = "captioner.embedding.weight"
    weight_VW = tensors[name if file == BEST else f"learner.{name}"].numpy()
    tokens = load_tokenizer(folder / TOKENIZER).tokens
    return dict(zip(tokens, weight_VW, strict=True))


@pytest.mark.parametrize("name", ["show-tell", "cam-rnn"])
def test_frozen_vectors_are_those_of_the_file_after_training(
    root: Path, source: Path, name: str
) -> None:
    """Not loaded into an object that is thrown away, not decayed, not averaged away."""
    reporter = Recorder()
    run = f"frozen-{name}"
    frozen = recipe(name, source, "text.vectors_frozen=true", "training.weight_decay=0.5")
    assert tiny_train(root, run, recipe=frozen, reporter=reporter).finished
    assert len(reporter.losses) == 2 * STEPS_AN_EPOCH
    told = next(text for text in reporter.messages if "word vectors" in text)
    assert "frozen" in told
    assert "7 of 10 words of the vocabulary (70.0%)" in told
    assert "without one:" in told
    for file in (CHECKPOINT, BEST):
        found = table(root / run, file)
        for word, row_W in in_file(source).items():
            np.testing.assert_array_equal(found[word], row_W)
        assert not found["<PAD>"].any()
        assert found["<UNK>"].any()
    learned = load_checkpoint(root / run / CHECKPOINT)[0]
    moved = learned["learner.captioner.embedding.map.weight"]
    assert not torch.equal(moved, fresh_map(frozen, root / run)), "the map learns all the same"


def fresh_map(recipe: Recipe, folder: Path) -> torch.Tensor:
    """The map as it was before the first step: fresh weights from the recipe's seed."""
    torch.manual_seed(recipe.training.seed)
    encoder = load_encoder(recipe.encoder)
    size = len(load_tokenizer(folder / TOKENIZER))
    model = build_captioner(recipe.model, channels=encoder.channels, vocabulary_size=size)
    assert model.embedding.map is not None
    return model.embedding.map.weight.detach()


def test_fine_tuned_vectors_start_as_those_of_the_file(root: Path, source: Path) -> None:
    """With a rate next to 0 a step leaves them where they were; with a real one they move."""
    still = recipe("show-tell", source, "training.learning_rate=1e-30", "training.weight_decay=0")
    tiny_train(root, "still", recipe=still)
    tiny_train(root, "moving", recipe=recipe("show-tell", source))
    at_start, after = table(root / "still"), table(root / "moving")
    for word, row_W in in_file(source).items():
        np.testing.assert_array_equal(at_start[word], row_W)
        assert np.abs(after[word] - row_W).max() > 1e-4


def test_resumed_is_uninterrupted_and_needs_no_file(
    root: Path, source: Path, tmp_path: Path
) -> None:
    own = tmp_path / "gone.5d.txt"
    own.write_bytes(source.read_bytes())
    for frozen in ("true", "false"):
        options = recipe("show-tell", own, f"text.vectors_frozen={frozen}")
        whole, parts = Recorder(), Recorder(5, interrupt)
        own.write_bytes(source.read_bytes())
        tiny_train(root, f"whole-{frozen}", recipe=options, reporter=whole)
        assert not tiny_train(root, f"parts-{frozen}", recipe=options, reporter=parts).finished
        own.unlink()
        rest = Recorder()
        assert tiny_train(root, f"parts-{frozen}", recipe=options, reporter=rest).finished
        assert parts.losses + rest.losses == whole.losses
        for file in (CHECKPOINT, BEST):
            ours = load_checkpoint(root / f"parts-{frozen}" / file)[0]
            theirs = load_checkpoint(root / f"whole-{frozen}" / file)[0]
            assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


def test_what_does_not_fit_is_refused_before_work(root: Path, source: Path) -> None:
    for changes, match in (
        ((f"text.vectors={source}",), r"have 5 numbers.*has 12\. Set model\.word_size=5"),
        (("text.vectors=nowhere.txt",), "no such file"),
    ):
        with pytest.raises(UsageError, match=match):
            tiny_train(root, "refused", recipe=tiny_recipe(*changes))
    assert not (root / "refused").exists()
    for changes, match in (
        (("text.vectors=package", "text.tokenizer=char"), "tokenizer: word"),
        (("text.vectors_frozen=true",), "needs vectors"),
        (
            ("text.vectors=v", "text.vectors_frozen=true", "model.tie_embeddings=true"),
            "freeze the output layer",
        ),
        (("model.word_size=5", "model.tie_embeddings=true"), "set tie_embeddings=false"),
        (("encoder.trainable_blocks=0", "encoder.trainable_layers=3"), "set trainable_blocks"),
    ):
        with pytest.raises(UsageError, match=match):
            tiny_recipe(*changes)


def test_recipes_and_runs_of_before_have_no_vectors(root: Path, source: Path) -> None:
    """What a file does not say is as it was."""
    import json

    plain = load_recipe("show-tell")
    assert (plain.text.vectors, plain.text.vectors_frozen, plain.model.word_size) == ("", False, 0)
    options = tiny_recipe("training.epochs=1", name="show-tell")
    tiny_train(root, "old", recipe=options)
    path = root / "old" / RUN
    kept = json.loads(path.read_text(encoding="utf-8"))
    for section, key in (
        ("text", "vectors"), ("text", "vectors_frozen"), ("model", "word_size"),
        ("encoder", "trainable_layers"),
    ):  # fmt: skip
        del kept["recipe"][section][key]
    path.write_text(json.dumps(kept), encoding="utf-8")
    assert tiny_train(root, "old", recipe=options).finished


@pytest.mark.parametrize("kind", [ShowTellOptions, CamRnnOptions])
def test_a_map_in_front_of_a_table(kind: type[ShowTellOptions] | type[CamRnnOptions]) -> None:
    """The table has W numbers, the captioner reads E; step by step equals all at once."""
    options = kind(word_size=3, embedding_size=8, hidden_size=8, dropout=0.0)
    torch.manual_seed(0)
    model = build_captioner(options, channels=4, vocabulary_size=9).eval()
    assert model.embedding.weight.shape == (9, 3)
    features_BFRC = torch.randn(2, 1, 2, 4)
    inputs_BKT = torch.tensor([[[1, 4, 5]], [[1, 6, 8]]])
    with torch.no_grad():
        logits_NV = model(features_BFRC, inputs_BKT, torch.ones_like(inputs_BKT, dtype=torch.bool))
        memory, state = model.start(features_BFRC)
        steps = []
        for t in range(3):
            output = model.step(memory, state, inputs_BKT[..., t])
            state = output.state
            steps.append(output.logits[:, 0])
    torch.testing.assert_close(torch.cat(steps), logits_NV)


def test_the_card_names_the_vectors_and_no_folder() -> None:
    from negah.export.run import vector_data, without_folders

    assert vector_data("") == ()
    assert "GloVe 6B" in vector_data("package")[0].name
    assert vector_data("/home/me/glove.6B.zip")[0].name == "word vectors glove.6B.zip"
    paths = ("text.vectors=/home/me/glove.6B.zip", "encoder.weights=/home/me/runs/other/")
    shared = without_folders(load_recipe("show-tell", paths))
    assert (shared["text"]["vectors"], shared["encoder"]["weights"]) == ("glove.6B.zip", "other")
    plain = load_recipe("show-tell")
    assert without_folders(plain) == plain.model_dump(mode="json")


def test_padding_stays_zero_and_other_shapes_are_refused() -> None:
    words = WordEmbedding(6, 4, 3)
    words.initialize()
    assert words(torch.tensor([PAD])).abs().sum() == 0
    words.fill(np.ones((6, 3), np.float32), frozen=True)
    assert not words.weight.requires_grad
    with pytest.raises(UsageError, match="do not fit"):
        words.fill(np.ones((6, 4), np.float32), frozen=True)


def test_exactly_the_last_three_convolutions_learn() -> None:
    """Not all frozen again, no batch statistics that drift."""
    torch.manual_seed(0)
    options = EncoderOptions(
        name="efficientnet-lite0", weights="random", size=64,
        trainable_blocks=2, trainable_layers=3,
    )  # fmt: skip
    encoder = load_encoder(options).train()
    learning = {name for name, p in encoder.named_parameters() if p.requires_grad}
    assert learning == {
        *(f"tail_blocks.0.{name}.weight" for name in ("conv_dw", "bn2", "conv_pwl", "bn3")),
        *(f"tail_blocks.0.{name}.bias" for name in ("bn2", "bn3")),
        *(f"tail_blocks.1.{name}" for name in ("0.weight", "1.weight", "1.bias")),
    }
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    trunk = encoder.trunk(torch.randn(2, 3, 64, 64))
    encoder.tail(trunk).square().sum().backward()
    torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=0.1).step()
    moved = {n for n, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[n])}
    assert moved == learning
    with pytest.raises(UsageError, match=r"4 convolutions\. Raise encoder\.trainable_blocks"):
        load_encoder(options.model_copy(update={"trainable_layers": 5}))

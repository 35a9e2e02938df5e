"""Concepts: probabilities of words from regions, learned in a training, kept in runs and bundles.

Axes: N pictures, B photos or clips, F frames, R regions, C channels, W concepts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

pytest.importorskip("torch", reason="concepts are learned with the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch

from negah.bundle import Bundle, BundleConfig, read_bundle
from negah.errors import UsageError
from negah.export.initial import open_initial
from negah.export.prove import prove
from negah.export.restore import load_captioner
from negah.export.run import load_run
from negah.models import EncoderOptions, load_encoder
from negah.models.concepts import ConceptReader, Concepts, concept_loss, concept_words
from negah.models.seeding import seeded
from negah.runtime import Captioner, OnnxBackend
from negah.text import WordTokenizer
from negah.training.checkpoint import load_checkpoint
from negah.training.concepts import ConceptTruth, mean_average_precision
from negah.training.padding import TrunkOutput
from negah.training.validation import (
    Validation,
    Validations,
    validation_options,
)
from tiny_bundle import make_tiny_bundle
from tiny_training import (
    Recorder,
    interrupt,
    tiny_dataset,
    tiny_recipe,
    tiny_train,
)

pytestmark = pytest.mark.usefixtures("one_thread")

#: Red, green and blue, square and stripe, picture: content words; the rest are not.
CONCEPTS = ("encoder.concepts=5", "decoding.support=0.5", "model.concepts=true")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("concepts")


@pytest.fixture(scope="module")
def learned(root: Path) -> Recorder:
    """A finished run with concepts in ``root/run``."""
    reporter = Recorder()
    assert tiny_train(root, "run", *CONCEPTS, reporter=reporter).finished
    return reporter


def test_noisy_or_is_the_product_over_regions() -> None:
    torch.manual_seed(0)
    concepts = Concepts(4, ("dog", "cat", "red"))
    regions_NRC = torch.randn(2, 6, 4)
    weight, bias = concepts.layer.weight.double(), concepts.layer.bias.double()
    none_NW = (1 - torch.sigmoid(regions_NRC.double() @ weight.T + bias)).prod(1)
    torch.testing.assert_close(concepts(regions_NRC).double(), 1 - none_NW, atol=1e-6, rtol=1e-5)
    said_NW = torch.tensor([[1, 0, 1], [0, 0, 1]])
    expected = torch.nn.functional.binary_cross_entropy(
        (1 - none_NW), said_NW.double(), reduction="none"
    )
    found = concept_loss(concepts.log_absent(regions_NRC), said_NW)
    torch.testing.assert_close(found.double(), expected.sum(1).mean(), atol=1e-5, rtol=1e-5)


def test_a_clip_shows_what_its_surest_real_frame_shows() -> None:
    torch.manual_seed(1)
    concepts = Concepts(4, ("dog", "cat"))
    features_BFRC = torch.randn(2, 3, 5, 4)
    real_BF = torch.tensor([[True, True, False], [True, True, True]])
    frames = concepts.log_absent(features_BFRC.flatten(0, 1)).reshape(2, 3, 2)
    expected = torch.stack([frames[0, :2].amin(0), frames[1].amin(0)])
    torch.testing.assert_close(concepts.of_clips(features_BFRC, real_BF), expected)


def test_a_reader_gives_gradients_to_evidence_and_none_to_training() -> None:
    torch.manual_seed(2)
    reader = ConceptReader(Concepts(4, ("dog", "cat")), 5)
    reader.find_words(["<pad>", "a", "cat", "dog", "sea"], torch.tensor([0.2, 0.1]))
    features_BFRC = torch.randn(1, 1, 6, 4, requires_grad=True)
    real_BF = torch.ones(1, 1, dtype=torch.bool)
    assert not reader.train()(features_BFRC, real_BF).requires_grad
    more_BV = reader.eval()(features_BFRC, real_BF)
    (slope_BFRC,) = torch.autograd.grad(more_BV[0, 3], features_BFRC)
    step_BFRC = torch.randn(1, 1, 6, 4) * 1e-3
    with torch.no_grad():
        rise_BV = reader(features_BFRC + step_BFRC, real_BF)
        rise_BV -= reader(features_BFRC - step_BFRC, real_BF)
    torch.testing.assert_close(
        rise_BV[0, 3] / 2, (slope_BFRC * step_BFRC).sum(), rtol=0.02, atol=1e-5
    )


def test_it_begins_with_the_rates_of_the_captions() -> None:
    concepts = Concepts(4, ("dog", "cat", "never"))
    torch.nn.init.zeros_(concepts.layer.weight)
    concepts.start_from_rates(torch.tensor([0.3, 0.02, 0.0]), regions=49)
    found = concepts(torch.randn(2, 49, 4))
    torch.testing.assert_close(found[0], torch.tensor([0.3, 0.02, 1e-5]), atol=1e-6, rtol=1e-3)
    other = Concepts(4, ("cat", "sea"))
    assert concepts.start_from(other) == 1
    torch.testing.assert_close(concepts.layer.weight[1], other.layer.weight[0])
    assert not concepts.layer.weight[0].any()


def test_concepts_are_the_most_frequent_content_words() -> None:
    captions = ["a dog runs in 2 red cars.", "a dog and a red cat", "the dog is red", "3 dogs"]
    tokenizer = WordTokenizer.build(captions, min_count=1)
    words = concept_words(tokenizer, EncoderOptions(concepts=3))
    assert words == ("dog", "red", "cars")
    truth = ConceptTruth([captions[:2], captions[3:]], tokenizer, words)
    assert truth.rates().tolist() == [0.5, 0.5, 0.5]
    assert truth.said(torch.tensor([1, 0])).tolist() == [[False] * 3, [True] * 3]


def test_they_learn_and_are_kept(learned: Recorder, root: Path) -> None:
    run = load_run(root / "run")
    concepts = run.encoder.concepts
    assert concepts is not None
    assert set(concepts.words) <= {"red", "green", "blue", "square", "stripe", "picture"}
    assert len(concepts.words) == 5
    tensors, _ = load_checkpoint(root / "run" / "best.safetensors")
    assert tensors["concepts.layer.weight"].shape == (5, run.encoder.channels)
    examples = [e for e in tiny_dataset(root / "pictures").examples if e.split == "train"]
    pixels = run.encoder.preprocessing.to_pixels_NCHW([Image.open(e.path) for e in examples])
    truth = ConceptTruth([e.captions for e in examples], run.tokenizer, concepts.words)
    said = truth.said(torch.arange(len(examples)))
    rates = torch.log1p(-truth.rates()).expand(len(examples), -1)
    with torch.inference_mode():
        absent = concepts.log_absent(run.encoder(torch.from_numpy(pixels)))
    assert concept_loss(absent, said) < concept_loss(rates, said)


def test_a_validation_tells_how_well_they_rank(learned: Recorder, root: Path) -> None:
    run = load_run(root / "run")
    examples = tiny_dataset(root / "pictures").examples
    pixels = run.encoder.preprocessing.to_pixels_NCHW([Image.open(e.path) for e in examples])
    trunk = run.encoder.trunk(torch.from_numpy(pixels))
    options = validation_options(run.recipe.decoding, 2)
    validation = Validation(
        examples, lambda at: TrunkOutput(trunk[at]), run.tokenizer, options, batch_size=7
    )
    with torch.inference_mode():
        _, row = Validations({"": validation}).score(run.encoder, run.captioner)
        assert run.encoder.concepts is not None
        told = run.encoder.concepts(run.encoder.tail(trunk)).numpy()
    truth = ConceptTruth([e.captions for e in examples], run.tokenizer, run.encoder.concepts.words)
    said = truth.said(torch.arange(len(examples))).numpy()
    assert row["concepts_map"] == pytest.approx(mean_average_precision(told, said))
    assert not any("concepts_map" in row for row in learned.rows)  # of four photos, none can tell


def test_a_stopped_training_ends_in_the_same_bits(learned: Recorder, root: Path) -> None:
    stopped = Recorder(4, interrupt)
    assert not tiny_train(root, "again", *CONCEPTS, reporter=stopped).finished
    assert tiny_train(root, "again", *CONCEPTS).finished
    ours, _ = load_checkpoint(root / "again" / "best.safetensors")
    theirs, _ = load_checkpoint(root / "run" / "best.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


WORDS = ("dog", "ball", "bench")


@pytest.fixture(scope="module")
def bundle(root: Path) -> Bundle:
    """Of random weights, with three concepts, which the captioner reads."""
    return read_bundle(make_tiny_bundle(root / "bundle", concepts=WORDS, reads_concepts=True))


def test_the_bundle_tells_what_pytorch_tells(bundle: Bundle) -> None:
    encoder, captioner = load_captioner(bundle)
    backend = OnnxBackend(bundle)
    assert encoder.concepts is not None
    assert backend.sight.concepts == encoder.concepts.words == WORDS
    random = np.random.default_rng(0)
    encoded = backend.encode(random.normal(size=(3, 3, 64, 64)).astype(np.float32))
    assert encoded.concepts is not None
    with torch.inference_mode():
        told = encoder.concepts(torch.from_numpy(encoded.features))
    np.testing.assert_allclose(encoded.concepts, told.numpy(), atol=1e-5)
    photos = [Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)) for _ in range(4)]
    stored = load_file(bundle.weights_path)
    assert "encoder.concepts.layer.weight" in stored  # once, for the encoder and the captioner
    assert not any("head" in name for name in stored)
    assert captioner.concepts is not None
    assert captioner.concepts.head is encoder.concepts
    options = bundle.config.decoding.model_copy(update={"support": 1.0})
    proof = prove(bundle, encoder, captioner, photos, options=options)
    assert proof.equal_text_share == 1


def test_captions_of_a_bundle_are_chosen_by_its_concepts(bundle: Bundle) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    captioner = Captioner(bundle.path)
    plain = captioner.caption(photo, beam=8, n_best=8)
    chosen = captioner.caption(photo, beam=8, n_best=8, support=50.0)
    every = [(one, *one.alternatives) for one in (plain, chosen)]
    assert sorted(one.text for one in every[0]) == sorted(one.text for one in every[1])
    said = [sum(word.text in WORDS for word in one.words) for one in every[1]]
    assert said[0] == min(said)  # each word that is told costs so much that the fewest come first
    assert captioner.caption(photo, method="greedy").text  # has no candidates


def test_support_without_concepts_is_refused_before_anything_is_read(
    tiny_bundle: Path, bundle: Bundle
) -> None:
    with pytest.raises(UsageError, match=r"support 0\.5 chooses captions by concepts"):
        Captioner(tiny_bundle).check(support=0.5)
    config = bundle.config.model_dump()
    config["decoding"]["support"] = 0.5
    BundleConfig.parse(config, where="bundle")
    config["encoder"]["concepts"] = ()
    config["graphs"]["encoder"]["outputs"] = ("features",)
    with pytest.raises(UsageError, match="no concepts to take it of"):
        BundleConfig.parse(config, where="bundle")


@pytest.mark.parametrize("source", ["run", "bundle"])
def test_another_training_goes_on_from_them(
    source: str, learned: Recorder, bundle: Bundle, root: Path
) -> None:
    if source == "run":
        options, known = tiny_recipe(*CONCEPTS).encoder, load_run(root / "run").encoder.concepts
    else:
        options = EncoderOptions(name="test_efficientnet", size=64, concepts=3)
        known = load_captioner(bundle)[0].concepts
    assert known is not None
    encoder = load_encoder(options.model_copy(update={"weights": str(root / source)}))
    encoder.add_concepts(["horse", *known.words[1:]])
    assert encoder.concepts is not None
    torch.testing.assert_close(encoder.concepts.layer.weight[1:], known.layer.weight[1:])
    torch.testing.assert_close(encoder.concepts.layer.bias[1:], known.layer.bias[1:])


def test_mean_average_precision_is_that_of_its_definition() -> None:
    random = np.random.default_rng(0)
    scores_BW = random.integers(0, 6, (40, 7)) / 6  # with ties
    said_BW = random.random((40, 7)) < np.array([0.5, 0.3, 0.2, 0.1, 0.4, 0.0, 0.02])
    each = []
    for word in range(7):
        ranked = sorted(range(40), key=lambda photo: -scores_BW[photo, word])
        places = [at for at, photo in enumerate(ranked, start=1) if said_BW[photo, word]]
        if len(places) >= 5:
            each.append(np.mean([hits / at for hits, at in enumerate(places, start=1)]))
    assert 3 <= len(each) < 7
    assert mean_average_precision(scores_BW, said_BW) == pytest.approx(np.mean(each))
    assert mean_average_precision(said_BW.astype(float), said_BW, least=1) == 1
    assert mean_average_precision(scores_BW, np.zeros_like(said_BW)) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("encoder.concepts=5", "text.tokenizer=char"), "set text.tokenizer=word"),
        (("training.encoder_learns_from=concepts",), "set encoder.concepts=1000"),
        (
            (*CONCEPTS, "training.encoder_learns_from=concepts", "training.concept_weight=0"),
            "needs their loss: set training.concept_weight=0.1",
        ),
        (("decoding.support=0.5",), "the encoder has none: set encoder.concepts=1000"),
        (("model.concepts=true",), "it predicts none: set encoder.concepts=1000"),
    ],
)
def test_contradictions_are_refused(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tiny_recipe(*changes)


def test_captions_can_be_kept_from_moving_the_encoder(root: Path) -> None:
    changes: tuple[str, ...] = (
        *CONCEPTS,
        "training.concept_weight=1e-30",
        "training.weight_decay=0",
    )
    changes = (*changes, "training.encoder_learns_from=concepts", "training.epochs=1")
    assert tiny_train(root, "alone", *changes).finished
    run = load_run(root / "alone")
    with seeded(run.recipe.training.seed):
        fresh = load_encoder(run.recipe.encoder)
    for ours, theirs in zip(
        run.encoder.tail_blocks.parameters(), fresh.tail_blocks.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-20)


def test_those_of_another_model_can_stay_as_they_are(learned: Recorder, root: Path) -> None:
    changes = (*CONCEPTS, "training.concept_weight=0", "training.epochs=1")
    with pytest.raises(UsageError, match=r"5 of them are not trained yet \(such as "):
        tiny_train(root, "fresh", *changes)
    before = load_run(root / "run").encoder.concepts
    reporter = Recorder()
    more = {"initial": open_initial(root / "run"), "reporter": reporter}
    assert tiny_train(root, "kept", *changes, **more).finished
    after = load_run(root / "kept").encoder.concepts
    assert before is not None
    assert after is not None
    assert before.words == after.words
    torch.testing.assert_close(after.state_dict(), before.state_dict(), rtol=0, atol=0)


def test_a_captioner_that_reads_them_needs_a_model_that_tells_them(root: Path) -> None:
    """The recipe takes them over from the run that it starts from; said before work starts."""
    with pytest.raises(UsageError, match="give --init runs/cam-rnn-whole"):
        tiny_train(root, "untold", "model.concepts=true", "initial.follow=true")
    assert not (root / "untold").exists()

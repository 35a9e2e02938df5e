"""Captioners of Hugging Face give what transformers gives, through our search and caches.

The oracle is transformers: its forward without a cache, and its ``generate``. Models are tiny and
random (``tiny_hf``); their weights are drawn once a run.
"""

from __future__ import annotations

import functools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="captioners of Hugging Face need the extra hf")
pytest.importorskip("transformers", reason="they need the extra hf")

import torch
import transformers

import tiny_hf
from common import PATIENCE, REPOSITORY
from negah.decoding import DecodingOptions, Hypothesis, decode
from negah.errors import BundleError, MissingExtraError, NegahError, UsageError
from negah.hf.backend import KIND, HfBackend
from negah.hf.model_folder import ModelFolder, find_model_folder
from negah.hf.words import load_tokenizer
from negah.runtime import Captioner, open_backend
from tiny_clips import make_clip, walking_bar
from tiny_data import make_shapes

FAMILIES = list(tiny_hf.BUILDERS)
#: Other encoders and decoders of vision-encoder-decoder models.
PARTS = list(tiny_hf.PARTS)
PHOTOS = 6
#: Tokens of a caption at most, the end token included; our ``max_length`` counts words.
MOST = 24


@dataclass
class Tiny:
    """One tiny model: as a backend, and as transformers loads it."""

    folder: Path
    backend: HfBackend
    model: Any
    pixels: np.ndarray[Any, Any]
    features: np.ndarray[Any, Any]

    def generate(self, **options: Any) -> list[list[int]]:
        """The ids that transformers finds after the prefix, the end token included if there."""
        pixels = torch.from_numpy(self.pixels)
        prefix = self.backend.family.prefix
        never = list(self.backend.tokenizer.specials.never)
        inputs: dict[str, Any] = {}
        if isinstance(self.model, transformers.Florence2ForConditionalGeneration):
            inputs["input_ids"] = tiny_hf.question(self.model, pixels)
            inputs["decoder_input_ids"] = torch.tensor(prefix).expand(len(pixels), -1)
        found = self.model.generate(
            pixel_values=pixels,
            max_new_tokens=MOST,
            do_sample=False,
            suppress_tokens=never or None,
            **{"no_repeat_ngram_size": 0, **inputs, **options},
        )
        end = self.backend.tokenizer.specials.end
        return [until(ids[len(prefix) :], end) for ids in found.tolist()]

    def decode(self, **options: Any) -> list[Hypothesis]:
        return [best[0] for best in decode(
            self.backend.model, self.features, decoding(**options),
            vocabulary=self.backend.tokenizer,
        )]  # fmt: skip


def until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


def decoding(**options: Any) -> DecodingOptions:
    return DecodingOptions(**{"max_length": MOST - 1, "min_length": 0, **options})


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tiny]:
    """The model of a family and a seed."""

    @functools.cache
    def make(family: str, seed: int = 0) -> Tiny:
        folder = tmp_path_factory.mktemp("hf") / family
        {**tiny_hf.BUILDERS, **tiny_hf.PARTS}[family](folder, seed)
        backend = KIND.open(folder, threads=1)
        model = getattr(transformers, backend.family.model_class).from_pretrained(folder)
        model.generation_config.forced_bos_token_id = None  # the prefix has it
        pixels = backend.pixels(tiny_hf.pictures(PHOTOS, seed))
        return Tiny(folder, backend, model, pixels, backend.encode(pixels).features[:, None])

    return make


@pytest.mark.parametrize("family", [*FAMILIES, *PARTS])
def test_teacher_forced_log_probabilities_are_those_of_transformers(
    family: str, tiny: Callable[..., Tiny], record_property: Callable[[str, Any], None]
) -> None:
    it = tiny(family)
    specials, prefix = it.backend.tokenizer.specials, list(it.backend.family.prefix)
    words = np.random.default_rng(0).integers(5, 39, (PHOTOS, 8))
    tokens = torch.tensor([prefix + row for row in words.tolist()])
    expected = tiny_hf.forward(it.model, torch.from_numpy(it.pixels), tokens).log_softmax(-1)
    state = it.backend.model.start(it.features)
    worst = 0.0
    for t, column in enumerate(np.insert(words, 0, specials.start, axis=1).T):
        step = it.backend.model.step(state, column[:, None])
        state = step.state
        worst = max(
            worst, np.abs(step.logprobs[:, 0] - expected[:, len(prefix) - 1 + t].numpy()).max()
        )
        assert step.logprobs.dtype == np.float32
        rows, columns = it.backend.sight.grid
        assert step.evidence["regions"].shape == (PHOTOS, 1, 1, rows * columns)
        np.testing.assert_allclose(step.evidence["regions"].sum(-1), 1, rtol=1e-5)
    record_property("largest difference", float(worst))
    assert worst < 1e-4
    assert np.ptp(expected.numpy()) > 1


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_captions_are_those_of_generate(
    family: str, seed: int, tiny: Callable[..., Tiny]
) -> None:
    it = tiny(family, seed)
    tokenizer = it.backend.tokenizer
    theirs = transformers.AutoTokenizer.from_pretrained(it.folder)
    expected = it.generate(num_beams=1)
    for ids, found in zip(expected, it.decode(method="greedy"), strict=True):
        ended = ids[-1] == tokenizer.specials.end
        assert found.finished == ended
        # one that does not end has MOST words there and MOST - 1 here
        assert list(found.tokens) == (ids[:-1] if ended else ids[: MOST - 1])
        if ended:
            text = theirs.decode(ids, skip_special_tokens=True).strip()
            assert tokenizer.decode(found.tokens) == text


@pytest.mark.parametrize(
    ("beam", "alpha", "options"),
    [(3, 1.0, {}), (4, 0.5, {"min_length": 3}), (2, 0.0, {"no_repeat_ngram": 2, "min_length": 2})],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_beam_captions_are_those_of_generate(
    family: str, beam: int, alpha: float, options: dict[str, int], tiny: Callable[..., Tiny]
) -> None:
    """Both searches go on until nothing alive can win; lengths count the end token in both."""
    compared = 0
    for seed in (0, 1):
        it = tiny(family, seed)
        expected = it.generate(
            num_beams=beam,
            early_stopping="never",
            length_penalty=alpha,
            no_repeat_ngram_size=options.get("no_repeat_ngram", 0),
            min_new_tokens=options.get("min_length", 0) or None,
        )
        found = it.decode(beam=beam, length_normalisation=alpha, patience=1e9, **options)
        for ids, one in zip(expected, found, strict=True):
            if ids[-1] == it.backend.tokenizer.specials.end:
                assert list(one.tokens) == ids[:-1]
                compared += 1
            # transformers lets captions that are cut off win over those that end
    assert compared >= PHOTOS // 2


@pytest.mark.parametrize("family", [*FAMILIES, *PARTS])
def test_beams_are_reordered_and_photos_do_not_meet(family: str, tiny: Callable[..., Tiny]) -> None:
    """Rows of any parents, and more or fewer of them, continue as each would alone."""
    it = tiny(family)
    model, start = it.backend.model, it.backend.tokenizer.specials.start
    first = model.step(model.start(it.features[:2]), np.full((2, 1), start))
    three = model.reorder(first.state, np.zeros((2, 3), np.int64))
    words = np.array([[5, 6, 7], [8, 9, 10]])
    after = model.step(three, words)
    parents = np.array([[2, 0], [1, 1]])
    last = model.step(model.reorder(after.state, parents), np.array([[11, 12], [13, 14]]))
    for photo, row in np.ndindex(2, 2):
        state = model.start(it.features[photo : photo + 1])
        for token in (start, words[photo, parents[photo, row]], [[11, 12], [13, 14]][photo][row]):
            alone = model.step(state, np.array([[token]]))
            state = alone.state
        np.testing.assert_allclose(
            last.logprobs[photo, row], alone.logprobs[0, 0], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            last.evidence["regions"][photo, row], alone.evidence["regions"][0, 0], atol=1e-5
        )
    again = model.step(three, words)  # a state is not used up
    np.testing.assert_array_equal(again.logprobs, after.logprobs)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_one_at_a_time_and_threads_do_not_meet(
    family: str, tiny: Callable[..., Tiny]
) -> None:
    it = tiny(family)
    options = decoding(beam=3, min_length=2)

    def captions(features: np.ndarray[Any, Any]) -> list[tuple[int, ...]]:
        found = decode(it.backend.model, features, options, vocabulary=it.backend.tokenizer)
        return [best[0].tokens for best in found]

    together = captions(it.features)
    with ThreadPoolExecutor(2) as pool:
        alone = list(pool.map(lambda i: captions(it.features[i : i + 1])[0], range(PHOTOS)))
    assert alone == together


@pytest.mark.parametrize("family", FAMILIES)
def test_pixels_are_those_of_the_image_processor(family: str, tiny: Callable[..., Tiny]) -> None:
    it = tiny(family)
    processor = transformers.AutoImageProcessor.from_pretrained(it.folder)
    photos = tiny_hf.pictures(3, seed=9)
    expected = processor(images=photos, return_tensors="pt")["pixel_values"].numpy()
    np.testing.assert_array_equal(it.backend.pixels(photos), expected)
    small = [it.backend.resize(photo) for photo in photos]
    assert {photo.size for photo in small} == {(32, 32)} == {it.backend.sight.size}
    np.testing.assert_array_equal(it.backend.pixels(small), expected)


def test_a_clip_of_git_is_read_as_transformers_reads_it(tmp_path: Path) -> None:
    """Three frames with the embeddings of their places; padded frames are not seen."""
    tiny_hf.git(tmp_path / "video", 2, frames=3)
    backend = KIND.open(tmp_path / "video", threads=1)
    assert (backend.sight.clip_frames, backend.sight.max_frames) == (3, 3)
    model = transformers.GitForCausalLM.from_pretrained(tmp_path / "video")
    pixels = backend.pixels(tiny_hf.pictures(6))
    features = backend.encode(pixels).features.reshape(2, 3, 17, 16)
    clips = torch.from_numpy(pixels).reshape(2, 3, *pixels.shape[1:])
    expected = model.generate(
        pixel_values=clips, max_new_tokens=8, suppress_tokens=list(backend.tokenizer.specials.never)
    )
    found = decode(
        backend.model,
        features,
        decoding(method="greedy", max_length=7),
        vocabulary=backend.tokenizer,
    )
    for ids, (best, *_) in zip(expected.tolist(), found, strict=True):
        assert list(best.tokens) == until(ids[1:], 3)[: len(best.tokens)]
        assert best.evidence["regions"].shape == (len(best.tokens), 3, 16)
        np.testing.assert_allclose(best.evidence["frames"].sum(-1), 1, rtol=1e-5)

    first = np.array([[2]])
    two = backend.model.step(backend.model.start(features[:1, :2]), first)
    real = np.array([[True, True, False]])
    padded = backend.model.step(backend.model.start(features[:1], real), first)
    np.testing.assert_allclose(two.logprobs, padded.logprobs, rtol=1e-4, atol=1e-5)
    assert padded.evidence["frames"][0, 0, 2] == 0


def test_the_question_of_florence_is_that_of_its_processor(tiny: Callable[..., Tiny]) -> None:
    it = tiny("florence2")
    images = transformers.AutoImageProcessor.from_pretrained(it.folder)
    images.image_seq_length = it.features.shape[2]
    processor = transformers.Florence2Processor(images, tiny_hf.bart_tokenizer())
    given = processor(text="<CAPTION>", images=tiny_hf.pictures(1), return_tensors="pt")
    assert (
        given["input_ids"].tolist()
        == tiny_hf.question(it.model, torch.from_numpy(it.pixels[:1])).tolist()
    )
    assert it.backend.decoding.no_repeat_ngram == 3


def test_tokens_read_as_a_user_writes_them(tiny: Callable[..., Tiny]) -> None:
    pieces, bytes_ = tiny("blip").backend.tokenizer, tiny("vit-gpt2").backend.tokenizer
    assert {"dog", "ing"} <= set(pieces.tokens)
    assert len(pieces.tokens) == tiny("blip").backend.family.size
    assert [bytes_.tokens.count(word) for word in ("dog", "water")] == [2, 1]
    assert pieces.specials.end not in pieces.specials.never
    assert pieces.specials.start in pieces.specials.never


def test_decoding_options_are_those_of_the_model(
    tmp_path: Path, tiny: Callable[..., Tiny], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "asks"
    shutil.copytree(tiny("git").folder, folder)
    tiny_hf.change_json(
        folder / "generation_config.json",
        num_beams=5, max_length=12, min_length=4, length_penalty=0.5, no_repeat_ngram_size=2,
        repetition_penalty=1.3, suppress_tokens=[7], bad_words_ids=[[8]],
    )  # fmt: skip
    backend = KIND.open(folder, threads=1)
    found = backend.decoding
    assert (found.beam, found.length_normalisation, found.no_repeat_ngram) == (5, 0.5, 2)
    assert (found.min_length, found.max_length) == (3, 10)  # less the start and end tokens
    assert {7, 8} <= set(backend.tokenizer.specials.never)
    assert "repetition_penalty=1.3" in caplog.text


def test_captions_are_no_longer_than_the_positions_of_the_decoder(
    tiny: Callable[..., Tiny],
) -> None:
    for family in ("git", "vit-bert"):
        it = tiny(family)
        assert it.backend.decoding.max_length == 39
        never = decoding(method="greedy", min_length=39, max_length=39)
        found = decode(it.backend.model, it.features[:1], never, vocabulary=it.backend.tokenizer)
        assert len(found[0][0].tokens) == 39
        longer = decoding(method="greedy", min_length=40, max_length=40)
        with pytest.raises(UsageError, match="reads 40 tokens"):
            decode(it.backend.model, it.features[:1], longer, vocabulary=it.backend.tokenizer)


def test_what_a_model_is(tiny: Callable[..., Tiny]) -> None:
    import hashlib

    it = tiny("blip")
    identity = it.backend.identity
    weights = it.folder / "model.safetensors"
    assert (identity.name, identity.kind, identity.licence) == ("blip", "hf", "apache-2.0")
    assert identity.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert {weights, it.folder / "config.json"} <= set(identity.files)
    assert it.backend.sight.grid == (4, 4)
    assert isinstance(open_backend(it.folder), HfBackend)


def broken(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text("{", encoding="utf-8") and None


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def change(name: str, **values: Any) -> Callable[[Path], None]:
    return lambda folder: tiny_hf.change_json(folder / name, **values)


def text_config(**values: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        text = json.loads((folder / "config.json").read_text(encoding="utf-8"))["text_config"]
        tiny_hf.change_json(folder / "config.json", text_config={**text, **values})

    return apply


def cut_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def lost_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["text_decoder.bert.encoder.layer.0.crossattention.self.query.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def index(part: Any) -> Callable[[Path], None]:
    """Of one weight, in a file of this name."""

    def apply(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        content = json.dumps({"weight_map": {"a": part}})
        (folder / "model.safetensors.index.json").write_text(content, encoding="utf-8")

    return apply


def nested(**values: Any) -> Callable[[Path], None]:
    return change("preprocessor_config.json", crops=[[{"size": values}]])


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (pickled, UsageError, "pickles.*refused.*save_pretrained"),
        (change("config.json", auto_map={"AutoModel": "x.Y"}), UsageError, "never run"),
        (change("preprocessor_config.json", auto_map={"A": "x.Y"}), UsageError, "never run"),
        (change("config.json", model_type="llama"), UsageError, "'llama'.*blip, florence2, git"),
        (
            change("config.json", architectures=["BlipForImageTextRetrieval"]),
            UsageError,
            "'BlipForImageTextRetrieval', which does not caption",
        ),
        (lost_weights, BundleError, "lack 1 weights.*crossattention.self.query.weight"),
        (cut_weights, BundleError, "model.safetensors: damaged"),
        (index("../elsewhere.safetensors"), BundleError, "no safetensors file of the folder"),
        (index([]), BundleError, r"\[\] is no safetensors file of the folder"),
        (index("lost\n.safetensors"), BundleError, r"missing: 'lost\\n.safetensors'"),
        (
            change("config.json", transformers_weights="adapter_model.bin"),
            UsageError,
            "names another file of weights.*transformers_weights",
        ),
        (text_config(quantization_config={"bits": 4}), UsageError, "quantised weights"),
        (change("tokenizer_config.json", fast_tokenizer_files=["x"]), UsageError, "tokenizers"),
        (change("config.json", architectures=5), UsageError, "saved as 5, which"),
        (change("config.json", x=[[{"vocab_size": 10**9}]]), BundleError, "vocab_size is 10{9}"),
        (change("config.json", x=json.loads("[" * 50 + "]" * 50)), BundleError, "too deeply"),
        (
            change("preprocessor_config.json", size={"height": 6000, "width": 6000}),
            BundleError,
            "size: height is 6000, and 64 at most",
        ),
        (nested(longest_edge=[1e9]), BundleError, "longest_edge is 1000000000.0, and 64 at most"),
        (change("preprocessor_config.json", crop_pct=1e-6), BundleError, "0.25 at least"),
        (broken("config.json"), BundleError, "config.json: cannot be read as JSON"),
        (broken("tokenizer.json"), BundleError, "tokenizer.json: cannot be read as JSON"),
        (without("tokenizer.json"), BundleError, "tokenizer"),
        (without("preprocessor_config.json"), BundleError, "transformers cannot open"),
        (text_config(hidden_size=32), BundleError, "other shapes than config.json"),
        (text_config(hidden_size=10**7), BundleError, "hidden_size is 10000000"),
        (text_config(num_hidden_layers=8, intermediate_size=10**6), BundleError, "describes"),
        (text_config(hidden_size="wide"), BundleError, "transformers cannot open"),
        (text_config(sep_token_id=999), BundleError, "end token of captions is 999"),
        (
            change("preprocessor_config.json", size={"height": 48, "width": 48}),
            BundleError,
            "cannot open",
        ),
        (change("generation_config.json", num_beams="many"), BundleError, "cannot open"),
    ],
)
def test_what_is_damaged_or_no_captioner_is_refused_in_a_line(
    damage: Callable[[Path], None],
    error: type[NegahError],
    message: str,
    tmp_path: Path,
    tiny: Callable[..., Tiny],
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny("blip").folder, folder)
    damage(folder)
    with pytest.raises(error, match=message) as caught:
        open_backend(folder)
    assert "\n" not in str(caught.value)


def test_the_pooler_that_captions_do_not_use_may_be_missing(
    tmp_path: Path, tiny: Callable[..., Tiny]
) -> None:
    from safetensors.torch import load_file, save_file

    it = tiny("vit-bert")
    shutil.copytree(it.folder, tmp_path / "model")
    weights = load_file(it.folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if ".pooler." not in name}
    assert len(kept) < len(weights)
    save_file(kept, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    backend = KIND.open(tmp_path / "model", threads=1)
    np.testing.assert_array_equal(backend.encode(it.pixels).features[:, None], it.features)


def test_folders_with_a_configuration_are_recognised(
    tmp_path: Path, tiny: Callable[..., Tiny]
) -> None:
    assert KIND.recognises(tiny("git").folder)
    assert not KIND.recognises(tmp_path)


def test_the_hub_out_of_reach_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hf:ORG/NAME"):
        find_model_folder("hf:nothing")
    code = (
        "from negah.cli.main import run\nimport sys\n"
        "sys.exit(run(['caption', '--model', 'hf:some/captioner', 'photo.jpg']))"
    )
    (tmp_path / "photo.jpg").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "hf:some/captioner: the hub cannot be reached" in line
    assert str(tmp_path) in line
    assert "hf download some/captioner" in line


def test_the_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Tiny]
) -> None:
    folder = tiny("git").folder
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'negah\[hf\]'"):
        KIND.open(folder, threads=1)


def test_what_lies_beside_a_model_does_not_matter(
    tmp_path: Path, tiny: Callable[..., Tiny], capfd: pytest.CaptureFixture[str]
) -> None:
    """Transformers' own bar and report of what it loaded are not seen either."""
    folder = tmp_path / "model"
    shutil.copytree(tiny("git").folder, folder)
    (folder / "predictions.json").write_text("[1]", encoding="utf-8")
    (folder / "trainer_state.json").write_text("[" * (5 * 2**20), encoding="utf-8")
    verbosity = transformers.utils.logging.get_verbosity()
    backend = open_backend(folder)
    assert {path.name for path in backend.identity.files} == {
        "config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json",
        "tokenizer.json", "tokenizer_config.json", "README.md",
    }  # fmt: skip
    assert capfd.readouterr() == ("", "")
    assert transformers.utils.logging.get_verbosity() == verbosity


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n---\n", "mit"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
        ("---\r\ntags:\r\n- a\r\nlicense:\r\n- mit\r\n- x\r\nb: c\r\n---\r\n", "mit, x"),
        ("---\nlicense: " + "[" * 900 + "\n---\n", "not stated"),
        ("---\nlicense: &a [*a]\n---\n", "not stated"),
        ("---\nlicense: 2020-99-99\n---\n", "2020-99-99"),
        ("---\nlicense: " + "9" * 5000 + "\n---\n", "not stated"),
        ("---\nlicense: " + "[" * 3000 + "\n---\n", "not stated"),
        ("---\nlicense: [[mit]]\n---\n", "not stated"),
        ('---\nlicense: "a\\eb"\n---\n', "not stated"),
        ("---\n- mit\n---\n", "not stated"),
        ("---\nlicense: mit", "not stated"),
        ("---\n" + "#" * 2**17 + "\nlicense: mit\n---\n", "not stated"),
        ("\udcff", "not stated"),
        ("# A model", "not stated"),
    ],
)
def test_licences_are_those_of_the_card(card: str, licence: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(card.encode(errors="surrogateescape"))
    assert ModelFolder("x", tmp_path, {}, ()).licence() == licence


def test_a_caption_is_one_line_without_control_characters(tiny: Callable[..., Tiny]) -> None:
    tokenizer = tiny("vit-gpt2").backend.tokenizer
    ids = load_tokenizer(find_model_folder(tiny("vit-gpt2").folder)).convert_tokens_to_ids
    # as byte-level tokenizers write a line's end, an escape, and the two bytes of U+0085
    line, escape, *next_line = ids(["Ċ", "ě", "Â", "ħ"])
    assert {line, escape} <= set(tokenizer.specials.never)
    assert not set(tokenizer.specials.never) & set(ids(["dog", "Ġdog", "Ġ"]))
    dog = ids("Ġdog")
    text = tokenizer.decode([dog, line, dog, escape, dog, *next_line, dog, line])
    assert text == "dog dog dog dog"
    assert all(text.isprintable() for text in tokenizer.tokens)


def test_longer_captions_than_a_model_can_take_are_refused_before_work_starts(
    tiny: Callable[..., Tiny],
) -> None:
    backend = tiny("git").backend
    assert backend.sight.max_words == 39
    captioner = Captioner(backend)
    assert captioner.decoding_options({"max_length": 39}).max_length == 39
    with pytest.raises(UsageError, match="max_length is 40, and git can take captions of 39 words"):
        captioner.check(max_length=40)


def test_what_pytorch_refuses_is_one_line(tiny: Callable[..., Tiny]) -> None:
    it = tiny("vit-bert")
    with pytest.raises(BundleError, match=r"vit-bert cannot be run.*lower --batch-size") as caught:
        it.backend.model.step(
            it.backend.model.start(it.features[..., :3]), np.array([[2]] * PHOTOS)
        )
    assert "\n" not in str(caught.value)


@pytest.fixture
def cached(
    tmp_path: Path, tiny: Callable[..., Tiny], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[Any]]:
    """A model in the cache of the hub, and the attempts to reach the network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    attempts: list[Any] = []
    monkeypatch.setattr("socket.socket.connect", lambda *given: attempts.append(given))
    repository = tmp_path / "models--some--captioner"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40, encoding="utf-8")
    folder = repository / "snapshots" / ("a" * 40)
    shutil.copytree(tiny("git").folder, folder)
    return folder, attempts


def test_a_whole_copy_in_the_cache_needs_no_network(cached: tuple[Path, list[Any]]) -> None:
    folder, attempts = cached
    source = find_model_folder("hf:some/captioner")
    assert (source.folder, source.name) == (folder, "hf:some/captioner")
    assert source.origin == f"hf:some/captioner@{'a' * 40}"
    assert source.licence() == "apache-2.0"
    assert attempts == []


def test_a_copy_in_part_is_told_from_pickles(
    cached: tuple[Path, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    folder, _ = cached
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        UsageError, match=r"no safetensors weights.*hf download some/captioner"
    ) as it:
        find_model_folder("hf:some/captioner")
    assert "pickle" not in str(it.value)
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(UsageError, match="are pickles"):
        find_model_folder("hf:some/captioner")


def test_weights_in_several_files_have_one_checksum(tiny: Callable[..., Tiny]) -> None:
    folder = tiny("git").folder
    weights = folder / "model.safetensors"
    one = ModelFolder("x", folder, {}, (weights,)).sha256()
    two = ModelFolder("x", folder, {}, (weights, weights)).sha256()
    assert len(one) == len(two) == 64
    assert one != two


def test_opening_a_model_leaves_the_process_as_it_was(tiny: Callable[..., Tiny]) -> None:
    before = torch.random.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    captions = [Captioner(tiny("git").folder).caption(p).text for p in tiny_hf.pictures(1)]
    assert captions
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before[1:]


def negah(*arguments: str | Path) -> int:
    from negah.cli.main import run

    return run([str(one) for one in arguments])


def test_the_command_captions_in_every_format(
    tmp_path: Path, tiny: Callable[..., Tiny], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny("vit-bert", 1).folder
    for i, photo in enumerate(tiny_hf.pictures(3)):
        photo.save(tmp_path / f"{i}.png")
    given = ["caption", "--model", folder, "--threads", "1", tmp_path]
    captioner = Captioner(folder)
    expected = [captioner.caption(tmp_path / f"{i}.png") for i in range(3)]
    assert negah(*given) == 0
    lines = [line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == [one.text for one in expected]
    assert negah(*given, "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    for row, one in zip(rows, expected, strict=True):
        assert row["caption"] == one.text
        assert [word["text"] for word in row["words"]] == [word.text for word in one.words]
        for word in row["words"]:
            assert np.shape(word["regions"]) == (1, 4, 4)
            assert np.sum(word["regions"]) == pytest.approx(1, abs=1e-3)
    assert negah(*given, "--format", "jsonl") == 0
    texts = [json.loads(line)["caption"] for line in capsys.readouterr().out.splitlines()]
    assert texts == [one.text for one in expected]
    assert negah(*given, "--format", "csv") == 0
    assert all(one.text in capsys.readouterr().out for one in expected[:1])
    assert negah(*given, "--sidecar") == 0
    assert (tmp_path / "0.txt").read_text(encoding="utf-8").strip() == expected[0].text
    word = expected[0].words[0].text
    assert word not in captioner.caption(tmp_path / "0.png", banned=(word,)).text.split()


def test_models_of_one_vocabulary_are_fused(
    tmp_path: Path, tiny: Callable[..., Tiny], capsys: pytest.CaptureFixture[str]
) -> None:
    (photo,) = tiny_hf.pictures(1)
    photo.save(tmp_path / "0.png")
    given = ["caption", "--model", tiny("vit-bert", 1).folder, tmp_path / "0.png", "--fuse"]
    assert negah(*given, tiny("git").folder) == 0
    assert capsys.readouterr().out.strip()
    assert negah(*given, tiny("vit-gpt2").folder) == 2
    assert "vocabular" in capsys.readouterr().err


def test_a_clip_shows_its_middle_frame(tmp_path: Path, tiny: Callable[..., Tiny]) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(walking_bar(5), rate=5, path=clip)
    caption = Captioner(tiny("git").folder).caption_clip(clip)
    assert len(caption.times) == 1
    assert all(word.regions.shape == (1, 4, 4) for word in caption.words)
    tiny_hf.git(tmp_path / "video", 2, frames=3)
    caption = Captioner(tmp_path / "video").caption_clip(clip)
    assert len(caption.times) == 3
    assert all(word.frames.sum() == pytest.approx(1, abs=1e-4) for word in caption.words)


def test_the_commands_of_the_guide(
    tmp_path: Path,
    tiny: Callable[..., Tiny],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """But for those that go to the hub; captions are scored too."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny("blip", 1).folder, "my-model")
    make_shapes(Path("flickr8k"))
    tiny_hf.pictures(1)[0].save("photo.jpg")
    guide = (REPOSITORY / "docs" / "huggingface.md").read_text(encoding="utf-8")
    lines = re.findall(r"^negah .*", guide, flags=re.M)
    commands = [shlex.split(line)[1:] for line in lines if "hf:" not in line]
    assert len(commands) == 3
    for command in commands:
        assert negah(*command) == 0
        assert capsys.readouterr().out

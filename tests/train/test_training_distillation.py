"""Distillation: its loss in NumPy, its gradient by differences, refusals, the same bits again.

Axes: B photos, K captions of each, T words, N words that count, V vocabulary.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch
from torch import Tensor, nn

from common import REPOSITORY
from negah.arrays import FloatArray
from negah.bundle import read_bundle
from negah.cli.main import run as negah
from negah.data import Dataset
from negah.errors import CheckpointError, UsageError
from negah.export.run import CardNotes, load_run, provenance_of, without_folders
from negah.export.teachers import open_teachers
from negah.models import flatten_words, load_encoder
from negah.run_folder import BEST, CHECKPOINT, RUN
from negah.text import CharTokenizer
from negah.training import Outcome
from negah.training.checkpoint import load_checkpoint, save_checkpoint
from negah.training.objectives import OBJECTIVES, Lesson, Loss, Objective, Setting
from negah.training.objectives.distillation import DistillationOptions
from negah.training.recipe import Recipe
from negah.training.teachers import Teacher, check_teachers
from tiny_data import TINY, make_shapes, tiny_arguments
from tiny_training import (
    Recorder,
    dev_rows,
    interrupt,
    run_training,
    same_bits,
    store_noise,
    tiny_dataset,
    tiny_recipe,
)

pytestmark = pytest.mark.usefixtures("one_thread")

#: "a b a c <EOS>" and "a a <EOS>"; "b <EOS>" of another photo.
TARGETS_BKT = torch.tensor([[[4, 5, 4, 6, 2], [4, 4, 2, 0, 0]], [[5, 2, 0, 0, 0], [0, 0, 0, 0, 0]]])
COUNTS_BKT = TARGETS_BKT != 0
VOCABULARY = 7


class Says(nn.Module):
    """A captioner with logits of its own at every position; notes the words that it reads."""

    def __init__(self, seed: int, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        logits_BKTV = 2 * torch.randn(*TARGETS_BKT.shape, VOCABULARY, generator=random)
        self.logits_BKTV = nn.Parameter(logits_BKTV.to(dtype))
        self.read: list[Tensor] = []

    def forward(
        self, features: Tensor, inputs_BKT: Tensor, counts_BKT: Tensor, real_BF: Tensor | None
    ) -> Tensor:
        self.read.append(inputs_BKT)
        return flatten_words(self.logits_BKTV, counts_BKT) * features.mean()


def lesson(step: int = 0) -> Lesson:
    inputs_BKT = torch.cat([torch.ones_like(TARGETS_BKT[..., :1]), TARGETS_BKT[..., :-1]], 2)
    features = torch.ones(2, 1, 1, 1, dtype=torch.float64)
    return Lesson(features, None, inputs_BKT, TARGETS_BKT, torch.arange(2), step, 10, 3)


def objective(
    teachers: Sequence[Says], smoothing: float = 0.0, own_words: float = 0.0, **options: Any
) -> Objective:
    tokenizer = CharTokenizer.build(["abc"], min_count=1)
    values = {"teachers": tuple(f"runs/{n}" for n, _ in enumerate(teachers)), **options}
    setting = Setting((), tokenizer, smoothing, own_words, teachers=teachers)  # type: ignore[arg-type]
    return OBJECTIVES.build(DistillationOptions(**values), setting)


def told(tested: Objective, student: Says, step: int = 0) -> Loss:
    return tested(student, lesson(step))  # type: ignore[arg-type]


def softmax(logits_V: FloatArray) -> FloatArray:
    return np.exp(logits_V - logits_V.max()) / np.exp(logits_V - logits_V.max()).sum()


def by_hand(
    student: Says, teachers: Sequence[Says], weight: float, temperature: float, smoothing: float
) -> tuple[float, float, float]:
    """The loss, its soft part and the teachers' nats, word by word."""
    own, *others = (model.logits_BKTV.detach().numpy() for model in (student, *teachers))
    hard, soft, nats, places = 0.0, 0.0, 0.0, COUNTS_BKT.nonzero().tolist()
    for b, k, t in places:
        true = int(TARGETS_BKT[b, k, t])
        p_V = np.log(softmax(own[b, k, t]))
        hard += -(1 - smoothing) * p_V[true] - smoothing * p_V.mean()
        q_V = np.mean([softmax(other[b, k, t] / temperature) for other in others], axis=0)
        soft -= float((q_V * np.log(softmax(own[b, k, t] / temperature))).sum())
        nats -= np.log(q_V[true])
    words = len(places)
    value = (1 - weight) * hard / words + weight * temperature**2 * soft / words
    return value, soft / words, nats / words


TABLE = [(0.5, 1.0, 0.0), (0.3, 2.5, 0.1), (1.0, 0.5, 0.1), (0.0, 4.0, 0.2)]


@pytest.mark.parametrize(("weight", "temperature", "smoothing"), TABLE)
@pytest.mark.parametrize("count", [1, 3])
def test_the_loss_by_hand(count: int, weight: float, temperature: float, smoothing: float) -> None:
    student, teachers = Says(0), [Says(1 + n) for n in range(count)]
    tested = objective(teachers, smoothing, weight=weight, temperature=temperature)
    loss = told(tested, student)
    value, soft, nats = by_hand(student, teachers, weight, temperature, smoothing)
    assert loss.value.item() == pytest.approx(value, rel=1e-12)
    assert loss.log["distillation"].item() == pytest.approx(soft, rel=1e-12)
    assert loss.log["teachers_nll"].item() == pytest.approx(nats, rel=1e-12)
    # what the epoch's mean tells stays the nats of the true words
    plain = by_hand(student, teachers, 0.0, 1.0, 0.0)[0]
    assert (loss.count, loss.total.item()) == (10, pytest.approx(10 * plain, rel=1e-12))


@pytest.mark.parametrize(("weight", "temperature", "smoothing"), TABLE)
def test_the_gradient_by_differences(weight: float, temperature: float, smoothing: float) -> None:
    student, teachers = Says(0), [Says(1), Says(2)]
    tested = objective(teachers, smoothing, weight=weight, temperature=temperature)
    told(tested, student).value.backward()
    assert all(teacher.logits_BKTV.grad is None for teacher in teachers)
    found = student.logits_BKTV.grad
    assert found is not None
    flat, step = student.logits_BKTV.data.view(-1), 1e-6
    for place in range(0, len(flat), 3):
        at, values = flat[place].item(), []
        for moved in (at + step, at - step):
            flat[place] = moved
            values.append(told(tested, student).value.item())
        flat[place] = at
        difference = (values[0] - values[1]) / (2 * step)
        assert found.view(-1)[place].item() == pytest.approx(difference, abs=1e-8)


def test_a_student_that_is_its_teacher_learns_nothing_from_it() -> None:
    for temperature in (0.7, 1.0, 5.0):
        student = Says(4)
        told(objective([Says(4)], weight=1, temperature=temperature), student).value.backward()
        assert student.logits_BKTV.grad is not None
        assert student.logits_BKTV.grad.abs().max() < 1e-12


def test_weight_0_is_cross_entropy_to_the_bit() -> None:
    setting = Setting((), CharTokenizer.build(["abc"], min_count=1), 0.1)
    plain = OBJECTIVES.build(OBJECTIVES.parse("cross-entropy", where="test"), setting)
    found = []
    for tested in (plain, objective([Says(1), Says(2)], 0.1, weight=0)):
        student = Says(0, torch.float32)
        loss = told(tested, student)
        loss.value.backward()
        assert student.logits_BKTV.grad is not None
        found.append((loss.value, loss.total, student.logits_BKTV.grad))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_what_is_certain_has_a_finite_loss() -> None:
    """Also where a teacher gives a true word no probability at all."""
    student, teacher = Says(0, torch.float32), Says(1, torch.float32)
    with torch.no_grad():
        teacher.logits_BKTV[..., 3] = 500.0
        student.logits_BKTV[..., 4] = 500.0
    loss = told(objective([teacher]), student)
    loss.value.backward()
    assert student.logits_BKTV.grad is not None
    assert torch.isfinite(student.logits_BKTV.grad).all()
    assert torch.isfinite(torch.stack([loss.value, *loss.log.values()])).all()


def test_teachers_read_what_the_student_reads() -> None:
    """True words, and with scheduled sampling the student's own, the same for all."""
    student, teachers = Says(0), [Says(1), Says(2)]
    told(objective(teachers), student)
    assert all(torch.equal(one.read[-1], lesson().inputs_BKT) for one in (student, *teachers))
    torch.manual_seed(0)
    told(objective(teachers, own_words=1.0), student, step=10)
    assert not torch.equal(student.read[-1], lesson().inputs_BKT)
    assert all(torch.equal(teacher.read[-1], student.read[-1]) for teacher in teachers)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("distillation", "teachers"),
        ({"kind": "distillation", "teachers": []}, "teachers"),
        ({"kind": "distillation", "teachers": ["a", "b", "a"]}, "a is named more than once"),
        ({"kind": "distillation", "teachers": ["a"], "weight": 1.5}, "weight"),
        ({"kind": "distillation", "teachers": ["a"], "temperature": 0}, "temperature"),
    ],
)
def test_options_that_cannot_be(values: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OBJECTIVES.parse(values, where="training.objective")


# --- trainings


class Place(NamedTuple):
    """Two teachers of one encoder, in ``root``; noise for features."""

    root: Path
    dataset: Dataset

    def recipe(self, *changes: str) -> Recipe:
        return tiny_recipe(FROZEN, f"encoder.weights={self.root / 'a'}", *changes)

    def student(self, *changes: str, teachers: str = "{0}/a, {0}/b", more: str = "") -> Recipe:
        names = teachers.format(self.root)
        objective = f"training.objective={{kind: distillation, teachers: [{names}]{more}}}"
        return self.recipe("training.seed=2", objective, *changes)

    def check(self, recipe: Recipe, teachers: Sequence[Teacher]) -> None:
        check_teachers(recipe, load_encoder(recipe.encoder), teachers)

    def train(self, recipe: Recipe, run: str, **more: Any) -> Outcome:
        opened = more.pop("teachers", None) or open_teachers(recipe)
        features, folder = self.root / "features", self.root / run
        return run_training(recipe, self.dataset, folder, features, teachers=opened, **more)


FROZEN = "encoder.trainable_blocks=0"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("distillation")
    made = Place(root, tiny_dataset(root / "pictures"))
    first = tiny_recipe(FROZEN)
    store_noise(made.dataset, first, root / "features")
    made.train(first, "a")
    store_noise(made.dataset, made.recipe(), root / "features")
    made.train(made.recipe("training.seed=1"), "b")
    return made


def test_a_run_says_who_taught_it(place: Place) -> None:
    reporter, recipe = Recorder(), place.student()
    opened = open_teachers(recipe)
    assert place.train(recipe, "told", teachers=opened, reporter=reporter).finished
    facts = json.loads((place.root / "told" / RUN).read_text(encoding="utf-8"))
    hashes = [teacher.record.sha256 for teacher in opened]
    assert [one["sha256"] for one in facts["teachers"]] == hashes
    signature = (
        "distillation|words|weight:0.5|temperature:1|"
        f"teachers:a@{hashes[0][:12]}+b@{hashes[1][:12]}"
    )
    assert facts["objective"] == signature
    assert [row["objective"] for row in dev_rows(place.root / "told")] == [signature] * 3
    assert provenance_of(load_run(place.root / "told"), CardNotes()).objective == signature
    (words,) = (text for text in reporter.messages if "vocabulary" in text)
    assert words.endswith("0.0% of the words of the training captions are not in it")
    # none of theirs is in a checkpoint; a student is as large as a run without teachers
    plain, _ = load_checkpoint(place.root / "a" / CHECKPOINT)
    assert load_checkpoint(place.root / "told" / CHECKPOINT)[0].keys() == plain.keys()
    assert not any(p.requires_grad for teacher in opened for p in teacher.captioner.parameters())
    assert not any(teacher.captioner.training for teacher in opened)
    names = [Path(name).name for name in recipe.training.objective.teacher_models]
    assert without_folders(recipe)["training"]["objective"]["teachers"] == names


def test_interrupted_equals_uninterrupted(place: Place) -> None:
    recipe, whole, first, rest = place.student(), Recorder(), Recorder(4, interrupt), Recorder()
    assert place.train(recipe, "whole", reporter=whole).finished
    assert not place.train(recipe, "stopped", reporter=first).finished
    assert place.train(recipe, "stopped", reporter=rest).finished
    assert first.losses + rest.losses == whole.losses
    for file in (CHECKPOINT, BEST):
        same_bits(place.root / "whole" / file, place.root / "stopped" / file)


def test_weight_0_trains_as_cross_entropy_does(place: Place) -> None:
    """Scheduled sampling and dropout too: teachers draw nothing."""
    plain = place.recipe("training.seed=2")
    place.train(plain, "plain")
    place.train(place.student(more=", weight: 0"), "none")
    same_bits(place.root / "plain" / BEST, place.root / "none" / BEST)
    place.train(place.student(more=", weight: 0.9"), "some")
    one, other = (load_checkpoint(place.root / run / BEST)[0] for run in ("plain", "some"))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_other_teachers_do_not_resume_it(place: Place) -> None:
    """Neither of another name, nor of the same name with other weights."""
    recipe = place.student(teachers="{0}/a, {0}/c")
    place.train(place.recipe("training.seed=5"), "c")
    place.train(recipe, "run", reporter=Recorder(2, interrupt))
    with pytest.raises(CheckpointError, match=r"another run .different recipe and teachers or"):
        place.train(place.student(), "run")
    tensors, facts = load_checkpoint(place.root / "c" / BEST)
    for tensor in tensors.values():
        tensor += 1e-3
    save_checkpoint(place.root / "c" / BEST, tensors, facts)
    with pytest.raises(CheckpointError, match=r"\(different teachers or weights of teachers\)"):
        place.train(recipe, "run")


def test_teachers_that_do_not_fit_are_refused_before_work(place: Place) -> None:
    few = place.recipe("text.min_count=20")
    place.train(few, "few")
    for recipe, message in (
        (place.student(teachers="{0}/a, {0}/few"), r"have different vocabularies: .*/a 1\d tokens"),
        (place.student("encoder.trainable_blocks=1"), "set encoder.trainable_blocks=0"),
        (place.student("text.stem=true"), "set text.stem=False, or name another teacher"),
        (place.student("text.tokenizer=char"), "set text.tokenizer=word"),
        (place.student("encoder.weights=random"), "encoder differ from encoder.weights=random"),
        (
            place.student("encoder.pool=1", "encoder.weights=random"),
            "it has 2 x 2 regions, the recipe 1 x 1",
        ),
        (
            place.student("encoder.size=96", "encoder.weights=random"),
            "encoder.size=64, the recipe 96",
        ),
    ):
        with pytest.raises(UsageError, match=message):
            place.train(recipe, "refused")
    assert not (place.root / "refused").exists()
    for name in ("{0}/pictures", "nothing"):
        with pytest.raises(UsageError, match=r"training.objective.teachers .*: no training run"):
            open_teachers(place.student(teachers=name))
    with pytest.raises(UsageError, match=r"but the training was given none. .*open_teachers"):
        place.check(place.student(), ())
    with pytest.raises(UsageError, match=r"has the teachers none, but the training was given "):
        place.check(place.recipe(), open_teachers(place.student()))


def test_the_encoder_is_compared_by_all_that_makes_features(place: Place) -> None:
    recipe = place.student()
    teacher, other = open_teachers(recipe)
    place.check(recipe, [teacher, other])

    def differs(message: str, **changes: Any) -> None:
        with pytest.raises(UsageError, match=message):
            place.check(recipe, [teacher, replace(other, **changes)])

    differs("clips.frames=8, the recipe 1. Set clips.frames=8", frames=8)
    name, tensor = next(item for item in teacher.blocks.items() if item[1].ndim == 4)
    # a bundle rounds matrices to half precision, which is no other encoder; anything more is
    rounded = {**teacher.blocks, name: tensor.half().float()}
    place.check(recipe, [teacher, replace(other, blocks=rounded)])
    differs("weights of its encoder differ", blocks={**teacher.blocks, name: 1.01 * tensor})
    differs("weights of its encoder differ", blocks={**teacher.blocks, "99.weight": tensor})


def test_words_of_the_teachers_are_those_of_the_student(place: Place) -> None:
    """Also where its own captions would have made others."""
    place.train(place.student("text.min_count=20"), "kept")
    texts = [(place.root / run / "tokenizer.json").read_text() for run in ("a", "kept")]
    assert texts[0] == texts[1]


# --- the page

PAGE = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Distillation\n")[2].partition("\n## ")[0]
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("negah ")
]


class Told(NamedTuple):
    """What the commands of the page did, in ``folder``."""

    folder: Path
    codes: list[int]
    text: str


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("page")
    make_shapes(folder / "my-photos")
    changes = tiny_arguments((*TINY, "training.epochs=1", "training.flips=false"))
    small = ("visual_size=16", "attention_size=8", "phrase_size=8")
    changes += [part for size in small for part in ("--set", f"model.{size}")]
    codes, text = [], StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(text), redirect_stderr(text):
        patch.chdir(folder)
        for command in COMMANDS:
            arguments = shlex.split(command)[1:]
            if arguments[0] == "train":
                # a random encoder is that of the first run for all, as pretrained weights would be
                own = changes if "runs/a" in arguments else [*changes, *WEIGHTS]
                arguments += [*own, "--device", "cpu"]
            codes.append(negah([*arguments, "--threads", "1"]))
    return Told(folder, codes, text.getvalue())


WEIGHTS = ("--set", "encoder.weights=runs/a")


def test_the_commands_of_the_page(page: Told) -> None:
    assert [command.split()[1] for command in COMMANDS] == [
        "train", "train", "train", "evaluate", "evaluate", "train",
    ]  # fmt: skip
    assert page.codes == [0] * len(COMMANDS), page.text
    assert "the vocabulary is that of the teachers" in page.text
    facts = json.loads((page.folder / "runs" / "student" / RUN).read_text(encoding="utf-8"))
    signature, _, named = facts["objective"].partition("|teachers:")
    assert signature in SECTION
    assert re.fullmatch(r"a@[0-9a-f]{12}\+b@[0-9a-f]{12}", named)


def test_the_card_says_what_teachers_learned_from(page: Told) -> None:
    config = read_bundle(page.folder / "runs" / "student" / "bundle").config
    taught, own = config.provenance.training_data
    assert taught.note.startswith("Training data of the teachers a, b.")
    assert (taught.name, taught.images) == (own.name, own.images) == ("my-photos, part train", 12)
    assert config.provenance.objective in (
        page.folder / "runs" / "student" / "bundle" / "README.md"
    ).read_text(encoding="utf-8")
    assert config.recipe["training"]["objective"]["teachers"] == ["a", "b"]


def test_captions_of_the_ensemble_are_data_of_training_photos_only(page: Told) -> None:
    """One for each of the 12 photos of the part train, beside two of people's; no dev photo."""
    written = json.loads((page.folder / "my-photos" / "taught.json").read_text(encoding="utf-8"))
    people = (page.folder / "my-photos" / "captions.csv").read_text(encoding="utf-8").splitlines()
    train = {row.split(",")[0] for row in people if row.endswith(",train")}
    assert {row["image_id"] for row in written} == train
    facts = json.loads((page.folder / "runs" / "sequences" / RUN).read_text(encoding="utf-8"))
    first, second = facts["data"]["sources"]
    assert first["photos"] == {"train": 12, "dev": 4, "test": 4}
    assert (second["photos"], second["captions"]) == ({"train": 12}, {"train": 12})
    assert "warning: 4 dev photos are in more than one" not in page.text


def test_captions_of_dev_photos_by_a_model_are_warned_of(
    page: Told, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(page.folder)
    models = ("--model", "runs/a/bundle", "--fuse", "runs/b/bundle", "--threads", "1")
    assert negah(["caption", "my-photos/images", *models, "--output", "all.csv"]) == 0
    changes = tiny_arguments((*TINY, "encoder.trainable_blocks=1", OF_A))
    data = ("--data", "my-photos", "--data", "all.csv", "--dev-fraction", "0.3")
    # refused after the warnings, which are what matters here
    assert negah(["train", "cam-rnn", *data, "--output", "runs/all", *changes]) == 2
    said = capsys.readouterr().err
    assert "warning: 4 dev photos are in more than one data set" in said
    # held-out photos are those of the teacher too, as of an initial model
    assert "warning: runs/a was trained with --dev-fraction 0.1 --test-fraction 0, and here" in said
    assert "set encoder.trainable_blocks=0" in said


OF_A = "training.objective={kind: distillation, teachers: [runs/a]}"

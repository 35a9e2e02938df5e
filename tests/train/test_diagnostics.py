"""The tools of ``negah diagnose`` against closed forms and networks built to be ill."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

pytest.importorskip("torch", reason="diagnostics need the train extra")

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.diagnostics import (
    AttentionSums,
    AttentionWatch,
    CaptionSample,
    Diagnosis,
    Flow,
    Layer,
    Thresholds,
    VerdictMeasurements,
    at_distance,
    exact_jacobians,
    examine,
    finite,
    judge,
    layer_of,
    layers,
    per_step,
    said,
    snapshot,
    stack,
    still_rows,
    touched_rows,
    update_ratios,
    walk,
)
from negah.models import StepOutput, Tensors, flatten_words
from negah.models.caption_model import CaptionModel
from negah.models.cells import Cell, CellState, make_cell
from negah.models.embedding import WordEmbedding
from tiny_bundle import tiny_captioner, tiny_options

VOCABULARY, CHANNELS, HIDDEN = 11, 5, 6


class LinearCell(Cell):
    """h' = W x + U h: every Jacobian is a power of U."""

    gates = 1

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        return {"h": projected + self.recurrent(state["h"])}


class CellCaptioner(CaptionModel):
    """The least that a captioner can be: one cell between two tables."""

    cell: Cell

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.vocabulary_size, self.channels = VOCABULARY, CHANNELS
        self.embedding = WordEmbedding(VOCABULARY, HIDDEN)
        self.cell = cell
        self.output = nn.Linear(HIDDEN, VOCABULARY)

    def start(
        self, features_BFRC: Tensor, real_BF: Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        zeros = features_BFRC.new_zeros(features_BFRC.shape[0], 1, HIDDEN)
        return {}, dict.fromkeys(self.cell.state_names, zeros + 0.1)

    def step(self, memory: Tensors, state: Tensors, tokens_BK: Tensor) -> StepOutput:
        after = self.cell(self.cell.project(self.embedding(tokens_BK)), state)
        return StepOutput(self.output(after["h"]), after, {})

    def forward(
        self,
        features_BFRC: Tensor,
        inputs_BKT: Tensor,
        counts_BKT: Tensor,
        real_BF: Tensor | None = None,
    ) -> Tensor:
        raise NotImplementedError("only walked over")


def cell_captioner(name: str, *, scale: float = 1.0) -> CellCaptioner:
    torch.manual_seed(0)
    cell = LinearCell(HIDDEN, HIDDEN) if name == "linear" else make_cell(name, HIDDEN, HIDDEN)
    captioner = CellCaptioner(cell).double()
    for block in cell.recurrent.weight.data.chunk(cell.gates):
        nn.init.orthogonal_(block)
        block.mul_(scale)
    return captioner.eval()


def sample(lengths: tuple[tuple[int, ...], ...] = ((8, 8), (8, 8)), seed: int = 0) -> CaptionSample:
    """Captions of given lengths, each row those of one photo."""
    random = torch.Generator().manual_seed(seed)
    shape = (len(lengths), len(lengths[0]), max(map(max, lengths)))
    words_BKT = torch.randint(4, VOCABULARY, shape, generator=random)
    running = torch.arange(shape[2]) < torch.tensor(lengths)[..., None]
    inputs = torch.where(running, words_BKT, 0)
    inputs[..., 0] = 1
    targets = torch.where(running, words_BKT.roll(1, 0), 0)
    features = torch.randn(shape[0], 1, 4, CHANNELS, generator=random, dtype=torch.float64)
    return CaptionSample(features, inputs, targets)


def flow_of(captioner: CaptionModel, given: CaptionSample, probes: int = 4) -> Flow:
    flow = Flow()
    flow.add(walk(captioner, given), torch.Generator().manual_seed(0), probes=probes)
    return flow


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_the_jacobian_of_a_scaled_orthogonal_network_is_its_power(scale: float) -> None:
    """Lengths differ: every caption is measured from its own end."""
    flow = flow_of(cell_captioner("linear", scale=scale), sample(((12, 5), (12, 9))), probes=1)
    expected = [scale**distance for distance in range(13)]
    assert flow.jacobian.means() == pytest.approx(expected, rel=1e-9)
    assert flow.jacobian_hidden.means() == pytest.approx(expected, rel=1e-9)
    assert per_step(flow.jacobian.means()) == pytest.approx(scale)
    # the last word's loss goes through the same matrices
    last = flow.last_word.means()
    assert len(last) == 12
    if scale == 1.5:
        assert last[11] > 20 * last[0]


def test_photos_with_fewer_captions_than_others_are_padded_with_nothing() -> None:
    full, captioner = sample(((6, 6), (6, 6))), cell_captioner("gru")
    counts = torch.tensor([[True, True], [True, False]])[..., None]
    uneven = CaptionSample(
        full.features_BFRC, full.inputs_BKT.where(counts, 0), full.targets_BKT.where(counts, 0)
    )
    flow = flow_of(captioner, uneven)
    assert flow.last_word.counts == [3] * 6
    assert flow.jacobian.counts == [3] * 7
    assert all(math.isfinite(mean) and mean > 0 for mean in flow.last_word.means())


@pytest.mark.parametrize(
    ("scale", "state"), [(0.5, "vanishing"), (1.0, "healthy"), (1.5, "exploding")]
)
def test_networks_built_to_vanish_and_to_explode_are_told(scale: float, state: str) -> None:
    found = examine(cell_captioner("linear", scale=scale), [sample(((12, 12),))])
    verdict = found.verdict()
    assert verdict.state == state
    through = [finding.where for finding in verdict.findings if "time" in finding.where]
    # 0.5^7 = 0.008 and 1.5^6 = 11.4 are the first beyond 0.01 and 10
    first = {"vanishing": ["7"], "exploding": ["6"], "healthy": []}[state]
    assert through == [f"through time, from {words} words on" for words in first]


def test_saturated_units_and_shrinking_weights_vanish_in_a_plain_network() -> None:
    captioner = cell_captioner("rnn", scale=1.0)
    captioner.cell.input.bias.data.fill_(4.0)
    found = examine(captioner, [sample(((12, 12),))])
    assert found.saturation["units"]["open"] > 0.9
    assert {finding.kind for finding in found.verdict().findings} == {
        "untrained",
        "vanishing",
        "saturated",
    }


def test_an_open_forget_gate_keeps_the_memory_of_an_lstm() -> None:
    """Without recurrence dc'/dc is the forget gate: 1. A shut output gate hides it from h."""
    captioner = cell_captioner("lstm", scale=0.0)
    bias = captioner.cell.input.bias.data
    bias[HIDDEN : 2 * HIDDEN] = 100.0
    bias[2 * HIDDEN : 3 * HIDDEN] = -100.0
    given = sample()
    done = walk(captioner, given)
    memory = exact_jacobians(done, ["c"])
    assert torch.allclose(memory[1:], torch.eye(HIDDEN, dtype=torch.float64).expand_as(memory[1:]))
    # half of the state is kept wholly, half of it not at all
    flow = flow_of(captioner, given, probes=40)
    assert flow.jacobian.means()[1:] == pytest.approx([0.5**0.5] * 8, rel=0.1)
    assert flow.jacobian_hidden.means()[1:] == [0.0] * 8
    gates = examine(captioner, [given]).saturation
    assert gates["forget"]["open"] == 1.0
    assert gates["output"]["shut"] == 1.0
    assert gates["write"]["saturated"] < 0.5


@pytest.mark.parametrize("name", ["gru", "gru-no-reset"])
def test_an_update_gate_that_keeps_all_gives_the_identity(name: str) -> None:
    captioner = cell_captioner(name)
    cell = captioner.cell
    at = slice(HIDDEN, 2 * HIDDEN) if name == "gru" else slice(0, HIDDEN)
    cell.input.bias.data[at] = 100.0
    flow = flow_of(captioner, sample())
    assert flow.jacobian.means() == pytest.approx([1.0] * 9)
    gates = examine(captioner, [sample()]).saturation
    assert gates["update"]["open"] == 1.0
    assert set(gates) == ({"reset", "update"} if name == "gru" else {"update"})


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-no-reset", "rnn"])
def test_probes_agree_with_jacobians_that_are_built(name: str) -> None:
    given = sample()
    done = walk(cell_captioner(name), given)
    flow = Flow()
    flow.add(done, torch.Generator().manual_seed(1), probes=40)
    built = exact_jacobians(done)
    exact = built.flatten(-2).norm(dim=-1).mean((1, 2)) / built.shape[-1] ** 0.5
    assert flow.jacobian.means() == pytest.approx(exact.flip(0).tolist(), rel=0.1)
    # and with automatic differentiation of the cell by itself: one step
    cell = done.states
    before = torch.cat([tensor[0, 0] for tensor in cell[-2].values()]).detach()
    captioner = cell_captioner(name)
    word = captioner.embedding(given.inputs_BKT[0, 0, -1])

    def advance(state: Tensor) -> Tensor:
        parts = state.chunk(len(captioner.cell.state_names))
        named = dict(zip(captioner.cell.state_names, parts, strict=True))
        after = captioner.cell(captioner.cell.project(word), named)
        return torch.cat([after[n] for n in captioner.cell.state_names])

    derive = torch.autograd.functional.jacobian
    one = derive(advance, before)  # type: ignore[no-untyped-call]
    assert torch.allclose(one, built[-2, 0, 0])


def _models() -> dict[str, Callable[[], CaptionModel]]:
    def make(kind: str, **options: object) -> Callable[[], CaptionModel]:
        model = tiny_options(kind, **options)
        return lambda: tiny_captioner(model, channels=CHANNELS, vocabulary_size=VOCABULARY).double()

    return {
        "show-tell lstm": make("show-tell", layers=2),
        "show-tell gru": make("show-tell", cell="gru"),
        "show-tell gru-no-reset": make("show-tell", cell="gru-no-reset"),
        "show-tell rnn": make("show-tell", cell="rnn"),
        "cam-rnn": make("cam-rnn"),
        "cam-rnn none": make("cam-rnn", visual="mean", text_attention=False, gate=False),
    }


@pytest.mark.parametrize("name", _models())
def test_a_walk_scores_words_as_training_does(name: str) -> None:
    captioner, given = _models()[name](), sample(((8, 3), (5, 1)))
    logits = captioner(given.features_BFRC, given.inputs_BKT, given.counts)
    losses = F.cross_entropy(
        logits, flatten_words(given.targets_BKT, given.counts), reduction="none"
    )
    walked = walk(captioner, given).losses_BKT
    assert torch.allclose(flatten_words(walked, given.counts), losses)
    # parameters' gradients are those of training
    found = examine(captioner, [given])
    losses.mean().backward()  # type: ignore[no-untyped-call]
    gradients = {n: p.grad for n, p in captioner.named_parameters()}
    expected = layers(captioner.named_parameters(), gradients)
    for layer, value in expected.items():
        assert found.layers[layer].gradient == pytest.approx(value.gradient, rel=1e-6, abs=1e-12)
    assert found.loss == pytest.approx(float(losses.detach().mean()))


def test_gates_of_torchs_network_are_those_that_it_computes() -> None:
    """Gates recomputed from the weights give torch's own next state."""
    captioner = tiny_captioner(
        tiny_options("show-tell", layers=2), channels=CHANNELS, vocabulary_size=VOCABULARY
    ).double()
    open_wide = dict(captioner.named_parameters())
    for layer in (0, 1):
        bias = open_wide[f"network.bias_ih_l{layer}"]
        with torch.no_grad():
            bias[32:64] += 200.0  # forget
            bias[96:] -= 200.0  # output
    found = examine(captioner, [sample()])
    assert found.saturation["forget"] == pytest.approx(
        {"shut": 0, "open": 1, "saturated": 1, "mean": 1}
    )
    assert found.saturation["output"]["shut"] == 1


def test_weights_stay_as_they_are() -> None:
    captioner = _models()["cam-rnn"]()
    before = {name: tensor.clone() for name, tensor in captioner.state_dict().items()}
    examine(captioner, [sample()])
    assert all(torch.equal(before[name], t) for name, t in captioner.state_dict().items())
    assert all(parameter.grad is None for parameter in captioner.parameters())


def test_a_deep_stack_starves_its_lowest_layers() -> None:
    torch.manual_seed(0)
    deep = _models_deep(16)
    verdict = examine(deep, [sample(((8, 8),))]).verdict()
    assert verdict.state == "vanishing"
    assert any("layer" in f.where and "of 16" in f.where for f in verdict.findings)
    assert any("fewer layers" in change for f in verdict.findings for change in f.change)


def _models_deep(count: int) -> CaptionModel:
    from negah.models import build_captioner

    return build_captioner(
        tiny_options("show-tell", layers=count), channels=CHANNELS, vocabulary_size=VOCABULARY
    ).double()


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("network.weight_ih_l0", "network layer 1"),
        ("network.bias_hh_l39", "network layer 40"),
        ("network.cells.2.recurrent.weight", "network layer 3"),
        ("embedding.weight", "embedding"),
        ("text.compose.0.weight", "text"),
        ("encoder.1.conv.weight", "encoder layer 2"),
    ],
)
def test_parameters_know_their_layer(name: str, layer: str) -> None:
    assert layer_of(name) == layer


def test_stacks_are_recurrent() -> None:
    one = Layer(1.0, 1.0, 1)
    assert stack({"network layer 1": one, "cell": one}) == {}
    assert list(stack({"network layer 1": one, "network layer 2": one})) == [1, 2]
    assert stack({"encoder layer 1": one, "encoder layer 2": one}) == {}


def test_update_ratios_are_what_a_step_changed() -> None:
    a, b = nn.Linear(3, 2, bias=False), nn.Linear(2, 2, bias=False)
    model = nn.ModuleDict({"a": a, "b": b})
    before = snapshot(model)
    with torch.no_grad():
        a.weight.mul_(1.25)
    assert update_ratios(before, model) == pytest.approx({"a": 0.25, "b": 0.0})


def test_rows_that_never_learned_are_found() -> None:
    before = torch.randn(5, 8)
    after = before * 0.9  # weight decay turns nothing
    after[1] += 0.1 * torch.randn(8)
    before[4] = after[4] = 0.0
    assert still_rows(before, after).tolist() == [True, False, True, True, True]
    gradient = torch.zeros(3, 2)
    gradient[1, 0] = 1e-30
    assert touched_rows(gradient).tolist() == [False, True, False]


def test_attention_is_flat_stuck_or_alive() -> None:
    flat, stuck, alive = AttentionSums(), AttentionSums(), AttentionSums()
    flat.add(torch.full((10, 4), 0.25))
    stuck.add(torch.tensor([[0.9, 0.1, 0, 0]]).expand(10, 4))
    alive.add(torch.eye(4))
    assert flat.to_dict() == pytest.approx({"entropy": 1, "information": 0, "things": 4})
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(4)
    assert stuck.to_dict() == pytest.approx(
        {"entropy": entropy, "information": 0, "things": 4}, abs=1e-6
    )
    assert alive.to_dict() == pytest.approx({"entropy": 0, "information": 1, "things": 4})
    found = {"a": flat.to_dict(), "b": stuck.to_dict(), "c": alive.to_dict()}
    verdict = judge(VerdictMeasurements(jacobian=[1, 1], layers={}, attention=found))
    assert [(f.kind, f.where) for f in verdict.findings] == [
        ("flat attention", "a"),
        ("stuck attention", "b"),
    ]
    assert verdict.state == "healthy"


def test_padded_frames_and_phrases_that_do_not_exist_are_left_out() -> None:
    watch = AttentionWatch()
    real = torch.tensor([[True, True, True], [True, True, False]])
    weights = torch.tensor([[[1 / 3] * 3], [[0.5, 0.5, 0.0]]])
    phrases = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])
    evidence = {"frames": weights, "phrases": phrases, "gate": torch.tensor([[0.2], [0.99]])}
    counts = torch.ones(2, 1, dtype=torch.bool)
    watch.add(evidence, counts, real, step=0)
    assert set(watch.kinds) == {"frames"}
    assert watch.kinds["frames"].to_dict()["entropy"] == pytest.approx(1.0)
    watch.add(evidence, counts, real, step=1)
    assert watch.kinds["phrases"].to_dict()["entropy"] == pytest.approx(0.0)
    assert watch.gate() == pytest.approx({"mean": 0.595, "deviation": 0.395, "saturated": 0.5})


def test_the_same_caption_for_every_photo_is_told() -> None:
    found = said(["a dog runs"] * 19 + ["a cat"])
    assert found == {
        "photos": 20,
        "distinct": 0.1,
        "most_frequent": "a dog runs",
        "most_frequent_share": 0.95,
    }
    (finding,) = judge(VerdictMeasurements(jacobian=[1, 1], layers={}, captions=found)).findings
    assert finding.kind == "same caption"
    assert "'a dog runs'" in finding.text
    few = judge(VerdictMeasurements(jacobian=[1, 1], layers={}, captions=said(["a dog"] * 5)))
    assert not few.findings


def test_what_is_no_number_has_exploded_and_becomes_null() -> None:
    verdict = judge(
        VerdictMeasurements(jacobian=[1.0, math.inf], layers={"cell": Layer(math.nan, 1.0, 3)})
    )
    assert verdict.state == "exploding"
    assert finite({"a": (1.0, math.nan), "b": "x"}) == {"a": [1.0, None], "b": "x"}


def test_dead_embeddings_and_other_limits() -> None:
    (finding,) = judge(VerdictMeasurements(jacobian=[1, 1], layers={}, dead=0.2)).findings
    assert finding.kind == "dead embeddings"
    kept = judge(VerdictMeasurements([1, 1], {}, dead=0.2), Thresholds(dead=0.3))
    assert not kept.findings


def test_profiles_go_on_as_they_fell() -> None:
    assert at_distance([1.0, 0.5, 0.25], 10) == pytest.approx(0.5**10)
    assert at_distance([1.0, 0.5, 0.25], 1) == 0.5
    assert at_distance([1.0], 4) is None


def test_a_diagnosis_is_json_ready() -> None:
    import json

    found = examine(_models()["cam-rnn"](), [sample()])
    assert isinstance(found, Diagnosis)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["attention"].keys() == {"regions", "phrases"}
    assert values["gate"].keys() == {"mean", "deviation", "saturated"}
    assert values["saturation"].keys() == {"write", "forget", "output"}
    assert values["verdict"]["state"] in ("healthy", "vanishing", "exploding")
    with pytest.raises(ValueError, match="one sample"):
        examine(_models()["cam-rnn"](), [])


@pytest.mark.parametrize(
    ("loss", "vocabulary", "kinds"),
    [(5.25, 194, ["untrained"]), (4.33, 194, []), (5.25, 2_540, []), (5.25, 0, [])],
)
def test_a_model_that_guesses_is_untrained(loss: float, vocabulary: int, kinds: list[str]) -> None:
    """Guessing among 194 words costs ln 194 = 5.27 nats."""
    verdict = judge(VerdictMeasurements([1, 1], {}, loss=loss, vocabulary=vocabulary))
    assert [finding.kind for finding in verdict.findings] == kinds
    assert verdict.state == "healthy"

"""Fused steps of training have the values and gradients of the plain formulas.

Axes: B photos, K captions, R regions, A attention size, M visual size, T words.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="models need the train extra")

import torch
from torch import Tensor, nn

from negah.models import build_captioner, cam_rnn, captioner_options
from negah.models.attention import RegionLooks, with_idle
from negah.models.cells import StepLinear, gathered
from negah.models.compiled import CompiledLoop, wants_compiler
from negah.training.objectives import Lesson
from negah.training.objectives.cross_entropy import forced_logprobs


def numbers(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("photos", [1, 2, 5, 800])
def test_looks_are_the_plain_formula(photos: int) -> None:
    """Three words, the last of fewer captions; a loss of what is seen and of the weights."""
    keys_BRA, values_BRM, score_A = numbers(5, 4, 3), numbers(5, 4, 6, seed=1), numbers(3, seed=2)
    queries = [numbers(5, captions, 3, seed=3 + captions) for captions in (3, 2, 1)]
    leaves = [keys_BRA, values_BRM, score_A, *queries]
    looks = RegionLooks(keys_BRA, values_BRM, score_A)
    looks.photos = photos
    results = []
    for look in (looks, None):
        loss: Any = 0.0
        for number, query_BKA in enumerate(queries):
            if look is not None:
                seen_BKM, weights_BKR = look(query_BKA)
            else:
                inner_BKRA = keys_BRA[:, None] + query_BKA.unsqueeze(2)
                weights_BKR = (torch.tanh(inner_BKRA) @ score_A).softmax(-1)
                seen_BKM = weights_BKR @ values_BRM
            loss = loss + (seen_BKM * numbers(*seen_BKM.shape, seed=number)).sum()
            if number:  # the first word's weights are not used
                loss = loss + (weights_BKR**2).sum()
        results.append((loss, torch.autograd.grad(loss, leaves)))
    (ours, our_gradients), (plain, plain_gradients) = results
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(our_gradients, plain_gradients, rtol=1e-10, atol=1e-12)


def test_gathered_weights_have_the_same_gradient() -> None:
    torch.manual_seed(0)
    layer = StepLinear(3, 4).double()
    steps = [numbers(2, captions, 3, seed=captions) for captions in (3, 3, 1)]
    results = []
    for layers in ((), (layer, None, nn.Identity())):
        with gathered(*layers):
            state = 0.0
            for step in steps:
                state = layer(step + torch.as_tensor(state).mean()).tanh()
        results.append(torch.autograd.grad(state.sum(), [layer.weight, *steps]))
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-12)
    # afterwards it is a plain layer again
    (own,) = torch.autograd.grad(layer(steps[0]).sum(), layer.weight)
    (plain,) = torch.autograd.grad((steps[0] @ layer.weight.T).sum(), layer.weight)
    torch.testing.assert_close(own, plain, rtol=1e-12, atol=1e-12)


def test_there_are_no_second_derivatives() -> None:
    keys_BRA, values_BRM = numbers(2, 4, 3), numbers(2, 4, 6)
    query_BKA = numbers(2, 1, 3)
    seen_BKM, _ = RegionLooks(keys_BRA, values_BRM, numbers(3))(query_BKA)
    (first,) = torch.autograd.grad(seen_BKM.sum(), query_BKA, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        first.sum().backward()


def test_what_has_no_effect_has_a_gradient_of_zero() -> None:
    used, idle = numbers(3), nn.Linear(2, 2)
    with_idle(used, idle).sum().backward()
    assert used.grad is not None
    assert (used.grad == 1).all()
    assert all((parameter.grad == 0).all() for parameter in idle.parameters())


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_captioner_has_the_gradients_of_the_plain_loop(
    monkeypatch: pytest.MonkeyPatch, cell: str, frames: int
) -> None:
    """With dropout, padding, and photos with fewer captions; clips walk frame after frame."""
    sizes = ("embedding", "hidden", "visual", "attention", "phrase")
    small = {f"{name}_size": 4 + number for number, name in enumerate(sizes)}
    options = captioner_options({"kind": "cam-rnn", "cell": cell, "dropout": 0.3, **small})
    torch.manual_seed(0)
    captioner = build_captioner(options, channels=5, vocabulary_size=9).double().train()
    inputs_BKT = torch.randint(4, 9, (3, 2, 5))
    counts_BKT = torch.ones(3, 2, 5, dtype=torch.bool)
    counts_BKT[:, 1, 3:] = counts_BKT[2, 1] = counts_BKT[0, :, 4] = False
    inputs_BKT[~counts_BKT] = 0
    features_BFRC = numbers(3, frames, 4, 5)
    results = []
    for fuses in (True, False):
        if not fuses:
            monkeypatch.setattr(cam_rnn, "can_fuse", lambda tensor: False)
        torch.manual_seed(1)
        logits_NV = captioner(features_BFRC, inputs_BKT, counts_BKT)
        loss = logits_NV.log_softmax(-1)[:, ::2].square().mean()
        leaves = {"features": features_BFRC, **dict(captioner.named_parameters())}
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        results.append((logits_NV, dict(zip(leaves, gradients, strict=True))))
    (ours, our_gradients), (plain, plain_gradients) = results
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    for name, gradient in plain_gradients.items():
        assert (gradient is None) == (our_gradients[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(our_gradients[name], gradient, rtol=1e-6, atol=1e-12)


def test_products_in_bfloat16_round_nothing_else() -> None:
    """Of a word's product weights and inputs are rounded, and so are gradients before theirs."""
    torch.manual_seed(0)
    layer = StepLinear(64, 48)
    inputs, others = torch.randn(2, 3, 5, 64), torch.randn(2, 3, 5, 48)
    inputs.requires_grad_()
    with gathered(layer, products=torch.bfloat16):
        outputs = torch.stack([layer(word) for word in inputs.unbind(2)], 2)
    (outputs * others).sum().backward()

    def rounded(tensor: Tensor) -> Tensor:
        return tensor.detach().bfloat16().double()

    assert outputs.dtype == torch.float32
    exact = rounded(inputs) @ rounded(layer.weight).t()
    close = {"rtol": 2**-8, "atol": 2**-7, "check_dtype": False}  # of the sums, rounded at the end
    torch.testing.assert_close(outputs, exact, **close)
    assert inputs.grad is not None
    assert layer.weight.grad is not None
    torch.testing.assert_close(inputs.grad, rounded(others) @ rounded(layer.weight), **close)
    weight = rounded(others).flatten(0, 2).t() @ rounded(inputs).flatten(0, 2)
    torch.testing.assert_close(layer.weight.grad, weight, **close)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_captioner_in_bfloat16_has_equal_gradients_to_its_rounding(
    cell: str, frames: int
) -> None:
    """Beside float32: the loss, and the gradient of every parameter by its length."""
    options = captioner_options(
        {"kind": "cam-rnn", "cell": cell, "dropout": 0.0, "embedding_size": 32, "hidden_size": 48}
    )
    torch.manual_seed(0)
    captioner = build_captioner(options, channels=24, vocabulary_size=50).train()
    inputs_BKT = torch.randint(4, 50, (6, 3, 7))
    features_BFRC = torch.randn(6, frames, 9, 24)
    lesson = Lesson(features_BFRC, None, inputs_BKT, inputs_BKT.flip(2), torch.arange(6))
    results = []
    for enabled in (False, True):
        captioner.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logprobs_NV, targets_N = forced_logprobs(captioner, lesson, 0.0)
        assert logprobs_NV.dtype == torch.float32
        loss = -logprobs_NV.gather(1, targets_N[:, None]).mean()
        loss.backward()
        found = {name: one.grad for name, one in captioner.named_parameters()}
        # the weight of the frame before has no gradient where there is none
        learned = {name: grad.clone() for name, grad in found.items() if grad is not None}
        results.append((loss.detach(), learned))
    (exact, gradients), (loss, others) = results
    assert abs(float(loss - exact)) < 2**-8
    assert others.keys() == gradients.keys()
    whole = torch.cat([gradient.flatten() for gradient in gradients.values()])
    apart = torch.cat([(others[name] - gradients[name]).flatten() for name in gradients])
    assert apart.norm() < 3 * 2**-8 * whole.norm()  # bfloat16 has 8 bits
    for name, gradient in gradients.items():
        # or next to nothing beside all gradients
        most = max(2**-4 * gradient.norm(), 2**-12 * whole.norm())
        assert (others[name] - gradient).norm() < most, name


def tiny_captioner() -> tuple[Any, tuple[Tensor, Tensor, Tensor]]:
    """A captioner without dropout and a batch in which two captions end early."""
    sizes = ("embedding", "hidden", "visual", "attention", "phrase")
    small = {f"{name}_size": 4 + number for number, name in enumerate(sizes)}
    torch.manual_seed(0)
    options = captioner_options({"kind": "cam-rnn", "dropout": 0.0, **small})
    captioner = build_captioner(options, channels=5, vocabulary_size=9).train()
    inputs_BKT = torch.randint(4, 9, (3, 2, 4))
    counts_BKT = torch.ones(3, 2, 4, dtype=torch.bool)
    counts_BKT[:, 1, 2:] = False
    inputs_BKT[~counts_BKT] = 0
    return captioner, (torch.randn(3, 1, 4, 5), inputs_BKT, counts_BKT)


def gradients_of(captioner: Any, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    loss = captioner(*batch).log_softmax(-1)[:, 5].mean()
    return torch.autograd.grad(loss, list(captioner.parameters()), allow_unused=True)


def same(ours: tuple[Tensor, ...], plain: tuple[Tensor, ...]) -> None:
    for one, other in zip(ours, plain, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


def test_the_loop_of_all_words_is_the_loop_of_those_that_count() -> None:
    captioner, batch = tiny_captioner()
    plain = gradients_of(captioner, batch)
    assert captioner.compile_loop(lambda loop: loop)
    same(gradients_of(captioner, batch), plain)


@pytest.mark.heavy
@pytest.mark.parametrize("has_compiler", [True, False])
def test_compiled_or_not_the_numbers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, has_compiler: bool
) -> None:
    import torch._inductor.config as inductor

    torch.compiler.reset()  # what the other case has compiled would be taken
    told: list[str] = []
    captioner, batch = tiny_captioner()
    plain = gradients_of(captioner, batch)
    if not has_compiler:
        monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
        monkeypatch.setattr(inductor, "force_disable_caches", True)
    cpu = torch.device("cpu")
    loops: list[CompiledLoop] = []

    def compiled(loop: Any) -> CompiledLoop:
        loops.append(CompiledLoop(loop, cpu, told.append))
        return loops[-1]

    captioner.compile_loop(compiled)
    same(gradients_of(captioner, batch), plain)
    assert loops[0].is_compiled is has_compiler
    assert len(told) == (0 if has_compiler else 1)
    assert all("is not compiled" in text for text in told)
    same(gradients_of(captioner, batch), plain)


def test_what_is_compiled_where() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [wants_compiler(when, cpu) for when in ("off", "auto", "on")] == [False, False, True]
    assert [wants_compiler(when, gpu) for when in ("off", "auto", "on")] == [False, True, True]

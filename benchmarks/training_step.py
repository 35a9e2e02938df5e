"""What a training step of CAM-RNN costs, beside a plain LSTM of the same size in the same run.

    python benchmarks/training_step.py [--threads 2] [--rounds 5] [--against OTHER/src]

Counted are seconds of the processor (user and system), since other work on the machine moves them
less than the clock; the clock is told beside them. 49 regions of 1,280 numbers, 2,540 words, all
sizes 512, captions of 12 words: 64 photos with one caption each, and 16 with five. Kinds take turns
within a round; with ``--against`` the package of another checkout takes turns with this one.

Axes: B photos, R regions, C channels, K captions of each, T words, V vocabulary.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REGIONS, CHANNELS, VOCABULARY, SIZE, WORDS = 49, 1280, 2540, 512, 12
BATCHES = ((64, 1), (16, 5))
KINDS = ("all", "regions", "lstm")
SOURCES = Path(__file__).resolve().parent.parent / "src"


def main() -> None:
    options = parse_arguments()
    if options.measure:
        measure(options)
        return
    sources = {"here": SOURCES} | ({"there": options.against} if options.against else {})
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(options.rounds):
        for name, source in sources.items():
            for row in json.loads(run(source, options)):
                found.setdefault((name, row["what"]), []).append(row)
    print(f"{options.threads} threads, medians of {options.rounds} rounds")
    print(f"{'':32}{'captions per s of CPU':>24}{'captions per s':>18}")
    for (name, what), rows in sorted(found.items(), key=lambda pair: (pair[0][1], pair[0][0])):
        cpu, wall = (statistics.median(row[key] for row in rows) for key in ("cpu", "wall"))
        print(f"{what + ', ' + name:32}{cpu:24.1f}{wall:18.1f}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--rounds", type=int, default=5, help="each of a process for a checkout")
    parser.add_argument("--steps", type=int, default=4, help="measured steps in a round")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--precision", default="32-true", choices=("32-true", "bf16-mixed"))
    parser.add_argument("--against", type=Path, help="the folder src of another checkout")
    parser.add_argument("--measure", action="store_true", help="this is a round; prints JSON")
    return parser.parse_args()


def run(source: Path, options: argparse.Namespace) -> str:
    command = [
        sys.executable, __file__, "--measure", "--threads", str(options.threads),
        "--steps", str(options.steps), "--precision", options.precision,
        "--kinds", *options.kinds,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout


def measure(options: argparse.Namespace) -> None:
    """One round: every kind and batch, a few steps each."""
    from negah.cli.compute import keep_freed_memory, wait_passively

    wait_passively()
    keep_freed_memory()
    import torch

    torch.set_num_threads(options.threads)
    rows = []
    for kind in options.kinds:
        for photos, captions in BATCHES:
            step = make_step(kind, photos, captions, bfloat16=options.precision != "32-true")
            step()
            cpu, wall = [], []
            for _ in range(options.steps):
                at_cpu, at_wall = time.process_time(), time.perf_counter()
                step()
                cpu.append(time.process_time() - at_cpu)
                wall.append(time.perf_counter() - at_wall)
            number = photos * captions
            rows.append(
                {
                    "what": f"{kind} {photos} x {captions}",
                    "cpu": number / statistics.median(cpu),
                    "wall": number / statistics.median(wall),
                }
            )
    print(json.dumps(rows))


def make_step(kind: str, photos: int, captions: int, *, bfloat16: bool) -> Callable[[], None]:
    """Forward, backward, clipping and AdamW of one batch of made numbers."""
    import torch
    from torch import nn

    from negah.models import build_captioner, captioner_options
    from negah.text import CharTokenizer
    from negah.training.objectives import Lesson, Setting
    from negah.training.objectives.cross_entropy import CrossEntropy, CrossEntropyOptions

    torch.manual_seed(0)
    features_BFRC = torch.randn(photos, 1, REGIONS, CHANNELS).relu()
    targets_BKT = torch.randint(4, VOCABULARY, (photos, captions, WORDS))
    starts_BK1 = torch.ones_like(targets_BKT[..., :1])
    inputs_BKT = torch.cat([starts_BK1, targets_BKT[..., :-1]], dim=2)
    lesson = Lesson(features_BFRC, None, inputs_BKT, targets_BKT, torch.arange(photos))
    if kind == "lstm":
        values = {"kind": "show-tell", "embedding_size": SIZE, "hidden_size": SIZE}
    else:
        sizes = ("embedding", "hidden", "visual", "attention", "phrase")
        parts = {} if kind == "all" else {"text_attention": False, "gate": False}
        values = {"kind": "cam-rnn", "tie_embeddings": True, **parts}
        values |= {f"{name}_size": SIZE for name in sizes}
    captioner = build_captioner(
        captioner_options({**values, "dropout": 0.5}), channels=CHANNELS, vocabulary_size=VOCABULARY
    ).train()
    setting = Setting((), CharTokenizer.build(["a"], min_count=1), label_smoothing=0.1)
    objective = CrossEntropy(CrossEntropyOptions(), setting)
    optimizer = torch.optim.AdamW(captioner.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = objective(captioner, lesson)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([loss.value])
        nn.utils.clip_grad_norm_(captioner.parameters(), 5.0)
        optimizer.step()

    return step


if __name__ == "__main__":
    main()

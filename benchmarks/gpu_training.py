"""How fast CAM-RNN learns on a GPU: captions a second of a step, and whole epochs of Flickr8k.

    python benchmarks/gpu_training.py [--precision bf16-mixed] [--epochs 12] [--output gpu.json]

Steps are of the recipe cam-rnn at 512 sizes, 128 photos with five captions of 6 to 20 words (the
lengths of Flickr8k), with ``training.compile`` off and on, in turns. An epoch has 47 of them, as on
Flickr8k; with ``--data`` the real command trains instead. Compiling is told apart. Without a GPU
the same steps run on the CPU with ``--device cpu``, a few of them, to see that they do.

Axes: B photos, R regions, C channels, K captions of each, T words.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from negah.files import write_json
from negah.models import build_captioner, captioner_options
from negah.models.compiled import LENGTHS, CompiledLoop
from negah.text import CharTokenizer
from negah.training.batches import Batches
from negah.training.objectives import Lesson, Setting
from negah.training.objectives.cross_entropy import CrossEntropy, CrossEntropyOptions

REGIONS, CHANNELS, VOCABULARY = 49, 1280, 2540
STEPS_PER_EPOCH = 47


def main() -> None:
    options = parse_arguments()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no NVIDIA GPU here; --device cpu runs the steps on the CPU")
    found: dict[str, Any] = {"device": name_of(device), "precision": options.precision}
    for when in ("off", "on"):
        found[f"compile {when}"] = measure(options, device, when)
        print(json.dumps({when: found[f"compile {when}"]}), flush=True)
    if options.data is not None:
        found["whole training, s"] = train(options)
    print(json.dumps(found, indent=2))
    if options.output is not None:
        write_json(options.output, found)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--precision", default="32-true", choices=("32-true", "bf16-mixed"))
    parser.add_argument("--photos", type=int, default=128)
    parser.add_argument("--captions", type=int, default=5)
    parser.add_argument("--size", type=int, default=512, help="of everything")
    parser.add_argument("--steps", type=int, default=STEPS_PER_EPOCH, help="measured steps")
    parser.add_argument("--epochs", type=int, default=12, help="of the training with --data")
    parser.add_argument("--data", type=Path, help="flickr8k/, to train by the real command")
    parser.add_argument("--run", type=Path, default=Path("runs/gpu"), help="of that training")
    parser.add_argument("--output", type=Path, help="write the figures as JSON, too")
    return parser.parse_args()


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else "CPU"


def measure(options: argparse.Namespace, device: torch.device, when: str) -> dict[str, float]:
    """Captions a second, and the seconds until every length has been compiled."""
    torch.manual_seed(0)
    sizes = ("embedding", "hidden", "visual", "attention", "phrase")
    values = {"kind": "cam-rnn", "tie_embeddings": True, "dropout": 0.5}
    values |= {f"{name}_size": options.size for name in sizes}
    captioner = build_captioner(
        captioner_options(values), channels=CHANNELS, vocabulary_size=VOCABULARY
    ).to(device)
    captioner.train()
    if when == "on":
        captioner.compile_loop(lambda loop: CompiledLoop(loop, device, print))
    setting = Setting((), CharTokenizer.build(["a"], min_count=1), label_smoothing=0.1)
    objective = CrossEntropy(CrossEntropyOptions(), setting)
    optimizer = torch.optim.AdamW(captioner.parameters(), lr=1e-4, fused=True)
    lessons = make_lessons(options, device, LENGTHS if when == "on" else 1)

    def step(lesson: Lesson) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision != "32-true"):
            loss = objective(captioner, lesson)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([loss.value])
        torch.nn.utils.clip_grad_norm_(captioner.parameters(), 5.0)
        optimizer.step()

    started = time.perf_counter()
    for _ in range(3):  # a CUDA graph is warmed up, recorded, replayed
        for lesson in {lesson.inputs_BKT.shape[2]: lesson for lesson in lessons}.values():
            step(lesson)
    wait(device)
    first = time.perf_counter() - started
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        for lesson in lessons:
            step(lesson)
        wait(device)
        seconds.append(time.perf_counter() - started)
    epoch = statistics.median(seconds) * STEPS_PER_EPOCH / len(lessons)
    captions = len(lessons) * options.photos * options.captions
    return {
        "captions/s": captions / statistics.median(seconds),
        "s an epoch, steps alone": epoch,
        "s until compiled": first,
    }


def make_lessons(options: argparse.Namespace, device: torch.device, lengths: int) -> list[Lesson]:
    """Batches of made captions whose lengths are spread as those of Flickr8k."""
    random = np.random.default_rng(0)
    number = options.steps * options.photos
    words = random.normal(11, 3, (number, options.captions)).round().clip(5, 19).astype(int)
    captions = [
        [random.integers(4, VOCABULARY, length).tolist() for length in row] for row in words
    ]
    batches = Batches(
        captions, photos=options.photos, per_photo=options.captions, flips=False, seed=0,
        lengths=lengths,
    )  # fmt: skip
    shape = (options.photos, 1, REGIONS, CHANNELS)
    features_BFRC = torch.randn(shape, device=device).relu()
    return [
        Lesson(
            features_BFRC, None, torch.from_numpy(batch.inputs_BKT).to(device),
            torch.from_numpy(batch.targets_BKT).to(device), torch.from_numpy(batch.photos),
        )
        for batch in batches.epoch(0)
    ]  # fmt: skip


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def train(options: argparse.Namespace) -> float:
    """Seconds of the real command, features and validation included."""
    sizes = ("embedding", "hidden", "visual", "attention", "phrase")
    changes = [f"model.{name}_size={options.size}" for name in sizes]
    changes += [f"training.epochs={options.epochs}", f"training.photos={options.photos}"]
    changes += ["training.compile=auto"]
    command = [
        sys.executable, "-m", "negah", "train", "cam-rnn", "--data", str(options.data),
        "--device", "cuda", "--precision", options.precision, "--output", str(options.run),
        "--no-export", *(part for change in changes for part in ("--set", change)),
    ]  # fmt: skip
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

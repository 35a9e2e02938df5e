"""``negah tune``: decoding options chosen on held-out photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from negah.bundle.schema import CONFIG_FILE
from negah.cli.data import DataOption, Images, exit_if_incomplete, read_as_trained
from negah.cli.limits import MaxPixels
from negah.cli.models import ModelArgument
from negah.cli.paths import Writes, outputs
from negah.cli.progress import progress_bar
from negah.cli.splits import DevFractionOfModel, TestFractionOfModel
from negah.cli.tables import print_table
from negah.errors import UsageError
from negah.files import write_json
from negah.media import MAX_PIXELS
from negah.run_folder import RunFolder

if TYPE_CHECKING:
    from negah.tuning import Trial, Tuning

_Number = TypeVar("_Number", int, float)
#: Number of trials printed.
_SHOWN = 8


def tune(
    model: ModelArgument,
    data: DataOption,
    split: Annotated[str, typer.Option(help="Which part to tune on: dev or train.")] = "dev",
    beams: Annotated[
        str, typer.Option(metavar="N,N,...", help="Beams to try; each captions all photos.")
    ] = "3,5,8",
    exponents: Annotated[
        str, typer.Option(metavar="X,X,...", help="Length exponents to try.")
    ] = "0.7,0.85,1,1.15,1.3",
    supports: Annotated[
        str,
        typer.Option(metavar="X,X,...", help="Weights of the encoder's concepts to try."),
    ] = "0,0.25,0.5,0.75,1,1.5",
    expected_ciders: Annotated[
        str,
        typer.Option(metavar="X,X,...", help="Weights of the expected CIDEr to try."),
    ] = "0,0.5,1,2,4",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write all trials to this file.", show_default=False),
        Writes(what="all trials"),
    ] = None,
    images: Images = None,
    dev_fraction: DevFractionOfModel = None,
    test_fraction: TestFractionOfModel = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Tune decoding options on held-out photos: beam, length exponent, and what captions are ranked
    by again.

    Support is the weight of the encoder's concepts, for models that have them, and expected_cider
    that of the predicted CIDEr, for bundles of negah rerank. The options with the highest mean
    CIDEr-D are printed, with the command that stores them in a bundle, unless there are too few
    photos to decide. The test part is refused: nothing may be tuned on it.

    \b
    negah tune runs/cam-rnn --data flickr8k/
    negah tune runs/mine/bundle --data my-photos.csv --beams 5 --supports 0,0.5,1

    Exit code: 0 done, 1 some photos, or rows of a table, could not be read, 2 wrong usage.
    """
    if split == "test":
        raise UsageError("options must not be tuned on the test part: use --split dev")
    from negah.runtime import Captioner
    from negah.tuning import TriedOptions
    from negah.tuning import tune as try_options

    grid = TriedOptions(
        _numbers(beams, int, "--beams"),
        _numbers(exponents, float, "--exponents"),
        _numbers(supports, float, "--supports"),
        _numbers(expected_ciders, float, "--expected-ciders"),
    )
    captioner = Captioner(model, max_pixels=max_pixels)
    outputs().read(captioner.files)
    identity = captioner.backend.identity
    datasets = read_as_trained(identity, data, images, (dev_fraction, test_fraction), split)
    examples = [example for dataset in datasets for example in dataset.split(split)]
    if not examples:
        raise UsageError(f"no photo is in the part {split!r}; choose another --split")
    tried = dict.fromkeys((captioner.backend.decoding.beam, *grid.beams))
    with progress_bar(len(examples) * len(tried), wanted=True) as bar:
        tuning = try_options(
            captioner.backend, examples, grid,
            max_pixels=max_pixels, progress=bar.advance,
        )  # fmt: skip
    if json_file is not None:
        write_json(json_file, _to_dict(tuning, identity.name, split))
    _print(tuning, model)
    exit_if_incomplete(tuning.unread, datasets, "photos")


def _numbers(text: str, kind: Callable[[str], _Number], option: str) -> list[_Number]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} takes numbers with commas between them, not {text!r}") from None


def _to_dict(tuning: Tuning, model: str, split: str) -> dict[str, Any]:
    def row(trial: Trial) -> dict[str, Any]:
        return {**asdict(trial), "options": trial.options.model_dump(mode="json")}

    return {
        "model": model,
        "split": split,
        "photos": tuning.photos,
        "unread": list(tuning.unread),
        "before": row(tuning.before),
        "best": row(tuning.best),
        "expected": tuning.expected,
        "trials": [row(trial) for trial in tuning.trials],
    }


def _print(tuning: Tuning, model: str) -> None:
    from negah.tuning import RANKED_BY

    columns = ("", "beam", *RANKED_BY, "CIDEr-D", "words", "distinct")
    rows = []
    best = sorted(tuning.trials, key=lambda trial: -trial.cider_d)[:_SHOWN]
    for name, trial in (("now", tuning.before), *((str(n), t) for n, t in enumerate(best, 1))):
        options = trial.options
        rows.append((
            name, str(options.beam), *(f"{getattr(options, one):g}" for one in RANKED_BY),
            f"{trial.cider_d:.2f}", f"{trial.words:.1f}", f"{trial.distinct:.1%}",
        ))  # fmt: skip
    print(f"{model} on {tuning.photos:,} photos")
    print_table(columns, rows, left={""})
    print(f"expected on other photos: {tuning.expected:.2f}")
    if tuning.expected <= tuning.before.cider_d:
        print(
            f"these {tuning.photos:,} photos are too few to choose options, or the present "
            f"options are the best: keep them"
        )
        return
    chosen = tuning.best.options
    source = Path(model)
    known = RunFolder(source).is_run or (source / CONFIG_FILE).is_file()
    pairs = [("beam", chosen.beam), *((one, f"{getattr(chosen, one):g}") for one in RANKED_BY)]
    # a model that cannot take the last one is not given it
    pairs = [pair for pair in pairs if pair != ("expected_cider", "0")]
    given = " ".join(f"--decoding {name}={value}" for name, value in pairs)
    print(f"negah export {model if known else 'RUN'} {given}")

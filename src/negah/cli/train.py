"""``negah train``: train a recipe on captioned photos or clips, and export a bundle."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from negah.cli.compute import (
    Device,
    Precision,
    build_fabric,
    keep_freed_memory,
    usable_precision,
    use_threads,
    wait_passively,
)
from negah.cli.data import (
    READS_DATA,
    Images,
    Threads,
    exit_if_left_out,
    join,
    read_datasets,
    summary,
)
from negah.cli.export import export_and_tell
from negah.cli.limits import MaxPixels
from negah.cli.paths import READS_MODEL, WRITES_FOLDER, Reads
from negah.cli.splits import (
    DEV_FRACTION,
    TEST_FRACTION,
    DevFraction,
    TestFraction,
    split_policy,
    warn_of_other_policies,
)
from negah.cli.streams import say
from negah.cli.training_progress import FEW_DISTINCT, training_progress
from negah.data import Dataset
from negah.errors import UsageError
from negah.interrupt import Interrupt
from negah.media import MAX_PIXELS
from negah.run_folder import RunFolder
from negah.text.languages.mixed import JOINT

if TYPE_CHECKING:
    from negah.training import Outcome

_STOPPING = "stopping: the current step is finished and saved first (Ctrl-C again: at once)"


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe's name (see --list), or a YAML file.",
            show_default=False,
        ),
        Reads(),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="A data set: a folder, the file with the captions, or shards "
            "(data-{000..009}.tar). May be given several times.",
            show_default=False,
        ),
        READS_DATA,
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run's folder.", show_default="runs/RECIPE"),
        WRITES_FOLDER,
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.OPTION=VALUE",
            help="Change the recipe, such as training.epochs=3. May be given several times.",
            show_default=False,
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            "--init",
            metavar="MODEL",
            help="Start from the weights of this training run or bundle (a folder), or of a "
            "bundled model (its name).",
            show_default="none; with the recipe fine-tune negah-photo",
        ),
        READS_MODEL,
    ] = None,
    features: Annotated[
        Path, typer.Option(help="The folder of all stored features; runs share it."), WRITES_FOLDER
    ] = Path("features"),
    images: Images = None,
    dev_fraction: DevFraction = DEV_FRACTION,
    test_fraction: TestFraction = TEST_FRACTION,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    devices: Annotated[int, typer.Option(min=1, max=64, help="Processes, or GPUs.")] = 1,
    precision: Annotated[Precision, typer.Option(help="Numeric precision.")] = Precision.FULL,
    threads: Threads = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    export: Annotated[
        bool, typer.Option("--export/--no-export", help="Write a bundle at the end.")
    ] = True,
    show_list: Annotated[bool, typer.Option("--list", help="Show the recipes and stop.")] = False,
) -> None:
    """Train a captioner on captioned photos or clips, and write it as a bundle.

    Ctrl-C saves and stops; the same command resumes, also after a crash. The help of 'negah data
    inspect' lists the supported layouts of captions.

    \b
    negah train --list
    negah train cam-rnn --data flickr8k/
    negah train show-tell --data my-photos.csv --images photos/ --output runs/mine
    negah train cam-rnn --data flickr8k/ --set training.epochs=3 --set model.hidden_size=256
    negah train cam-rnn --data my-photos.csv --init runs/cam-rnn --output runs/tuned

    In two phases, as for the bundled model: most of the encoder is trained to predict concepts,
    with data augmentation; then the captioner is trained on its features:

    \b
    negah train cam-rnn-whole --data flickr8k/
    negah train cam-rnn-photo --data flickr8k/ --init runs/cam-rnn-whole

    Fine-tuning of the bundled model, or another one, on 100 to 5,000 photos of your own:

    \b
    negah train fine-tune --data my-photos.csv
    negah train fine-tune --data my-photos.csv --init path/to/bundle --output runs/mine

    Training on clips, and on clips made of photos:

    \b
    negah train cam-rnn-video --data msvd/ --dev-fraction 0.2
    negah train cam-rnn-motion --data msvd/ --dev-fraction 0.2
    negah train cam-rnn-clips --data flickr8k/ --init runs/cam-rnn \\
        --output runs/clips

    Clips made of photographs for captions of unavailable videos (negah data storyboards):

    \b
    negah train cam-rnn-storyboards --data clips.csv \\
        --set clips.storyboards.file=boards.jsonl --set clips.storyboards.images=photos/

    Exit code: 0 trained, 1 failed, or trained with rows of a table left out, 2 wrong usage,
    130 interrupted.
    """
    wait_passively()
    keep_freed_memory()
    if show_list:
        _list_recipes()
        return
    if recipe is None:
        raise UsageError("name a recipe, such as cam-rnn; 'negah train --list' shows them")
    if not data:
        raise UsageError("give the captioned photos or clips to train on: --data PATH")
    try:
        from negah.export.initial import initial_of
        from negah.export.teachers import open_teachers
        from negah.training import Environment, load_recipe
        from negah.training import train as run_training
        from negah.training.provenance import DataRecord

        opened = initial_of(recipe, changes or (), initial)
        chosen = load_recipe(recipe, changes or (), opened)
        if export and JOINT in chosen.text.language:
            raise UsageError(
                f"text.language={chosen.text.language}: a model of several languages becomes no "
                "bundle yet, it is trained and compared: give --no-export"
            )
        folder = output or Path("runs") / chosen.name
        teachers = open_teachers(chosen)
        split = split_policy(dev_fraction, test_fraction)
        datasets = read_datasets(data, images or (), split)
        dataset = join(datasets)
        _check_parts(dataset)
        _warn_of_repeated_dev(datasets)
        record = DataRecord.of(
            datasets,
            data,
            images or (),
            split=split,
            initial=None if opened is None else opened.record,
            teachers=[teacher.record for teacher in teachers],
        )
        before = [*([] if opened is None else [opened.record]), *record.teachers]
        warn_of_other_policies([(one.run, one.training_split) for one in before], split)
        use_threads(threads)
        # Warnings of the metrics after every epoch are printed once, at the end.
        logging.getLogger("negah.metrics").addHandler(logging.NullHandler())
        precision, told = usable_precision(precision, device)
        fabric = build_fabric(device, devices, precision)
        progress = training_progress(quiet=not fabric.is_global_zero)
        with progress:
            if told:
                progress.message(told)
            progress.message(f"{summary(dataset)} -> {folder}")
            if dataset.division is not None and dataset.division.text:
                progress.message(f"  {dataset.division.text}")
            interrupt = Interrupt(lambda: progress.message(_STOPPING))
            outcome = run_training(
                chosen,
                dataset,
                folder,
                Environment(features, fabric, progress, interrupt, max_pixels),
                initial=opened,
                teachers=teachers,
                provenance=record.model_dump(mode="json"),
            )
        if not fabric.is_global_zero:
            return
        if not outcome.finished:
            raise KeyboardInterrupt
        _tell(outcome, folder, trained=progress.trained)
        _warn(progress.last, len(dataset.split("dev")))
        if opened is not None:
            _tell_before_and_after(outcome, opened.name, folder)
        if export:
            _export(folder, dataset, max_pixels)
        exit_if_left_out(dataset)
    except KeyboardInterrupt:
        say("interrupted: saved, not exported; the same command resumes")
        raise typer.Exit(130) from None


def _list_recipes() -> None:
    from negah.training.recipe import recipe_descriptions

    recipes = recipe_descriptions()
    width = max(map(len, recipes))
    for name, description in recipes.items():
        print(f"{name:{width}}  {description}")


def _check_parts(dataset: Dataset) -> None:
    if not dataset.split("train"):
        raise UsageError(
            f"no photo is in the part train, so there is nothing to train on ({summary(dataset)})"
        )
    if not dataset.split("dev"):
        raise UsageError(
            f"no photo is in the part dev, so the best epoch cannot be selected "
            f"({summary(dataset)}). Give some photos the split dev, or hold some out with "
            "--dev-fraction 0.1, which takes two files or more."
        )


def _warn_of_repeated_dev(datasets: Sequence[Dataset]) -> None:
    """Warn of dev photos that are in several data sets, some possibly with generated captions."""
    held_out = [{example.path for example in dataset.split("dev")} for dataset in datasets]
    counts = Counter(path for paths in held_out for path in paths)
    repeated = sum(count > 1 for count in counts.values())
    if repeated:
        say(
            f"warning: {repeated:,} dev photos are in more than one data set, and the captions in "
            "each are used as references: leave out captions of dev photos that were generated by "
            "a model"
        )


def _tell(outcome: Outcome, folder: Path, *, trained: bool) -> None:
    how = "trained" if trained else "was finished already:"
    epochs = "1 epoch" if outcome.epochs == 1 else f"{outcome.epochs} epochs"
    print(
        f"{folder} {how} {epochs}; the best is {outcome.best_epoch}, with CIDEr-D "
        f"{outcome.best_score:.2f} on dev"
    )


def _tell_before_and_after(outcome: Outcome, initial: str, folder: Path) -> None:
    """Print the score of the initial model and that of the result."""
    before, after = outcome.initial_score, outcome.best_score
    if before is None:
        return
    print(
        f"before and after on dev: {initial} {before:.2f}, {folder} {after:.2f} "
        f"({after - before:+.2f})"
    )
    if before >= after:
        say(
            f"warning: {initial}, as it stands, captions these dev photos at least as well: keep "
            "it, or train on more photos, with a lower training.learning_rate, or with the recipe "
            "fine-tune"
        )


def _warn(last: Mapping[str, Any], photos: int) -> None:
    """Say so if the last epoch gave many of the dev photos the same caption."""
    if not last:
        return
    captions = round(last["distinct"] * photos)
    if last["distinct"] < FEW_DISTINCT or captions == 1 < photos:
        say(
            f"warning: {photos:,} dev photos got only {captions:,} different captions. The model "
            f"hardly uses the photos: train longer, on more photos, or with another learning rate."
        )


def _export(folder: Path, dataset: Dataset, max_pixels: int) -> None:
    """Write the bundle of a run, unless an existing one has the same weights."""
    from negah.bundle.schema import CONFIG_FILE
    from negah.export.run import ExportOptions, load_run, proof_photos

    bundle, best = RunFolder(folder).bundle, RunFolder(folder).best
    written = bundle / CONFIG_FILE
    if not written.is_file() or written.stat().st_mtime < best.stat().st_mtime:
        run = load_run(folder)
        pictures = proof_photos(
            dataset,
            motion_step=run.recipe.encoder.motion,
            max_pixels=max_pixels,
            size=run.encoder.preprocessing.size,
        )
        export_and_tell(run, bundle, pictures, options=ExportOptions(max_pixels=max_pixels))
    place = shlex.quote(str(bundle))
    file = "clip.mp4" if all(example.is_clip for example in dataset.examples) else "photo.jpg"
    print("next:")
    print(f"  negah caption {file} --model {place}")
    print(f"  negah evaluate {place} --data PATH")

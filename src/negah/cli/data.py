"""``negah data``: inspect a captioned data set, compute its features; reading of data sets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from negah.cli.compute import Device, choose_device, use_threads, wait_passively
from negah.cli.limits import MaxPixels
from negah.cli.metric_options import LanguageOfCaptions
from negah.cli.paths import WRITES_FOLDER, Reads, outputs, shards
from negah.cli.splits import (
    DEV_FRACTION,
    TEST_FRACTION,
    DevFraction,
    TestFraction,
    split_of_training,
    split_policy,
    tell_split,
)
from negah.cli.streams import StandardRows, say
from negah.cli.training_progress import training_progress
from negah.data import SPLITS, Dataset, SplitPolicy, load_dataset, load_each, merge
from negah.data import inspect as inspect_dataset
from negah.data.examples import nouns
from negah.data.formats import own_files, unpacked
from negah.data.storyboards import ClipSentences, groups_about
from negah.errors import UsageError
from negah.json_layout import indented_json
from negah.media import MAX_PIXELS

if TYPE_CHECKING:
    from negah.backends import Identity

#: Number of unread files named in a message.
_NAMED = 3
#: A data set: of its folder, the files that it is read from.
READS_DATA = Reads(own_files(), own_files(beside=True))

Images = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of the photos or clips; given once for each data set, in the same order.",
        show_default="found beside the captions",
    ),
    Reads(),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, max=256, help="Threads to compute with on a CPU.", show_default="one for each core"
    ),
]
DataPaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH",
        help="Data sets: a folder, the file with the captions, or shards (data-{000..009}.tar).",
        show_default=False,
    ),
    READS_DATA,
]
DataOption = Annotated[
    list[Path],
    typer.Option(
        "--data",
        metavar="PATH",
        help="A data set; several are used together.",
        show_default=False,
    ),
    READS_DATA,
]
LeaveOut = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH",
        help="A data set of clips whose sentences are left out, so that it can be used for "
        "evaluation. May be given several times.",
        show_default=False,
    ),
    READS_DATA,
]


def inspect(
    paths: DataPaths,
    images: Images = None,
    dev_fraction: DevFraction = DEV_FRACTION,
    test_fraction: TestFraction = TEST_FRACTION,
    open_photos: Annotated[
        bool, typer.Option("--open", help="Also open every photo, to find those that fail.")
    ] = False,
    language: LanguageOfCaptions = "en",
    max_pixels: MaxPixels = MAX_PIXELS,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")] = False,
) -> None:
    """Summarise a data set and report its problems.

    Supported formats are Flickr8k and MSVD in both layouts, Karpathy's dataset_*.json, COCO's
    captions_*.json, MSR-VTT's *_videodatainfo.json, and tables (CSV, TSV, JSON lines or JSON list)
    with the columns image (or video, clip, path or an id) and caption, optionally split, and for
    clips start and end in seconds. The output of negah caption is such a table. As on the Hugging
    Face Hub: folders with metadata.csv or .jsonl (imagefolder), tar files with key.jpg and key.txt
    or key.json (webdataset), and Parquet (pip install 'negah[parquet]'). Their pictures are
    unpacked once, into the cache (NEGAH_CACHE). Several data sets are treated as one, with the
    parts that a training with the same options would use. Clips are opened to measure them.

    \b
    negah data inspect flickr8k/
    negah data inspect msvd/
    negah data inspect my-photos.csv --images photos/ --open
    negah data inspect captions_fa.csv --language fa
    negah data inspect flickr8k/ coco/captions.csv --json
    negah data inspect 'shards/train-{000..009}.tar'

    Exit code: 0 it can be trained on, 1 it cannot, or rows of a table were left out, 2 wrong usage.
    """
    datasets = read_datasets(paths, images or (), split_policy(dev_fraction, test_fraction))
    dataset = join(datasets)
    with training_progress() as progress:
        found = inspect_dataset(
            dataset,
            language=language,
            open_images=open_photos,
            max_pixels=max_pixels,
            progress=lambda done, total: progress.advance("opening photos", done, total),
            clip_progress=lambda done, total: progress.advance("opening clips", done, total),
        )
    if as_json:
        StandardRows(utf8=True).write(indented_json(found.to_dict()) + "\n")
    else:
        print(found.to_text(), end="")
    if not found.sound:
        raise typer.Exit(1)
    exit_if_left_out(dataset)


def features(
    paths: DataPaths,
    recipe: Annotated[
        str, typer.Option(help="Recipe that determines the encoder and mirroring.")
    ] = "cam-rnn",
    encoder: Annotated[
        str | None, typer.Option(help="Another encoder: a timm model.", show_default="the recipe's")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.OPTION=VALUE",
            help="Change the recipe, such as encoder.trainable_blocks=0.",
            show_default=False,
        ),
    ] = None,
    root: Annotated[
        Path, typer.Option("--features", help="The folder of all features."), WRITES_FOLDER
    ] = Path("features"),
    images: Images = None,
    dev_fraction: DevFraction = DEV_FRACTION,
    test_fraction: TestFraction = TEST_FRACTION,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    threads: Threads = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Compute the features of a data set, as a training would before it starts.

    Stored features are not computed again, and an interrupted run can be resumed.

    \b
    negah data features flickr8k/
    negah data features flickr8k/ --recipe show-tell --encoder efficientnet-lite0
    negah data features my-photos.csv --set encoder.trainable_blocks=0
    """
    wait_passively()
    import torch

    from negah.export.initial import initial_of
    from negah.models import load_encoder
    from negah.models.seeding import seeded
    from negah.training import load_recipe
    from negah.training.features import FeatureFolder, feature_key, prepare_features

    use_threads(threads)
    changes = [*(changes or ()), *([f"encoder.name={encoder}"] if encoder else ())]
    chosen = load_recipe(recipe, changes, initial_of(recipe, changes))
    split = split_policy(dev_fraction, test_fraction)
    dataset = join(read_datasets(paths, images or (), split))
    with seeded(chosen.training.seed):
        network = load_encoder(chosen.encoder)
    with training_progress() as progress:
        views = prepare_features(
            network,
            [e for e in dataset.examples if e.split in chosen.training.stored_parts],
            FeatureFolder(root, max_pixels, progress.features),
            flips=chosen.training.flips,
            clips=chosen.clips,
            device=torch.device(choose_device(device).value),
        )
    failures = {failure.path: failure for store in views.values() for failure in store.failures}
    for failure in failures.values():
        print(f"failed: {failure.path}: {failure.reason}")
    things = nouns(dataset.examples, "photo")
    for view, store in views.items():
        folder = root / feature_key(network, view, chosen.clips).folder_name
        print(f"{view}: {len(store):,} {things} in {folder}")
    if failures:
        raise typer.Exit(1)
    exit_if_left_out(dataset)


def read_datasets(
    paths: Sequence[Path], images: Sequence[Path], split: SplitPolicy
) -> list[Dataset]:
    """Read data sets as the options of a command ask for, divided as if they were one.

    Raises:
        UsageError: a path does not exist, or folders of files were given for some only.
        DataError: a data set cannot be used.
    """
    for path in (shard for given in paths for shard in shards(given)):
        if not path.exists():
            raise UsageError(
                f"there is no data set {path}: no such file or folder. Give a folder with "
                "captions and photos or clips, or the file with the captions."
            )
    if images and len(images) != len(paths):
        raise UsageError(
            f"--images is given {len(images)} times for {len(paths)} data sets: give it once for "
            "each, in the same order, or leave it out"
        )
    with _unpacking_told():
        found = load_each(paths, images=images, split=split)
    for dataset in found:
        outputs().read(dataset.files)
        outputs().read(example.path for example in dataset.examples)
    return found


@contextmanager
def _unpacking_told() -> Iterator[None]:
    """Log the unpacking of shards, which may take minutes."""
    logger, handler = logging.getLogger(unpacked.__name__), _SayRecords()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _SayRecords(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def exit_if_incomplete(unread: Sequence[str], datasets: Sequence[Dataset], noun: str) -> None:
    """End with exit code 1 if files could not be read, which is said here, or rows could not.

    Args:
        unread: names of the files.
        datasets: that they are of.
        noun: plural, for the files.
    """
    if unread:
        more = f" and {len(unread) - _NAMED:,} more" if len(unread) > _NAMED else ""
        say(
            f"{len(unread):,} {noun} could not be read: {', '.join(unread[:_NAMED])}{more}. "
            "To see why: negah data inspect --open"
        )
        raise typer.Exit(1)
    exit_if_left_out(*datasets)


def exit_if_left_out(*found: Dataset) -> None:
    """End with exit code 1 if rows could not be read; reading them has said which."""
    if any(one.left_out for one in found):
        raise typer.Exit(1)


def read_as_trained(
    identity: Identity,
    data: Sequence[Path],
    images: Sequence[Path] | None,
    fractions: tuple[float | None, float | None],
    part: str,
) -> list[Dataset]:
    """Read data sets, divided as for the training of a model, and say so on standard error.

    Args:
        identity: of the model.
        data: the data sets.
        images: of ``--images``.
        fractions: of ``--dev-fraction`` and ``--test-fraction``; None where not given.
        part: the one that is used.

    Raises:
        UsageError: the fractions together leave nothing to train on.
        DataError: a data set cannot be read.
    """
    division = split_of_training([(identity.name, identity.split)], *fractions)
    datasets = read_datasets(data, images or (), division.policy)
    tell_split(division, datasets, part)
    for dataset in datasets:
        say(summary(dataset))
    return datasets


def join(datasets: Sequence[Dataset]) -> Dataset:
    """Join several data sets; a single one is returned as it is."""
    return datasets[0] if len(datasets) == 1 else merge(datasets)


def summary(dataset: Dataset) -> str:
    """A line on what was read."""
    sizes = {split: len(dataset.split(split)) for split in SPLITS}
    parts = ", ".join(f"{count:,} {split}" for split, count in sizes.items() if count)
    count = len(dataset.problems)
    problems = f"; {count:,} problems, see: negah data inspect" if count else ""
    return f"{dataset.name}: {parts} {nouns(dataset.examples, 'photo')}{problems}"


def names_left_out(groups: Sequence[ClipSentences], paths: Sequence[Path]) -> set[str]:
    """The clips described by sentences that are in the ``--leave-out`` data sets.

    Raises:
        UsageError: there is no such data set, or nothing is said of any of its clips.
    """
    found = set()
    for path in paths:
        if not path.exists():
            raise UsageError(f"--leave-out {path}: no such file or folder")
        about = groups_about(groups, [e.captions for e in load_dataset(path).examples])
        if not about:
            raise UsageError(
                f"--leave-out {path}: none of the sentences describes one of its clips, so "
                f"nothing would be left out. Is it the right data set?"
            )
        found |= about
    return found

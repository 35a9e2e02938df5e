"""``negah rerank``: fit a bundle's prediction of CIDEr, by which candidates are ranked again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negah.cli.data import DataOption, Images, exit_if_incomplete, read_as_trained
from negah.cli.limits import MaxPixels
from negah.cli.paths import READS_MODEL, WRITES_FOLDER, outputs, say_written
from negah.cli.progress import progress_bar
from negah.cli.splits import DevFractionOfModel, TestFractionOfModel
from negah.errors import UsageError
from negah.media import MAX_PIXELS

#: The part that is fitted on: any other one is for choosing or for reporting.
_SPLIT = "train"


def rerank(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A bundled model, or the folder of a bundle, with concepts.",
            show_default=False,
        ),
        READS_MODEL,
    ],
    data: DataOption,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The fitted bundle's folder.", show_default=False),
        WRITES_FOLDER,
    ],
    rank: Annotated[
        int, typer.Option(min=1, max=4096, metavar="N", help="Rank of the regression's matrix.")
    ] = 256,
    min_photos: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Leave out n-grams of the captions of fewer photos."),
    ] = 10,
    ridge: Annotated[
        float, typer.Option(metavar="X", help="Weight of the regression's squared coefficients.")
    ] = 10.0,
    images: Images = None,
    dev_fraction: DevFractionOfModel = None,
    test_fraction: TestFractionOfModel = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Fit a prediction of CIDEr, by which the captions found by beam search are ranked again.

    A linear model predicts from the concepts of a picture which n-grams people use for it. It is
    fitted on the part train, which the model was trained on, and stored in the bundle. The decoding
    option expected_cider is its weight: choose it with negah tune on the part dev.

    \b
    negah rerank runs/cam-rnn/bundle --data my-photos/ --output reranked
    negah tune reranked --data my-photos/ --expected-ciders 0,0.5,1,2,4
    negah caption photo.jpg --model reranked --decoding expected_cider=2
    negah export reranked --decoding expected_cider=2

    Exit code: 0 done, 1 some photos, or rows of a table, could not be read, 2 wrong usage.
    """
    from negah.bundle.writer import refuse_to_overwrite
    from negah.reranking import (
        RerankOptions,
        fit_reranking,
        refuse_without_concepts,
        save_reranking,
    )
    from negah.runtime.models import open_backend
    from negah.runtime.onnx import OnnxBackend

    options = RerankOptions.parse(
        {"rank": rank, "min_photos": min_photos, "ridge": ridge, "max_pixels": max_pixels},
        where="options of negah rerank",
    )
    backend = open_backend(model)
    if not isinstance(backend, OnnxBackend):
        raise UsageError(
            f"{model} is no bundle, and only a bundle stores a prediction of CIDEr: export a "
            "training run first (negah export RUN)"
        )
    refuse_without_concepts(backend)
    outputs().read(backend.identity.files)
    refuse_to_overwrite(output)
    fractions = dev_fraction, test_fraction
    datasets = read_as_trained(backend.identity, data, images, fractions, _SPLIT)
    examples = [example for dataset in datasets for example in dataset.split(_SPLIT)]
    if not examples:
        raise UsageError(f"no photo is in the part {_SPLIT!r}")
    with progress_bar(len(examples), wanted=True) as bar:
        fitted = fit_reranking(backend, examples, options, progress=bar.advance)
    save_reranking(backend.bundle, fitted.expected, output)
    print(
        f"{len(fitted.expected.idf_G):,} n-grams of the captions of {fitted.photos:,} photos, from "
        f"{fitted.expected.concepts:,} concepts"
    )
    say_written(output, "bundle with the prediction of CIDEr")
    exit_if_incomplete(fitted.unread, datasets, "photos")

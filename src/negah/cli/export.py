"""``negah export``: a training run to a bundle, and measured scores into a bundle's card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from negah.cli.compute import use_threads, wait_passively
from negah.cli.data import READS_DATA, Images, Threads, join, read_datasets
from negah.cli.decoding_options import DecodingPairs, decoding_values
from negah.cli.limits import MaxPixels
from negah.cli.paths import READS_MODEL, WRITES_FOLDER, Reads, say_written
from negah.cli.splits import split_of_training, tell_split
from negah.errors import DataError, UsageError
from negah.media import MAX_PIXELS
from negah.run_folder import RunFolder

if TYPE_CHECKING:
    from negah.export.prove import PictureInput, Proof
    from negah.export.run import Run


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A training run's folder; or a bundle's, with only --decoding or --scores.",
        ),
        READS_MODEL,
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The bundle's folder.", show_default="RUN/bundle"),
        WRITES_FOLDER,
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model.", show_default="the recipe's")
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            help="YAML for the model card: name, licence, training_data, limits.",
            show_default=False,
        ),
        Reads(),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Add these scores to the model card; written by 'negah evaluate --json'.",
            show_default=False,
        ),
        Reads(),
    ] = None,
    decoding: DecodingPairs = None,
    encoder_from: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Use the encoder of this model of the package, which must be the same.",
            show_default="the bundle contains its own",
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Decode in 8-bit integer arithmetic: faster, with nearly equal captions."
        ),
    ] = False,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="A data set with photos for verifying the export.",
            show_default="the run's own",
        ),
        READS_DATA,
    ] = None,
    images: Images = None,
    proof: Annotated[
        bool,
        typer.Option(
            "--proof/--no-proof",
            help="Caption up to 200 photos with PyTorch and with ONNX, and compare the captions.",
        ),
    ] = True,
    threads: Threads = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Export a training run as a bundle for 'negah caption --model'.

    The best epoch is exported. The run and the bundle caption the same photos, and the bundle is
    written only if at least 99% of the captions are equal. Of a bundle, the decoding options can be
    changed, and scores added to its card, without changing its model.

    If a run uses the unchanged encoder of a bundled model, --encoder-from avoids storing it again:
    the bundle is smaller, and works wherever that model is installed.

    \b
    negah export runs/cam-rnn
    negah export runs/cam-rnn --output my-model --name "My model" --card card.yaml
    negah export runs/cam-rnn-fa --encoder-from negah-photo
    negah evaluate my-model --data flickr8k/ --json scores.json
    negah export my-model --scores scores.json
    negah export my-model --decoding beam=3
    """
    from negah.bundle.schema import CONFIG_FILE

    _check_paths(run, card, scores or ())
    if (run / CONFIG_FILE).is_file():
        if not (scores or decoding) or any((output, name, card, data, encoder_from, int8)):
            raise UsageError(
                f"{run} is a bundle already. It takes other decoding options (--decoding) and "
                "scores (--scores FILE); for anything else export the training run again."
            )
        if decoding:
            from negah.bundle.revise import change_decoding

            change_decoding(run, decoding_values(decoding))
            say_written(run, "bundle with these decoding options; scores of others are left out")
    else:
        wait_passively()
        from negah.export.run import CardNotes, ExportOptions, load_run

        use_threads(threads)
        notes = CardNotes() if card is None else CardNotes.load(card)
        if name is not None:
            notes = notes.model_copy(update={"name": name})
        loaded = load_run(run)
        photos = _photos(loaded, data or (), images or (), max_pixels) if proof else []
        run = output or RunFolder(run).bundle
        export_and_tell(
            loaded, run, photos, notes=notes,
            options=ExportOptions(decoding_values(decoding), encoder_from, int8, max_pixels),
        )  # fmt: skip
    if scores:
        from negah.evaluation import add_scores

        bundle = add_scores(run, scores)
        print(f"{run}: its card has {len(bundle.config.scores)} scores")


def export_and_tell(run: Run, output: Path, photos: Sequence[PictureInput], **options: Any) -> None:
    """Export a run, and print where the bundle is and how it was proven.

    Args:
        run: what to export.
        output: the bundle's folder.
        photos: photos or frames to prove on; none for no proof.
        options: of :func:`~negah.export.run.export_run`.
    """
    from negah.export.run import export_run

    bundle, proof = export_run(run, output, photos, **options)
    size = sum(file.bytes for file in bundle.config.files.values())
    say_written(output, f"bundle, {size / 1e6:.1f} MB")
    print(f"proof: {_proven(proof)}")


def _check_paths(run: Path, card: Path | None, scores: Sequence[Path]) -> None:
    if not run.is_dir():
        what = "is a file" if run.exists() else "no such folder"
        raise UsageError(f"{run}: {what}. Give the folder of a training run, such as runs/cam-rnn.")
    for file in (*([card] if card else ()), *scores):
        if not file.is_file():
            raise UsageError(f"{file}: no such file")


def _photos(
    run: Run, data: Sequence[Path], images: Sequence[Path], max_pixels: int
) -> list[PictureInput]:
    from negah.export.run import proof_photos

    wanted: Any = {
        "motion_step": run.recipe.encoder.motion,
        "max_pixels": max_pixels,
        "size": run.encoder.preprocessing.size,
    }
    if data:
        known = run.data.training_split if run.data else None
        split = split_of_training([(run.recipe.name, known)])
        dataset = join(read_datasets(data, images, split.policy))
        tell_split(split, [dataset])
        return proof_photos(dataset, **wanted)
    advice = "Name photos to prove the export on with --data PATH, or export with --no-proof."
    if run.data is None:
        raise UsageError(f"{run.folder} does not say where its photos are. {advice}")
    try:
        return proof_photos(run.data.load(), **wanted)
    except (DataError, UsageError) as error:
        raise UsageError(f"the photos of {run.folder} cannot be read: {error} {advice}") from None


def _proven(proof: Proof | None) -> str:
    if proof is None:
        return "none, as asked for"
    return (
        f"{proof.equal_text_share:.1%} of {proof.n} captions are equal in PyTorch and ONNX, "
        f"log-probabilities within {proof.max_logprob_difference:.1g}"
    )

"""The commands about trained models. Heavy imports stay inside them, so that --help answers at once."""

from pathlib import Path
from typing import Annotated

import typer

from study.cli.options import HomeOption, StoreOption
from study.state.home import DEFAULT_HOME, Home

model_app = typer.Typer()


@model_app.command()
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="MLflow run id of a trial or its first 6 characters, or STUDY/TRIAL.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for weights, settings, labels and model card.")],
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write a trial's selected weights as safetensors, with a model card.

    Example: acl-study export table2-ssl/sweep-0007 model
    """
    from analysis.records.sql import check_recorded
    from study.tracking.uri import existing_store

    places = Home(home)
    studies = [study] if (study := run.rpartition("/")[0]) else []
    kept = existing_store(places, store, studies)
    check_recorded(kept, studies)

    from study.models.export import export_trial

    exported = export_trial(run, folder, places, kept)
    if not exported.selected.is_tested:
        print(f"the training is not complete: best weights after {exported.selected.epochs_trained} epochs, not tested")
    print(f"model: {folder}; next: acl-study embed {folder} AUDIO…")


@model_app.command()
def embed(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `acl-study export` wrote.")],
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO…", help="Audio files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Table to write, .npz or .csv.")] = Path("embeddings.npz"),
) -> None:
    """Embed audio files with an exported model, one row a file; status 1 where a file had to be left out.

    Example: acl-study embed model recordings/ --out recordings.csv
    """
    from study.models.embed import embed_files

    failures = embed_files(folder, audio, out)
    print(f"embeddings: {out}")
    if failures:
        raise typer.Exit(1)

"""The commands of `acl-study data`. Heavy imports stay inside them, so that --help answers at once."""

from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(help="Make and prepare corpora.", no_args_is_help=True)


@data_app.command()
def synth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the corpus.")],
    size: Annotated[str, typer.Option("--size", help="tiny, small or medium.")] = "small",
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 0,
) -> None:
    """Write a synthetic corpus: 44.1 kHz wav files in the layout of FSDnoisy18k.

    Example: acl-study data synth corpus --size small --seed 0
    """
    from study.corpora import synthesise

    synthesise(folder, size, seed)
    print(f"corpus: {folder}; next: acl-study data prepare {folder}")


@data_app.command()
def prepare(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Corpus folder.")],
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default: one per core.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out clips whose audio is unusable; runs record it.")] = False,
) -> None:
    """Compute the log-mel features of both front ends; continues where it was interrupted.

    Example: acl-study data prepare corpus
    """
    from study.corpora import prepare_features

    prepare_features(folder, workers, skip_bad)
    print(f"features: {folder / 'features'}; next: acl-study run STUDY --data {folder}")


@data_app.command()
def download(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="fsdnoisy18k.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Corpus folder.")],
    url: Annotated[
        str | None, typer.Option("--url", metavar="BASE", help="Address under which a mirror has the archives; default: Zenodo.")
    ] = None,
    archives: Annotated[
        Path | None,
        typer.Option("--archives", metavar="FOLDER", help="Take archives from here, and keep those that are downloaded here."),
    ] = None,
) -> None:
    """Download, check and unpack the archives of FSDnoisy18k; continues where it was interrupted.

    Example: acl-study data download fsdnoisy18k /data/FSDnoisy18k
    """
    from study.corpora import download_corpus

    download_corpus(corpus, folder, url, archives)
    print(f"corpus: {folder}; next: acl-study data verify {folder}")


@data_app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Corpus folder.")],
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default: one per core.")] = None,
) -> None:
    """Open every file, count clips, compare them with the published numbers, and look for audio that is there twice.

    Example: acl-study data verify /data/FSDnoisy18k
    """
    from study.corpora import verify_corpus

    verify_corpus(folder, workers)
    print(f"nothing wrong in {folder}; next: acl-study data prepare {folder}")


@data_app.command("import")
def import_(
    manifest: Annotated[str, typer.Argument(help="A .yaml or .csv manifest, or a shipped one: esc50, urbansound8k.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Corpus folder to write; the audio stays where it is.")],
    audio: Annotated[
        Path | None,
        typer.Option("--audio", metavar="FOLDER", help="Where the audio lies; of a shipped manifest, the whole data set."),
    ] = None,
) -> None:
    """Make a corpus of any data set whose clips have one label each.

    Example: acl-study data import esc50 corpora/esc50 --audio /data/ESC-50-master
    """
    from study.corpora import import_manifest

    print("\n".join(import_manifest(manifest, folder, audio)))
    print(f"next: acl-study data prepare {folder}")

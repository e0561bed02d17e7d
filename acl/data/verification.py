"""Verification of a corpus against what was published: its files, counts, labels, and audio that is there twice."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acl.data.audio import read_audio
from acl.data.clips import CLASSES, Clip, Corpus, in_subset
from acl.data.corpus import read_corpus
from acl.data.fsdnoisy18k import DESCRIPTION_FILE, SPLITS, audio_folder
from acl.system.errors import AudioError
from acl.system.processes import each_result

SUBSETS = ("clean", "noisy", "noisy_small", "test")
PUBLISHED_RATE = 44_100  # Hz; one channel
HOURS_TOLERANCE = 0.1  # published hours have one decimal
_GROUP = 16  # clips of a task


@dataclass(frozen=True)
class PublishedSubset:
    """What the record of FSDnoisy18k (zenodo.org/record/2529934) says about a subset; it has no counts of single classes.

    Attributes:
        clips: in all.
        smallest: clips of the smallest class.
        largest: clips of the largest class.
    """

    clips: int
    smallest: int
    largest: int


FSDNOISY18K = {
    "clean": PublishedSubset(1_772, 51, 170),
    "noisy": PublishedSubset(15_813, 250, 1_000),
    "test": PublishedSubset(947, 30, 72),
}
_FEWEST_CLIPS = sum(subset.clips for subset in FSDNOISY18K.values()) // 2
FSDNOISY18K_HOURS = {"train": 41.1, "test": 1.4}


@dataclass(frozen=True)
class Examined:
    """One file, decoded from its first to its last sample.

    Attributes:
        path: of the file.
        problem: why it is unusable, as a sentence without its subject; None where it is not. The others are then None or 0.
        digest: of samples and rate, whatever the container; equal audio has equal digests.
        seconds: duration.
        sample_rate: in Hz.
        channels: number of them.
    """

    path: Path
    problem: str | None = None
    digest: bytes | None = None
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        corpus: as its tables describe it.
        is_fsdnoisy18k: it was compared with the published numbers.
        counts: subset -> label -> clips; of splits, where no flags tell clean clips from noisy ones.
        hours: subset -> duration of the clips that can be read.
        repeated: split -> clips whose audio an earlier clip of the same split has.
        problems: a line for each.
    """

    corpus: Corpus
    is_fsdnoisy18k: bool
    counts: Mapping[str, Counter[str]]
    hours: Mapping[str, float]
    repeated: Mapping[str, int]
    problems: tuple[str, ...]


def verify(
    root: str | Path, workers: int | None = None, progress: Callable[[int, int], None] = lambda done, total: None
) -> Verification:
    """Read all tables and files of a corpus.

    Args:
        root: corpus folder.
        workers: processes; None takes all available cores.
        progress: called with (clips done, clips in total).

    Raises:
        CorpusError: its tables cannot be read, or name files that are not there.
    """
    root = Path(root)
    corpus = read_corpus(root)
    groups = [corpus.clips[first : first + _GROUP] for first in range(0, len(corpus.clips), _GROUP)]
    found: dict[Path, Examined] = {}
    progress(0, len(corpus.clips))
    for group in each_result(examine, groups, workers):
        found.update((examined.path, examined) for examined in group)
        progress(len(found), len(corpus.clips))
    subsets = SUBSETS if corpus.has_parts else tuple(sorted({clip.split for clip in corpus.clips}, reverse=True))
    members = {subset: [clip for clip in corpus.clips if _belongs(clip, subset)] for subset in subsets}
    counts = {subset: Counter(clip.label for clip in clips) for subset, clips in members.items()}
    hours = {subset: sum(found[clip.path].seconds for clip in clips) / 3600 for subset, clips in members.items()}
    is_fsdnoisy18k = _is_fsdnoisy18k(root, corpus)
    problems = [*_unreadable(corpus, found), *_unlisted(root, corpus), *_in_both_splits(corpus, found)]
    if is_fsdnoisy18k:
        problems += [*_format_departures(corpus, found), *count_departures(corpus, counts), *_hour_departures(hours)]
    return Verification(corpus, is_fsdnoisy18k, counts, hours, _repeated(corpus, found), tuple(problems))


def examine(clips: Sequence[Clip]) -> list[Examined]:
    """Decode the files of some clips."""
    return [_examine(clip.path) for clip in clips]


def _examine(path: Path) -> Examined:
    try:
        samples, sample_rate = read_audio(path)
    except AudioError as error:
        return Examined(path, str(error))
    digest = hashlib.blake2b(f"{sample_rate} {samples.shape}".encode(), digest_size=16)
    digest.update(samples.data)
    return Examined(path, None, digest.digest(), len(samples) / sample_rate, sample_rate, samples.shape[1])


def _belongs(clip: Clip, subset: str) -> bool:
    return clip.split == subset or (subset in SUBSETS and subset != "test" and bool(in_subset(clip, subset)))


def _is_fsdnoisy18k(root: Path, corpus: Corpus) -> bool:
    """Whether a corpus is FSDnoisy18k or meant to be: clips that are missing or too many must not keep it from being compared.

    Its layout and some of its labels do not make a corpus FSDnoisy18k; more than half of its clips do.
    """
    common = set(CLASSES) & set(corpus.classes)
    is_described = (root / DESCRIPTION_FILE).exists()
    return not is_described and len(common) > len(CLASSES) / 2 and len(corpus.clips) > _FEWEST_CLIPS


def _unreadable(corpus: Corpus, found: Mapping[Path, Examined]) -> Iterator[str]:
    for clip in corpus.clips:
        problem = found[clip.path].problem
        if problem is not None:
            yield f"{clip.path} {problem}"


def _unlisted(root: Path, corpus: Corpus) -> Iterator[str]:
    """Files beside those of the clips, which nothing reads; hidden ones are the system's."""
    listed = {clip.path for clip in corpus.clips}
    for split in SPLITS:
        folder = audio_folder(root, split)
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path not in listed and not path.name.startswith("."):
                yield f"{path} is not listed in {split}.csv"


def _same_audio(corpus: Corpus, found: Mapping[Path, Examined]) -> list[list[Clip]]:
    """Groups of several clips with the same audio, in the order of the corpus."""
    groups: defaultdict[bytes, list[Clip]] = defaultdict(list)
    for clip in corpus.clips:
        digest = found[clip.path].digest
        if digest is not None:
            groups[digest].append(clip)
    return [group for group in groups.values() if len(group) > 1]


def _in_both_splits(corpus: Corpus, found: Mapping[Path, Examined]) -> Iterator[str]:
    """Test clips that training has heard."""
    for group in _same_audio(corpus, found):
        heard = [clip for clip in group if clip.split == "train"]
        for clip in group:
            if clip.split == "test" and heard:
                yield f"{clip.path} ({clip.label}) has the audio of {heard[0].path} ({heard[0].label}), a training clip"


def _repeated(corpus: Corpus, found: Mapping[Path, Examined]) -> dict[str, int]:
    sizes: Counter[str] = Counter(dict.fromkeys(SPLITS, 0))
    for group in _same_audio(corpus, found):
        for split, clips in Counter(clip.split for clip in group).items():
            sizes[split] += clips - 1
    return dict(sizes)


def _format_departures(corpus: Corpus, found: Mapping[Path, Examined]) -> Iterator[str]:
    for clip in corpus.clips:
        examined = found[clip.path]
        if examined.problem is None and (examined.sample_rate, examined.channels) != (PUBLISHED_RATE, 1):
            rate, channels = examined.sample_rate, examined.channels
            yield f"{clip.path} has {rate} Hz and {channels} channels, published are {PUBLISHED_RATE} Hz and 1"


def count_departures(corpus: Corpus, counts: Mapping[str, Counter[str]]) -> Iterator[str]:
    """Labels and numbers of clips that are not those of FSDnoisy18k; `counts` as in `Verification`."""
    for label in sorted(set(CLASSES) ^ set(corpus.classes)):
        yield f"label {label} is {'missing' if label in CLASSES else 'none of the published ones'}"
    for subset, published in FSDNOISY18K.items():
        by_class = [counts[subset][label] for label in corpus.classes]
        if sum(by_class) != published.clips:
            yield f"{subset} has {sum(by_class)} clips, published are {published.clips}"
        if (min(by_class), max(by_class)) != (published.smallest, published.largest):
            yield (
                f"{subset} has {min(by_class)} to {max(by_class)} clips a class, "
                f"published are {published.smallest} to {published.largest}"
            )


def _hour_departures(hours: Mapping[str, float]) -> Iterator[str]:
    for split, published in FSDNOISY18K_HOURS.items():
        present = hours["test"] if split == "test" else hours["clean"] + hours["noisy"]
        if abs(present - published) > HOURS_TOLERANCE:
            yield f"{split} has {present:.1f} hours, published are {published}"

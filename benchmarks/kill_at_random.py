"""Kills a small study in random ways at random moments until it is complete, and checks that nothing is lost or doubled.

    PYTHONPATH=.:tests python benchmarks/kill_at_random.py CORPUS ROUNDS [SEED]

CORPUS is a prepared corpus, e.g. of `acl-study data synth DIR --size tiny`. The study has a grid and a TPE search with ASHA, one
trial at a time. Each round begins it anew, kills it one to four times, then resumes it to its end, and compares it with a run that
nobody disturbed. A round is a line; the status is 1 if one failed.
"""

import random
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from support.command_line import acl_study
from support.kills import STUDY, WAYS, strike, wait_until_gone
from support.study_integrity import Results, assert_intact, results

_OF_RAY = ("gcs", "gcs, softly", "raylet", "raylet, softly", "agent")
CLEAN_STATUSES = {"worker": (0, 130, 1), **dict.fromkeys(_OF_RAY, (0, 130)), "sigterm": (-15, 0, 130)}


def run_round(corpus: Path, home: Path, draw: random.Random, longest: float, reference: Results) -> str:
    """One study, killed and resumed; returns what was done to it."""
    done, problems = [], []
    command: tuple[object, ...] = ("run", home.parent / "study.yaml", "--data", corpus, "--cpus", 2)
    for _ in range(draw.randint(1, 4)):
        process = acl_study(*command, "--home", home, wait=False)
        moment, way = draw.uniform(0.5, longest), draw.choice(WAYS)
        time.sleep(moment)
        struck = strike(process, way)
        started = time.monotonic()
        try:
            _, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            problems.append(f"hung after {way} at {moment:.1f} s")
            process.communicate()
            err = ""
        done.append(f"{way if struck else 'none'} at {moment:.1f} s -> {process.returncode} in {time.monotonic() - started:.1f} s")
        if "Traceback" in err or "error: unexpected" in err:
            problems.append(f"after {way} at {moment:.1f} s it said: {err[-1500:]}")
        if way in CLEAN_STATUSES and struck and process.returncode not in CLEAN_STATUSES[way]:
            problems.append(f"status {process.returncode} after {way}: {err[-500:]}")
        try:
            wait_until_gone(process.pid)
        except AssertionError as error:
            problems.append(f"after {way} at {moment:.1f} s: {error}")
    last = acl_study(*command, "--home", home)
    if last.returncode != 0:
        problems.append(f"the last launch: {last.returncode} {last.err[-1500:]}")  # type: ignore[attr-defined]
    try:
        wait_until_gone(last.pid)
        assert_intact(home, "crash", reference)
    except Exception:
        problems.append(traceback.format_exc())
    return "; ".join(done) + ("".join(f"\n   FAILED {problem}" for problem in problems) or "; whole")


def main(corpus: Path, rounds: int, seed: int = 0) -> int:
    """Run the rounds; returns the exit status."""
    draw, failed = random.Random(seed), 0
    with tempfile.TemporaryDirectory(prefix="kill-") as parent:
        (Path(parent) / "study.yaml").write_text(STUDY)
        undisturbed = Path(parent) / "undisturbed"
        started = time.monotonic()
        first = acl_study("run", Path(parent) / "study.yaml", "--data", corpus, "--cpus", 2, "--home", undisturbed)
        longest = time.monotonic() - started
        assert first.returncode == 0, first.err  # type: ignore[attr-defined]
        reference = results(undisturbed, "crash")
        print(f"undisturbed: {longest:.0f} s, {len(reference)} trials", flush=True)
        for number in range(1, rounds + 1):
            line = run_round(corpus, Path(parent) / f"round-{number}", draw, longest, reference)
            failed += "FAILED" in line
            print(f"round {number}: {line}", flush=True)
    print(f"{rounds} rounds, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0])))

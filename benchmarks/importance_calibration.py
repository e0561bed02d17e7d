"""How often a setting of no use is said to matter for the objective, and how often one that matters is found.

PYTHONPATH=.:tests .venv/bin/python benchmarks/importance_calibration.py [SEARCHES]
"""

import sys
from itertools import product

from support.simulated_searches import USEFUL, SearchCell, called

TRUTHS = tuple(USEFUL)
SIZES = {"random": ((2, 5), (2, 12), (3, 9), (3, 20), (6, 20)), "grid": ((2, 9), (3, 18), (3, 27)), "tpe": ((2, 12), (3, 20))}


def main(searches: int) -> None:
    print("| design | settings | rows | noise | " + " | ".join(f"{truth}: errs, finds" for truth in TRUTHS) + " |")
    print("|" + "---|" * (4 + len(TRUTHS)))
    for design, law in product(SIZES, ("normal", "t3")):
        for settings, rows in SIZES[design]:
            shown = []
            for truth in TRUTHS:
                matter = called(SearchCell(design, settings, rows, truth, law=law), searches)
                useful = USEFUL[truth]
                errs = f"{100 * matter[:, useful:].any(axis=1).mean():.1f}" if settings > useful else "–"
                finds = f"{100 * matter[:, :useful].mean():.0f}" if useful else "–"
                shown.append(f"{errs}, {finds}")
            print(f"| {design} | {settings} | {rows} | {law} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["1000"])[0]))

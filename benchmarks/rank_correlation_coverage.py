"""Coverage of the 95 % interval of Kendall's rank correlation, over numbers of pairs, correlations and laws.

PYTHONPATH=.:tests .venv/bin/python benchmarks/rank_correlation_coverage.py [SAMPLES]
"""

import sys
from itertools import product

from support.simulated_ranks import LAWS, coverage, true_tau

NUMBERS = (5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 60)
CORRELATIONS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.99)


def main(samples: int) -> None:
    print("| law | τ | " + " | ".join(f"{number} pairs" for number in NUMBERS) + " |\n|" + "---|" * (2 + len(NUMBERS)))
    for law, correlation in product(LAWS, CORRELATIONS):
        shares = [f"{100 * coverage(number, correlation, law, samples):.1f}" for number in NUMBERS]
        print(f"| {law} | {true_tau(correlation, law):.2f} | {' | '.join(shares)} |", flush=True)


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["2000"])[0]))

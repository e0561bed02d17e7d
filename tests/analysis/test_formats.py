"""Numbers as text."""

import statistics

import pytest

from analysis.formats import percent, points


@pytest.mark.parametrize("right", [29, 69, 101, 307])
def test_a_share_has_one_text_however_it_was_computed(right: int) -> None:
    share = right / 400  # ends in 5 at the second decimal of its percents
    ways = [share, sum([share] * 3) / 3, statistics.fmean([share - 0.1, share, share + 0.1]), 1 - (1 - share)]
    assert len({percent(way) for way in ways}) == 1
    assert {points(way) for way in ways} == {f"+{percent(share)}"}

"""Trials that several sections show."""

import pytest

from study import names

SSL = "self-supervised"


@pytest.fixture
def study(fakes):
    for subset in ("all", "clean"):
        for alpha in (1.0, 0.5):
            fakes.add(alpha, val=0.5, correct=50, data__subset=subset)
    for temperature in (0.1, 0.2):
        for alpha in (1.0, 0.3):
            fakes.add(alpha, val=0.6, correct=60, mode=SSL, loss__temperature=temperature, **{names.VAL_KNN_ACCURACY: 0.4})
    fakes.add(0.9, val=0.2, correct=0, outcome=names.STOPPED, data__subset="clean")
    return fakes

"""Sums over one-bit flips: the three criteria by their formulas, from the probabilities of all states."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor

from nvil_repro.learning.flips import draw_units
from nvil_repro.learning.minimum_probability_flow import minimum_probability_flow
from nvil_repro.learning.pseudolikelihood import pseudolikelihood
from nvil_repro.learning.ratio_matching import ratio_matching
from tests.learning.criteria_problems import EXACT, PROBLEMS, of_bits

FORMULAS: list[tuple[Callable[..., Tensor], Callable[[float, float], float | Tensor]]] = [
    (pseudolikelihood, lambda here, there: (here / (here + there)).log()),
    (ratio_matching, lambda here, there: -((1 / (1 + here / there)) ** 2)),
    (minimum_probability_flow, lambda here, there: -((there / here) ** 0.5)),
]
by_formula = pytest.mark.parametrize(("criterion", "formula"), FORMULAS)


@by_formula
def test_each_is_its_formula(criterion: Callable[..., Tensor], formula: Callable[..., Tensor]) -> None:
    """State s with bit j flipped is state s ^ 2^j."""
    family, theta, x, _ = problem = of_bits(*PROBLEMS["RBM"].args)
    chosen, p = [3, 8, 8, 13], problem.p
    naive = sum(formula(p[:, s], p[:, s ^ 2**j]) for s in chosen for j in range(4)) / len(chosen)
    torch.testing.assert_close(criterion(family, theta, x[:, chosen]), naive, **EXACT)
    other = sum(formula(p[:, s], p[:, s ^ 1]) for s in chosen for _ in range(4)) / len(chosen)  # control
    assert (other - naive).abs().max() > 1e-2
    weights = torch.tensor([[0.25, 0.5, 0.25]]).double()
    again = criterion(family, theta, x[:, [3, 8, 13]], weights)
    torch.testing.assert_close(again, naive, **EXACT)


@by_formula
def test_a_few_bits_stand_for_all(criterion: Callable[..., Tensor], formula: Callable[..., Tensor]) -> None:
    """The mean over all pairs of bits is the whole; a single pair is not."""
    family, theta, x, _ = of_bits(*PROBLEMS["RBM"].args)
    pairs = [criterion(family, theta, x, units=torch.tensor(pair)) for pair in combinations(range(4), 2)]
    whole = criterion(family, theta, x)
    torch.testing.assert_close(torch.stack(pairs).mean(0), whole, **EXACT)
    assert (pairs[0] - whole).abs().max() > 1e-2  # control


@by_formula
def test_a_case_may_have_bits_of_its_own(
    criterion: Callable[..., Tensor], formula: Callable[..., Tensor]
) -> None:
    family, theta, x, _ = of_bits(*PROBLEMS["RBM"].args)
    own = torch.tensor([[0, 3], [1, 2]])
    found = criterion(family, theta, x[:, [5, 9]], units=own)
    alone = [criterion(family, theta, x[:, [s]], units=u) for s, u in zip((5, 9), own, strict=True)]
    torch.testing.assert_close(found, torch.stack(alone).mean(0), **EXACT)


def test_units_are_the_least_uniforms() -> None:
    uniforms = torch.tensor([[0.3, 0.1, 0.9, 0.2], [0.0, 0.5, 0.3, 0.9]])
    assert draw_units(uniforms, 2).tolist() == [[1, 3], [0, 2]]
    with pytest.raises(ValueError, match="count=5: expected 1 to 4"):
        draw_units(uniforms, 5)

"""log Z by annealed importance sampling (Neal 2001), from below and from above.

Chains that rise from the base give weights of mean Z / Z_0, so that log Z is underestimated in expectation, which
flatters the model's likelihood; chains that fall from samples of the model give weights of mean Z_0 / Z, which errs on
the other side (Grosse, Ghahramani & Adams 2015). The two together are a bracket. What falls is only as good as what it
falls from: of `target_samples`, only exact ones make the upper end more than a heuristic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.annealed_importance import annealed_log_weights
from nvil_repro.evaluation.annealing_path import Path, Watch, annealing_path, begin, draws
from nvil_repro.evaluation.ladders import checked_ladder
from nvil_repro.evaluation.partition_estimate import PartitionEstimate, check_chains, of_weights
from nvil_repro.models.unnormalised import Family


class Bracket(NamedTuple):
    """log Z between the lower end of an estimate that errs low and the upper end of one that errs high.

    The upper end is what `of_weights` promises only where the chains fell from exact samples of the model.
    Where `lower` exceeds `upper`, chains from the two ends see different parts of the model: believe neither.
    """

    rising: PartitionEstimate
    falling: PartitionEstimate

    @property
    def lower(self) -> Tensor:
        """[R], in nats."""
        return self.rising.lower

    @property
    def upper(self) -> Tensor:
        """[R], in nats."""
        return self.falling.upper


@torch.no_grad()
def ais(
    family: Family,
    theta: Any,
    *,
    ladder: Sequence[float],
    chains: int = 100,
    mean: Tensor | None = None,
    seed: int = 0,
    watch: Watch | None = None,
) -> PartitionEstimate:
    """log Z by C `chains` from the family's base, near data of this mean [D] if it is given, up the ladder.

    For an RBM with the mean of its training data this is Salakhutdinov & Murray (2008). Replicas share uniforms.
    Errors: `ValueError` for a ladder that does not rise from 0 to 1, or fewer than two chains; as `annealing_path`.
    """
    check_chains(chains)
    path, rungs = annealing_path(family, theta, mean), checked_ladder(ladder)
    log_weights = anneal(path, rungs, begin(path, chains, seed, "ais"), seed, "ais", watch)
    return of_weights("AIS", path.log_z, log_weights)


@torch.no_grad()
def reverse_ais(
    family: Family,
    theta: Any,
    samples: Tensor,
    *,
    ladder: Sequence[float],
    mean: Tensor | None = None,
    seed: int = 0,
    watch: Watch | None = None,
) -> PartitionEstimate:
    """log Z by chains that fall from samples of the model, x [R or 1, C, D], down the ladder to the base.

    Errors: as `ais`.
    """
    check_chains(samples.shape[1])
    path, rungs = annealing_path(family, theta, mean), checked_ladder(ladder)[::-1]
    log_weights = anneal(path, rungs, path.enter(samples), seed, "reverse ais", watch)
    return of_weights("reverse AIS", path.log_z, log_weights, falling=True)


def anneal(
    path: Path, rungs: Sequence[float], state: Any, seed: int, name: str, watch: Watch | None = None
) -> Tensor:
    """log w [R, C] of chains taken up the rungs, or down.

    The step at rung k is by `draws` number k, in compiled code (`kernels.rbm_annealing`) as here.
    """
    if path.compiled:
        return path.compiled(rungs, path.cases(state), seed, name, watch)
    chains = path.cases(state).shape[1]

    def transition(state: Any, b: float, k: int) -> Any:
        if watch:
            watch(k)
        return path.step(state, b, draws(path, chains, seed, name, k))

    log_weights, _ = annealed_log_weights(rungs, state, path.log_ratio, transition)
    return log_weights[-1]

"""What stays fixed while restricted Boltzmann machines train by Markov chains, on the torch road and compiled.

One update of a machine theta, in this order; means are over the B cases x of the minibatch, or over the C chains:

1. Chains take their Gibbs steps under theta, or under theta + fast where there are fast weights: from x itself for
   "cd", from where they were for "pcd" and "fpcd".
2. slope = mean gradient of log p* at x less that at the chains' ends, both under theta; weights are h = p(h = 1 | x).
   Objective: the free-energy gap, mean log p*(x) less mean log p* of the chains' ends, both under theta.
3. Slopes of `fixed` parts, which only the torch road knows, become zero. If centred, offsets move towards the means of
   x and of p(h = 1 | x): o += offset_rate (mean - o), and the slope becomes that of the centred machine
   (`centring.to_centred`).
4. fast = fast_decay fast + fast_rate slope, the slope taken back to ordinary parameters (`centring.from_centred`).
5. step = rate direction(slope), less rate weight_decay W for the weights, theta's first part, unless they are fixed;
   the moments move within `optimisers.direction`.
6. theta += step, taken back to ordinary parameters if centred.
"""

from __future__ import annotations

from typing import NamedTuple

from nvil_repro.learning.fast_weights import DECAY
from nvil_repro.training.optimisers import Optimiser

PERSISTENT = ("pcd", "fpcd")  # criteria whose chains go on from update to update


class RbmPlan(NamedTuple):
    """Which negative phase, and the constants of the update; rates multiply means over the minibatch."""

    criterion: str  # "cd", "pcd" or "fpcd"
    optimiser: Optimiser
    weight_decay: float = 0.0
    fast_rate: float = 0.0
    fast_decay: float = DECAY
    centred: bool = False
    offset_rate: float = 0.01  # Melchior, Fischer & Wiskott (2016)
    fixed: tuple[str, ...] = ()  # names of parts of theta that stay as they began; none if centred

"""Pyro's `TraceGraph_ELBO` on the same model, written as its documentation writes it.

Its decaying-average baseline stands for c, its neural baseline for C_psi, each on where ours is. Variance
normalisation, which Pyro does not have, is left out; validation is switched off, in Pyro's favour.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import count
from typing import Any

from torch import Tensor

from benchmarks.peers import Step, in_turn
from benchmarks.timing import Way
from benchmarks.work import Work
from nvil_repro.learning.nvil import Ingredients
from nvil_repro.models.modules import as_modules

_models = count()


def pyro_version() -> str | None:
    """The installed version, None if there is none."""
    if find_spec("pyro") is None:
        return None
    import pyro

    return str(pyro.__version__)


def pyro_elbo(work: Work) -> list[Way]:
    """An `SVI` step of each replica; no way at all where Pyro is not installed."""
    if pyro_version() is None:
        return []
    return in_turn(work, [_step(work, r, switches) for r, switches in enumerate(work.ingredients)])


def _step(work: Work, replica: int, ingredients: Ingredients) -> Step:
    import pyro
    from pyro.distributions import Bernoulli
    from pyro.infer import SVI, TraceGraph_ELBO
    from pyro.optim import SGD  # type: ignore[attr-defined]

    pyro.enable_validation(False)
    net, q, psi = as_modules(work.net(), replica)
    settings = work.settings
    rates = {"p": settings.rate, "q": settings.inference_rate, "c": settings.baseline_rate}
    own = f"{next(_models)}"  # Pyro keeps parameters and running averages by name, for the whole process
    names = [f"h{i + 1}_{own}" for i in range(len(work.layers))]

    def model(x: Tensor) -> None:
        pyro.module(f"p{own}", net)
        with pyro.plate("cases", len(x)):
            logits = net.prior.bias.expand(len(x), -1)
            for name, layer in zip(reversed(names), reversed(net.layers), strict=True):
                logits = layer(pyro.sample(name, Bernoulli(logits=logits).to_event(1)))
            pyro.sample("x", Bernoulli(logits=logits).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module(f"q{own}", q)
        below = x - q.centre
        with pyro.plate("cases", len(x)):
            for i, (name, layer) in enumerate(zip(names, q.layers, strict=True)):
                baseline: Any = {
                    "use_decaying_avg_baseline": ingredients.constant_baseline,
                    "baseline_beta": settings.alpha,
                }
                if ingredients.input_baseline:
                    network = pyro.module(f"c{own}_{i}", psi[i].network)
                    baseline["nn_baseline"] = lambda inputs, network=network: network(inputs).squeeze(-1)
                    baseline["nn_baseline_input"] = below
                fn = Bernoulli(logits=layer(below)).to_event(1)
                below = pyro.sample(name, fn, infer={"baseline": baseline})  # type: ignore[arg-type]

    # The first letter of a full name is its group; Pyro hands over its running averages too, which have no gradient.
    svi = SVI(model, guide, SGD(lambda name: {"lr": rates.get(name[0], 0.0)}), TraceGraph_ELBO())
    return svi.step

"""The fast road: NVIL's gradients for linear-logistic conditionals in closed form, R replicas at a time.

Every conditional is Bernoulli, or of words, and its logits are linear in its input, so
d log p / d weight = input^T (x - E[x]) and no graph is needed. Equal to `learning.general` to rounding, for every
ingredient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nvil_repro.learning.nvil import ALPHA, Ingredients, Signals, SignalState, signals_of
from nvil_repro.models import belief_net, bernoulli
from nvil_repro.models.autoregressive import strictly_upper
from nvil_repro.models.belief_net import BeliefNet, Visible
from nvil_repro.models.linear import NONE, Baseline, Conditional, Linear


def nvil_gradients(
    net: BeliefNet,
    x: Tensor,
    h: Sequence[Tensor],
    state: SignalState,
    ingredients: Ingredients,
    alpha: float = ALPHA,
    visible: Visible = bernoulli,
    q_logits: Sequence[Tensor] | None = None,
) -> tuple[BeliefNet, Signals]:
    """Algorithm 1's ascent directions, summed over the minibatch, for x [R or 1, B, D] and given bits h^i [R, B, H_i],
    whose `belief_net.q_logits` are computed here unless given.

    Returns a `BeliefNet` of gradients (its centre, which is not trained, is zero) and the signals with the new state.
    A baseline's gradient is zero where its switch is off.
    Errors: `ValueError` if the input-dependent baseline is on in a net without baselines.
    """
    below = belief_net.inputs(net, x, h)
    q_logits, p_logits = q_logits or belief_net.q_logits(net, x, h), belief_net.p_logits(net, x, h)
    q_terms, p_terms = belief_net.log_q_given(q_logits, h), belief_net.log_p_given(p_logits, x, h, visible)
    check_baselines(net, ingredients)
    units = [baseline.units(inp) for baseline, inp in zip(net.baselines, below, strict=False)]
    idbs = [baseline.of_units(hidden) for baseline, hidden in zip(net.baselines, units, strict=True)]
    values = torch.stack(idbs) if idbs else torch.zeros_like(q_terms)
    signals = signals_of(p_terms, q_terms, values, state, ingredients, alpha)

    switch = torch.as_tensor(ingredients.input_baseline, device=x.device).to(x.dtype)
    residuals = signals.used * (switch[:, None] if switch.ndim else switch)
    baselines = zip(net.baselines, below, units, residuals, strict=False)
    gradients = model_gradient(net, x, h, p_logits, visible)._replace(
        recognition=inference_gradient(net, x, h, q_logits, signals.used),
        baselines=tuple(_baseline(*parts) for parts in baselines),
    )
    return gradients, signals


def check_baselines(net: BeliefNet, ingredients: Ingredients) -> None:
    """Errors: `ValueError` if the input-dependent baseline is on in a net without baselines."""
    if not net.baselines and bool(torch.as_tensor(ingredients.input_baseline).any()):
        raise ValueError(
            "the input-dependent baseline is on, but the net has no baselines: switch it off or give them"
        )


def model_gradient(
    net: BeliefNet, x: Tensor, h: Sequence[Tensor], logits: Sequence[Tensor], visible: Visible = bernoulli
) -> BeliefNet:
    """d log P(x, h) (equation 4), summed over the minibatch, given `p_logits(net, x, h)`.

    The inference network and the baselines are left out.
    """
    bits = [x, *h]
    lowest, *deeper = logits
    errors = [visible.error(lowest, x), *(bernoulli.error(a, b) for a, b in zip(deeper, h, strict=True))]
    return BeliefNet(
        centre=torch.zeros_like(net.centre),
        prior=errors[-1].sum(1),
        generative=_conditionals(net.generative, h, bits[:-1], errors[:-1]),
        recognition=(),
        baselines=(),
        prior_lateral=_lateral(net.top, h[-1], errors[-1]),
    )


def inference_gradient(
    net: BeliefNet,
    x: Tensor,
    h: Sequence[Tensor],
    logits: Sequence[Tensor],
    signals: Tensor | None = None,
) -> tuple[Conditional, ...]:
    """l d log Q(h | x), summed over the minibatch, layer by layer, given `q_logits(net, x, h)`.

    Signals l are [L, R, B], or one everywhere.
    """
    errors = [bernoulli.error(a, b) for a, b in zip(logits, h, strict=True)]
    if signals is not None:
        errors = [error * l[..., None] for error, l in zip(errors, signals, strict=True)]
    return _conditionals(net.recognition, belief_net.inputs(net, x, h), h, errors)


def _conditionals(
    layers: Sequence[Conditional], inputs: Sequence[Tensor], bits: Sequence[Tensor], errors: Sequence[Tensor]
) -> tuple[Conditional, ...]:
    """Gradients of each layer from its inputs [R or 1, B, in], bits [R or 1, B, out] and errors [R, B, out]."""
    rows = zip(layers, inputs, bits, errors, strict=True)
    return tuple(Conditional(*_linear(i, error), _lateral(layer, b, error)) for layer, i, b, error in rows)


def _lateral(layer: Conditional, bits: Tensor, errors: Tensor) -> Tensor:
    """The bits are inputs too, of the units after them."""
    return strictly_upper(torch.matmul(bits.mT, errors)) if layer.autoregressive else NONE


def _linear(inputs: Tensor, errors: Tensor) -> Linear:
    """Gradient of sum_b (log-likelihood) from inputs [R or 1, B, in] and errors (bits - mean) [R, B, out]."""
    return Linear(torch.matmul(inputs.mT, errors), errors.sum(1))


def _baseline(baseline: Baseline, inputs: Tensor, units: Tensor, residuals: Tensor) -> Baseline:
    """sum_b l dC_psi(x) by backpropagation through the tanh `units` [R, B, units]; residuals [R, B]."""
    back = residuals[..., None] * baseline.output.weight.mT * (1 - units**2)
    return Baseline(_linear(inputs, back), _linear(units, residuals[..., None]))

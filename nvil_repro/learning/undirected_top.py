"""A lower bound for the positive phase, Markov chains for the negative one: NVIL below an undirected top.

Chapter 18 of Deep Learning wants the negative phase by MCMC, as then the positive one may be that of a lower bound. Of
L(x) = E_Q[log P*(x, h) - log Q(h | x)] - log Z

- the inference network's gradient is NVIL's with the learning signal log P* - log Q. It lacks log Z, a constant, which
  E_Q[d log Q] = 0 turns into nothing: the baselines take it in, as they would any other;
- the model's is E_Q[d log P*(x, h)], at h ~ Q, less d log Z = E_p(h)[d log p*(h^L)], at the states of persistent chains
  of the machine on top (Algorithm 18.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nvil_repro.learning.nvil import ALPHA, Ingredients, Signals, SignalState, signals_of
from nvil_repro.models import belief_net, rbm
from nvil_repro.models.undirected_top import DeepBeliefNet, log_p_terms, parameters, with_parameters


def undirected_gradients(
    model: DeepBeliefNet,
    x: Tensor,
    h: Sequence[Tensor],
    chains: Tensor,
    state: SignalState,
    ingredients: Ingredients | None = None,
    alpha: float = ALPHA,
) -> tuple[DeepBeliefNet, Signals]:
    """Ascent directions, summed over the minibatch x [R or 1, B, D], with the signals and the new state.

    h^i [R, B, H_i] is a sample of Q(h | x), and `chains` [R, C, H_L] are samples of p(h^L), or what stands for them.
    `signals.raw[0]` is the bound plus log Z, of each case by one sample. Switches of `ingredients` are booleans.
    """
    ingredients = ingredients or Ingredients()
    with torch.enable_grad():
        # `data`: the same memory, but no record of what other threads do to the parts of other replicas
        leaves = [tensor.data.requires_grad_() for _, tensor in parameters(model)]
        model = with_parameters(model, leaves)
        p_terms, q_terms = log_p_terms(model, x, h), belief_net.log_q_terms(model.net, x, h)
        below = belief_net.inputs(model.net, x, h)
        values = torch.stack([c(seen) for c, seen in zip(model.net.baselines, below, strict=True)])
        with torch.no_grad():
            signals = signals_of(p_terms, q_terms, values, state, ingredients, alpha)
        positive = p_terms.sum() + (signals.used * q_terms).sum()
        if ingredients.input_baseline:
            positive = positive + (signals.used * values).sum()
        negative = x.shape[1] * rbm.log_unnormalised(model.top, chains).mean(-1).sum()
        found = torch.autograd.grad(positive - negative, leaves, allow_unused=True, materialize_grads=True)
    return with_parameters(model, found), signals

"""Recipes build what they say, and nothing but the seed and the training mean decides what."""

from __future__ import annotations

import pickle

import pytest
import torch

from nvil_repro.evaluation.general_bounds import general_weights
from nvil_repro.models import bernoulli
from nvil_repro.training.recipes import BernoulliRecipe, GaussianRecipe
from tests import oracle

MEAN = torch.tensor([0.2, 0.5, 0.9, 0.0, 1.0, 0.4])
RECIPES = [GaussianRecipe(3, (5, 4), (7,)), BernoulliRecipe(3), BernoulliRecipe(3, (5, 4))]


def flat(nets):
    return torch.cat([p.detach().flatten() for p in nets.parameters()])


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_recipe_is_a_function_of_seed_and_mean(recipe):
    before = torch.get_rng_state()
    first, again, other = recipe(MEAN, 0), pickle.loads(pickle.dumps(recipe))(MEAN, 0), recipe(MEAN, 1)
    assert torch.equal(flat(first), flat(again))
    assert not torch.equal(flat(first), flat(other))
    assert torch.equal(before, torch.get_rng_state())
    weights = general_weights(first, oracle.random_bits(4, 6), 2)
    assert weights.shape == (4, 2)
    assert weights.isfinite().all()


def test_sizes_are_those_written_down():
    nets = RECIPES[0](MEAN, 0)
    assert [p.shape[0] for p in nets.inference.network.parameters()][::2] == [5, 4, 6]
    assert [p.shape[0] for p in nets.model.network.parameters()][::2] == [7, 6]
    assert len(RECIPES[1](MEAN, 0).inference.network) == 1  # linear, as in the paper


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_without_latents_a_model_starts_as_independent_pixels(recipe):
    nets, x = recipe(MEAN, 0), oracle.random_bits(1, 6).float()
    for parameter in nets.model.parameters():
        if parameter.ndim > 1:
            parameter.data.zero_()
    h = nets.inference.sample(x, torch.full((1, 3), 0.5))
    right = bernoulli.log_prob(torch.logit(MEAN * 0.98 + 0.01), x)
    torch.testing.assert_close(nets.model.log_prob(x, h)[0].detach(), right)

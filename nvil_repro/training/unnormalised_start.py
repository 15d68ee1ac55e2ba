"""Unnormalised models before their first update, by the names of their families."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.learning.criteria import CRITERIA
from nvil_repro.learning.markov_chains import sampler
from nvil_repro.models.boltzmann import BOLTZMANN, boltzmann
from nvil_repro.models.gaussian_rbm import GAUSSIAN_RBM, gaussian_rbm
from nvil_repro.models.rbm import RBM, rbm
from nvil_repro.models.unnormalised import BITS, Family, like
from nvil_repro.training import likelihood
from nvil_repro.training.method import Splits
from nvil_repro.training.settings import DTYPES, SettingsError
from nvil_repro.training.unnormalised_likelihood import has_log_z
from nvil_repro.training.unnormalised_settings import CHAINS, KEPT, LIKELIHOOD, UnnormalisedSettings


class Start(NamedTuple):
    """A family and its parameters at the start, a replica a seed; your own family begins with one of these."""

    family: Family
    theta: Any


def mean_of(x: Tensor) -> Tensor:
    """The mean of cases [N, D] in float64: [D]."""
    return x.sum(0, dtype=torch.int64 if x.dtype == torch.uint8 else torch.float64).double() / len(x)


def _rbm(s: UnnormalisedSettings, x: Tensor) -> Any:
    return rbm(s.hidden, s.seeds, mean=mean_of(x), scale=s.scale, dtype=DTYPES[s.dtype])


def _gaussian_rbm(s: UnnormalisedSettings, x: Tensor) -> Any:
    mean, sd = mean_of(x), x.double().std(0)
    return gaussian_rbm(s.hidden, s.seeds, mean=mean, sd=sd, scale=s.scale, dtype=DTYPES[s.dtype])


def _boltzmann(s: UnnormalisedSettings, x: Tensor) -> Any:
    return boltzmann(s.seeds, mean=mean_of(x), scale=s.scale, dtype=DTYPES[s.dtype])


FAMILIES: dict[str, tuple[Family, Callable[[UnnormalisedSettings, Tensor], Any]]] = {
    "RBM": (RBM, _rbm),
    "GaussianRBM": (GAUSSIAN_RBM, _gaussian_rbm),
    "Boltzmann": (BOLTZMANN, _boltzmann),
}


def checked_start(settings: UnnormalisedSettings, data: Splits, own: Start | None = None) -> Start:
    """Where training begins: `own`, or fresh models of `settings.family`, near the mean of the training cases.

    Errors: `SettingsError` for an unknown family or parameter, or an `own` that does not fit; `ValueError` if the data
    is not what the family's x are, or the family lacks what the criterion or the temperatures need.
    """
    if own is None and settings.family not in FAMILIES:
        raise SettingsError(
            f"family={settings.family!r}: expected one of {', '.join(FAMILIES)}, or give `train` a Start of your own"
        )
    family = own.family if own else FAMILIES[settings.family][0]
    if family.name in FAMILIES and family is not FAMILIES[family.name][0]:
        raise SettingsError(
            f"a family of your own named {family.name!r}: that name belongs to a family of nvil_repro; choose another"
        )
    check_cases(family, data, settings.batch_size)
    theta = own.theta if own else FAMILIES[settings.family][1](settings, data.train)
    if (own and family.name != settings.family) or len(theta[0]) != len(settings.seeds):
        raise SettingsError(
            f"family={settings.family!r} with {len(settings.seeds)} seeds, and a start of {family.name!r} with "
            f"{len(theta[0])} replicas: expected the same name, and a replica a seed"
        )
    if flat := [name for name, part in zip(theta._fields, theta, strict=True) if part.ndim < 2]:
        raise SettingsError(
            f"{', '.join(flat)} of {family.name} has one axis: expected replicas first and at least one axis more, "
            "[R, 1] for a number"
        )
    if family.visible(theta) != data.train.shape[-1]:
        raise ValueError(
            f"train has {data.train.shape[-1]} columns and {family.name} {family.visible(theta)} visible units"
        )
    if unknown := set(settings.fixed) - set(theta._fields):
        raise SettingsError(f"fixed={settings.fixed}: {unknown} is none of {', '.join(theta._fields)}")
    _check_abilities(settings, family, theta)
    return Start(family, like(theta, [part.detach().to(DTYPES[settings.dtype]) for part in theta]))


def check_cases(family: Family, data: Splits, least: int) -> None:
    """Errors: `ValueError` if the splits are not bits where the family's x are, or reals that are not finite floats
    [N, D] of as many columns, or `train` has fewer than `least` cases.
    """
    if family.support == BITS:
        return likelihood.check_data(data, least)
    for name, x in (("train", data.train), ("valid", data.valid)):
        fits = x.ndim == 2 and len(x) and x.shape[-1] == data.train.shape[-1]
        if not fits or not x.is_floating_point() or not bool(x.isfinite().all()):
            raise ValueError(
                f"{name} is {x.dtype} {tuple(x.shape)}: {family.name} expects finite floats [N, D], of as many columns "
                "in both splits"
            )
    if len(data.train) < least:
        raise ValueError(
            f"train has {len(data.train)} cases: expected at least {least}, give more or ask less"
        )


def _check_abilities(settings: UnnormalisedSettings, family: Family, theta: Any) -> None:
    if settings.criterion in CHAINS or settings.criterion in KEPT:
        sampler(family)
    if settings.temperatures > 1 and family.base is None:
        raise ValueError(f"{family.name} has no base to temper towards: give the family a `base`")
    support = CRITERIA[settings.criterion].support if settings.criterion in CRITERIA else None
    if support not in (None, family.support):
        names = [c.name for c in CRITERIA.values() if c.support in (None, family.support)]
        raise ValueError(
            f"{settings.criterion} is for models of {support}, and the visible units of {family.name} are "
            f"{family.support}: choose one of {', '.join(names)}"
        )
    if settings.criterion in (*LIKELIHOOD, *KEPT) and not has_log_z(family, theta, settings.exact_units):
        raise ValueError(
            f"log Z of {family.name} can be neither enumerated (exact_units={settings.exact_units}) nor annealed: give "
            "the family a `base`, or a larger exact_units"
        )

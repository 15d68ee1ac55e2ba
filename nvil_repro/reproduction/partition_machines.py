"""The machines whose partition functions are estimated: trained on MNIST by PCD, with samples of their own."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nvil_repro.data.mnist import MnistSplits, held_out
from nvil_repro.evaluation.target_samples import exact_samples, gibbs_samples
from nvil_repro.files import write_atomic
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.rbm_arrays import rbm_to_arrays
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.partition_methods import Machine
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.reproduction.rbm_measurements import levels
from nvil_repro.reproduction.rbm_systems import machine_folder, mnist_settings, multiply_adds
from nvil_repro.training import unnormalised
from nvil_repro.training.progress import Progress
from nvil_repro.training.threads import one_thread
from nvil_repro.training.together import Job, train_together
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings
from nvil_repro.training.unnormalised_start import mean_of

METHOD = "PCD"


class Cell(NamedTuple):
    """One machine: its hidden units, and the seed it is trained by."""

    hidden: int
    seed: int


class Trained(NamedTuple):
    """A machine, how it was trained and where it is kept; `burn_in` 0 stands for exact samples."""

    machine: Machine
    settings: UnnormalisedSettings
    folder: Path
    burn_in: int
    updates: int
    level: float  # mean log p* of the run's test cases, in nats

    @property
    def answers(self) -> Path:
        """Where what is found out about log Z is kept: see `net_folder`."""
        return net_folder(self.folder, self.machine.theta)


def net_folder(folder: Path, theta: Rbm) -> Path:
    """Of what is known of these very parameters, named by their bytes; within `folder`, that of their training, whose
    checkpoints tell how far training is.
    """
    digest = hashlib.sha256(b"".join(part.numpy().tobytes() for part in theta))
    return folder / f"log-z-{digest.hexdigest()[:12]}"


def trainings(run: Run, cases: int) -> dict[Cell, UnnormalisedSettings]:
    """For every seed a machine that can be enumerated, then the larger one; `cases` are the training cases."""
    s = run.settings
    return {
        Cell(hidden, seed): mnist_settings(
            METHOD, hidden=hidden, passes=s.passes, evaluations=s.evaluations, seed=seed, cases=cases
        )
        for hidden in dict.fromkeys((s.exact_hidden, s.hidden))
        for seed in s.seeds
    }


def train_machines(run: Run, data: MnistSplits) -> dict[Cell, Trained]:
    """Train every machine, or take it from its folder, as training leaves it, and draw its samples.

    Not the best on validation: an estimate of log Z that fails flatters, and so would be chosen.
    Errors: `ValueError` naming a machine that diverged.
    """
    jobs, visible = {}, data.train.shape[1]
    for cell, settings in trainings(run, len(data.train)).items():
        folder = machine_folder(run, data.dataset, METHOD, settings)
        title, cost = f"RBM {cell.hidden}, {METHOD}, seed {cell.seed}", multiply_adds(settings, visible)
        jobs[cell] = Job(unnormalised.train, settings, folder, title, settings.updates, cost)
    results = train_together(jobs, data)
    if lost := [jobs[cell].title for cell, result in results.items() if result.diverged]:
        raise ValueError(f"diverged: {', '.join(lost)}; without a machine there is no log Z to estimate")
    trained = {}
    with one_thread(), Progress(len(jobs), "Samples of the machines", unit="machine") as progress:
        for cell, result in results.items():
            trained[cell] = _with_samples(run, data, cell, jobs[cell], result.final, result.updates)
            progress.step(1)
    return trained


def _with_samples(run: Run, data: MnistSplits, cell: Cell, job: Job, theta: Rbm, updates: int) -> Trained:
    s, test = run.settings, held_out(data, run.settings.test_cases)
    if cell.hidden == s.exact_hidden:
        count, burn_in = s.trials * s.chains, 0
        draw: Callable[[], Tensor] = partial(exact_samples, RBM, theta, count, cell.seed)
    else:
        count, burn_in = s.chains, s.burn_in
        draw = partial(gibbs_samples, RBM, theta, data.test, count, burn_in=burn_in, seed=cell.seed)
    samples = _kept(net_folder(job.folder, theta) / _samples_file(count, burn_in), draw)
    machine = Machine(theta, mean_of(data.train), samples, held_out(data, s.reverse_cases))
    return Trained(machine, job.settings, job.folder, burn_in, updates, levels(theta, test).mean().item())


def _samples_file(count: int, burn_in: int) -> str:
    code = code_hash(of=("evaluation/target_samples.py",))
    return f"samples-{count}-{f'after-{burn_in}' if burn_in else 'exact'}-{code}.npy"


def _kept(path: Path, draw: Callable[[], Tensor]) -> Tensor:
    """Samples [S, D], uint8, of one replica: from the file, or drawn and kept there."""
    if not path.is_file():
        content = io.BytesIO()
        np.save(content, draw()[0].to(torch.uint8).numpy(), allow_pickle=False)
        write_atomic(path, content.getvalue())
    return torch.from_numpy(np.load(path, allow_pickle=False))


def save_arrays(trained: Trained) -> Path:
    """The machine as an .npz file of plain arrays, in its folder: what `nvil-repro evaluate-rbm` reads."""
    content = io.BytesIO()
    arrays: dict[str, Any] = rbm_to_arrays(trained.machine.theta)
    np.savez(content, **arrays)
    return write_atomic(trained.folder / "rbm.npz", content.getvalue())

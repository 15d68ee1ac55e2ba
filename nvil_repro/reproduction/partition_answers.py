"""Answers to what log Z is, kept in the folder of the machine they are about; a job each, so that many run at once."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.files import settings_hash, write_atomic
from nvil_repro.reproduction.partition_methods import EXACT, METHODS, Machine, Question
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.training.progress import Progress
from nvil_repro.training.threads import one_thread

REPORT_SECONDS = 10.0
ELEMENT = 30  # multiply-adds that a uniform and a sigmoid cost, about


class Material(NamedTuple):
    """What the jobs of a run have before them."""

    machines: Mapping[str, Machine]  # by the names of their folders
    mnist: MnistSplits


class Answer(NamedTuple):
    """An estimate of log Z in nats, its interval, how many samples are effective, and what it cost."""

    log_z: float
    lower: float
    upper: float
    ess: float  # 0 of exact values
    seconds: float


def answer_file(question: Question) -> str:
    """Where the answers are kept: a name that changes with the question and with the code that answers it."""
    code = code_hash(of=("reproduction/partition_methods.py",))
    return f"log-z-{settings_hash({'question': asdict(question), 'code': code})}.json"


def answer(
    question: Question,
    material: Material,
    folder: Path,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> list[Answer]:
    """An answer a seed, from `folder`, within the machine's, if they are there: as `training.together.Job` calls it."""
    path = folder / answer_file(question)
    if not path.is_file():
        with one_thread(), Progress(len(question.seeds), title, unit="estimate", style=progress) as bar:
            found = _answers(question, material.machines[folder.parent.name], bar)
        write_atomic(path, json.dumps(found))
    return [Answer(*each) for each in json.loads(path.read_text())]


def _answers(question: Question, machine: Machine, bar: Progress) -> list[Answer]:
    found: list[Answer] = []
    told = time.monotonic()
    for seed in question.seeds:
        began = time.perf_counter()
        estimate = METHODS[question.method](machine, question, seed)
        log_z, lower, upper, ess = (column.item() for column in estimate[1:])
        found.append(Answer(log_z, lower, upper, ess, time.perf_counter() - began))
        bar.step(1)
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            bar.report("")
    return found


def multiply_adds(question: Question, machine: Machine) -> float:
    """Of all its answers, about."""
    visible, hidden = machine.theta.weight.shape[1:]
    of_a_case = 2.0 * visible * hidden + ELEMENT * (visible + hidden)
    if question.method == EXACT:
        return 2.0**hidden * of_a_case
    return len(question.seeds) * max(1, question.rungs) * max(1, question.chains) * of_a_case

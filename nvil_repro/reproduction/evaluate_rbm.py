"""`nvil-repro evaluate-rbm`: log Z of an RBM given as arrays, and what probability it gives to test cases.

FILE.npz holds `weights` [visible, hidden], `visible_bias` and `hidden_bias`, float32 or float64, of the energy
-visible_bias.x - hidden_bias.h - x weights h of bits x and h. Where one side has at most 20 units log Z is exact; else
annealed importance sampling estimates it with an interval of 3 standard errors, and, together with chains that fall
from the best samples of the model to be had, a bracket: wrong, and still narrow, about a mode that both miss.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.mnist import PIXELS, Binarisation, MnistSplits, load_mnist
from nvil_repro.evaluation.annealing_path import known_base
from nvil_repro.evaluation.exact import CHUNK, LIMIT
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.ladders import LADDERS, named_ladder, uniform_ladder
from nvil_repro.evaluation.partition import Bracket, ais, reverse_ais
from nvil_repro.evaluation.target_samples import annealed_samples, exact_samples, gibbs_samples
from nvil_repro.models.arrays import bits
from nvil_repro.models.rbm import RBM, Rbm, log_unnormalised
from nvil_repro.models.rbm_arrays import read_rbm
from nvil_repro.training.progress import Progress

METHODS = ("auto", "exact", "ais")
DATA: dict[str, Binarisation] = {
    "mnist-fixed": "fixed",
    "fixed": "fixed",
    "mnist-binarised-seed0": "pinned",
    "pinned": "pinned",
    "mnist": "auto",
}
RUNGS, BURN_IN = 3000, 1000
LARGE = (
    1 << 16
)  # weights from which chains run in single precision; log Z of theirs moves far less than it is sure
REPORT_SECONDS = 10.0

Ends = tuple[float, float]


class LogZ(NamedTuple):
    """log Z in nats, and how it came about; exact values are their own interval and bracket."""

    method: str
    log_z: float
    log_z_interval: Ends
    log_z_bracket: Ends
    ess: float | None = None
    notes: tuple[str, ...] = ()


class LogProb(NamedTuple):
    """The mean log-probability of test cases in nats, with what the bracket of log Z makes of it."""

    log_prob: float
    log_prob_bracket: Ends
    cases: int
    dataset: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `nvil-repro evaluate-rbm`."""
    parser.add_argument("file", type=Path, metavar="FILE.npz", help="weights, visible_bias and hidden_bias")
    parser.add_argument("--data", metavar="NAME", help=f"whose test cases to judge by: {', '.join(DATA)}")
    parser.add_argument("--json", action="store_true", help="a JSON object instead of text")
    parser.add_argument(
        "--method", choices=METHODS, default="auto", help="auto: exact where that is possible"
    )
    parser.add_argument("--chains", type=int, default=100, help="of AIS, each way (default: 100)")
    parser.add_argument("--ladder", choices=LADDERS, default="adaptive", help="of AIS (default: adaptive)")
    parser.add_argument("--rungs", type=int, help=f"of the ladder (default: {RUNGS:,}; sm2008 has 14,501)")
    parser.add_argument(
        "--burn-in",
        type=int,
        default=BURN_IN,
        help=f"steps before chains fall, without data at least one (default: {BURN_IN:,})",
    )
    parser.add_argument("--seed", type=int, default=0, help="of AIS (default: 0)")


def main(args: argparse.Namespace) -> int:
    """Print log Z, and with data the mean log-probability of its test cases. Errors: `ValueError`, `OSError`."""
    theta = read_rbm(args.file)
    check(args, theta)
    data = load_data(args.data, theta) if args.data else None
    with redirect_stdout(sys.stderr):
        log_z = exact(theta) if is_exact(args.method, theta) else estimated(theta, data, args)
    found = as_json(log_z, None if data is None else log_prob(theta, data, log_z))
    sizes = {"visible": theta.weight.shape[1], "hidden": theta.weight.shape[2]}
    print(json.dumps(found | sizes, indent=2, allow_nan=False) if args.json else to_text(found | sizes))
    return 0


def check(args: argparse.Namespace, theta: Rbm) -> None:
    """Everything that can be seen before any work. Errors: `ValueError` naming the option."""
    for name, least in (("chains", 2), ("rungs", 2), ("burn_in", 0), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ValueError(f"--{name.replace('_', '-')} {value}: expected at least {least}")
    if args.ladder == "sm2008" and args.rungs not in (None, 14_501):
        raise ValueError(
            f"--rungs {args.rungs}: the ladder sm2008 has 14,501; choose uniform or adaptive for others"
        )
    if args.data is not None and args.data not in DATA:
        raise ValueError(f"unknown data {args.data!r}; choose one of {', '.join(DATA)}")
    if args.data and theta.weight.shape[1] != PIXELS:
        raise ValueError(
            f"--data {args.data} has cases of {PIXELS} bits, and the machine {theta.weight.shape[1]} visible units"
        )
    if args.method == "exact" and not is_exact("auto", theta):
        raise ValueError(
            f"--method exact: the smaller side of {theta.weight.shape[1]} visible and {theta.weight.shape[2]} hidden "
            f"units has more than {LIMIT:,} states; use --method ais"
        )


def load_data(name: str, theta: Rbm) -> MnistSplits:
    """MNIST as 50,000, 10,000 and 10,000 cases. Errors: `ValueError` if it cannot be had, or is not binary."""
    data = load_mnist(split="standard", binarisation=DATA[name])
    bits("the test cases", data.test, theta.weight.shape[1])
    return data


def is_exact(method: str, theta: Rbm) -> bool:
    """Whether log Z is to be, and can be, had without an estimate: a side to enumerate, or no weights at all."""
    return method != "ais" and (2 ** min(theta.weight.shape[1:]) <= LIMIT or not bool(theta.weight.any()))


def exact(theta: Rbm) -> LogZ:
    """By enumeration, or in closed form for a machine without weights."""
    found = exact_log_partition(RBM, theta) if bool(theta.weight.any()) else known_base(RBM, theta).log_z
    log_z = found.item()
    return LogZ("exact", log_z, (log_z, log_z), (log_z, log_z))


def estimated(theta: Rbm, data: MnistSplits | None, args: argparse.Namespace) -> LogZ:
    """By chains that rise from the base, and for the bracket's upper end by others that fall from the model."""
    if bool(theta.weight.any()) and theta.weight.numel() >= LARGE:
        theta = Rbm(*(part.float() for part in theta))
    mean = None if data is None else data.train.float().mean(0)
    rungs, chains = args.rungs or RUNGS, args.chains
    ladder = named_ladder(args.ladder, RBM, theta, rungs, chains=chains, mean=mean, seed=args.seed)
    samples, origin = falling_from(theta, data, mean, args)
    with watched(2 * len(ladder), f"AIS over {len(ladder):,} rungs") as watch:
        rising = ais(RBM, theta, ladder=ladder, chains=args.chains, mean=mean, seed=args.seed, watch=watch)
        falling = reverse_ais(RBM, theta, samples, ladder=ladder, mean=mean, seed=args.seed, watch=watch)
    found, notes = Bracket(rising, falling), [origin]
    if bool(found.lower > found.upper):
        notes.append(
            "the bracket's ends cross: rising and falling chains see different parts; believe neither"
        )
    for way, end in zip(("rising", "falling"), found, strict=True):
        if end.ess < args.chains / 10:
            few = f"only {end.ess.item():.1f} of {args.chains} {way} chains are effective"
            notes.append(f"{few}: use more rungs")
    return LogZ(
        "ais",
        rising.log_z.item(),
        (rising.lower.item(), rising.upper.item()),
        (found.lower.item(), found.upper.item()),
        rising.ess.item(),
        tuple(notes),
    )


def falling_from(
    theta: Rbm, data: MnistSplits | None, mean: Tensor | None, args: argparse.Namespace
) -> tuple[Tensor, str]:
    """The best samples of the model to be had, and what they are."""
    count, seed, steps = args.chains, args.seed, args.burn_in
    if 2 ** min(theta.weight.shape[1:]) <= LIMIT:
        return exact_samples(RBM, theta, count, seed), "the bracket's upper end is from exact samples"
    if data is not None:
        x = gibbs_samples(RBM, theta, data.test, count, burn_in=steps, seed=seed)
        return (
            x,
            f"the bracket's upper end is from chains of {steps:,} steps from test cases, no exact samples",
        )
    steps = max(steps, 1)
    x = annealed_samples(RBM, theta, count, ladder=uniform_ladder(steps + 1), mean=mean, seed=seed)
    plural = "" if steps == 1 else "s"
    return x, f"the bracket's upper end is from chains annealed in {steps:,} step{plural}, no exact samples"


def log_prob(theta: Rbm, data: MnistSplits, log_z: LogZ) -> LogProb:
    """The mean of log p*(x) over the test cases, less log Z."""
    levels = [log_unnormalised(theta, part[None].double()) for part in data.test.split(CHUNK)]
    mean, (low, high) = torch.cat(levels, -1).mean().item(), log_z.log_z_bracket
    return LogProb(mean - log_z.log_z, (mean - high, mean - low), len(data.test), data.dataset)


@contextmanager
def watched(total: int, title: str) -> Iterator[Callable[[int], None]]:
    """Progress on stderr, in lines no oftener than every `REPORT_SECONDS`."""
    with Progress(total, title, unit="rung") as progress:
        last = time.monotonic()

        def watch(rung: int) -> None:
            nonlocal last
            progress.step(1)
            if time.monotonic() - last > REPORT_SECONDS:
                last = time.monotonic()
                progress.report("")

        yield watch


def as_json(log_z: LogZ, log_prob: LogProb | None) -> dict[str, Any]:
    """What JSON can hold: for a number that is not finite null, and a note."""
    found = log_z._asdict() | (log_prob._asdict() if log_prob else {})
    notes = list(found.pop("notes"))
    for key, value in found.items():
        parts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(part, float) and not math.isfinite(part) for part in parts):
            notes.append(f"{key} is {value}, which is no number")
            clean = [part if math.isfinite(part) else None for part in parts]
            found[key] = clean if isinstance(value, tuple) else clean[0]
    return found | {"notes": notes}


def to_text(found: dict[str, Any]) -> str:
    """The same for reading."""
    method = {"exact": "exact", "ais": "annealed importance sampling"}[found["method"]]
    lines = [f"RBM of {found['visible']:,} visible and {found['hidden']:,} hidden units: {method}"]
    ess = "" if found["ess"] is None else f", effective samples {found['ess']:.1f}"
    if found["method"] == "exact":
        lines.append(f"log Z    {_show(found['log_z'])} nats")
    else:
        interval, bracket = (_ends(found[key]) for key in ("log_z_interval", "log_z_bracket"))
        lines.append(f"log Z    {_show(found['log_z'])} nats, interval {interval}, bracket {bracket}{ess}")
    if "log_prob" in found:
        bracket = "" if found["method"] == "exact" else f", bracket {_ends(found['log_prob_bracket'])}"
        cases = f"mean of {found['cases']:,} test cases of {found['dataset']}"
        lines.append(f"log p(x) {_show(found['log_prob'])} nats{bracket}, {cases}")
    return "\n".join([*lines, *(f"Note: {note}" for note in found["notes"])])


def _show(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _ends(ends: Sequence[float | None]) -> str:
    return f"[{', '.join(map(_show, ends))}]"

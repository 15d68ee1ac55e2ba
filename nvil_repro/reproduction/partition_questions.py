"""What the run asks about log Z: every estimate at its longest, brackets at every length, and trials by the hundred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.partition_machines import Cell
from nvil_repro.reproduction.partition_methods import (
    ADAPTIVE,
    AIS,
    BRIDGE,
    EXACT,
    FROM_NOTHING,
    IMPORTANCE,
    LADDER_BRIDGE,
    LINKED,
    MOST_SAMPLES,
    RAISE,
    REVERSE,
    SHAPED,
    UNIFORM,
    Question,
)

PART = 20  # trials of a job: what an interruption costs at most
TRIED = (
    (IMPORTANCE, ""),
    (BRIDGE, ""),
    *((AIS, ladder) for ladder in (UNIFORM, ADAPTIVE)),
    *((method, UNIFORM) for method in (REVERSE, LADDER_BRIDGE, LINKED)),
)


def estimates(run: Run) -> list[Question]:
    """The exact value, and every estimate of it: with the longest ladder if it has one."""
    s = run.settings
    longest = Question("", UNIFORM, max(s.rungs), s.chains)
    return [
        Question(EXACT),
        replace(longest, method=IMPORTANCE, ladder=""),
        Question(BRIDGE, chains=s.chains),
        *(replace(longest, method=AIS, ladder=ladder) for ladder in (UNIFORM, SHAPED, ADAPTIVE)),
        replace(longest, method=FROM_NOTHING),
        *(replace(longest, method=method, ladder=ADAPTIVE) for method in (REVERSE, LADDER_BRIDGE, LINKED)),
    ]


def brackets(run: Run, burn_in: int) -> list[Question]:
    """Chains up and down ladders of every length, and cases down them; see `Question` for `burn_in`."""
    s, asked = run.settings, []
    for rungs in s.rungs:
        for ladder in (UNIFORM, ADAPTIVE):
            asked.append(Question(AIS, ladder, rungs, s.chains))
            asked.append(Question(REVERSE, ladder, rungs, s.chains, burn_in=burn_in))
        asked.append(Question(RAISE, UNIFORM, rungs, s.reverse_cases))
    return asked


def trials(run: Run) -> list[Question]:
    """AIS up and down the shortest ladder, then each of the estimates that are tried, for all seeds at once."""
    s, seeds = run.settings, tuple(range(run.settings.trials))
    asked = [
        Question(method, ladder, s.trial_rungs if ladder or method == IMPORTANCE else 0, s.chains, seeds)
        for method, ladder in TRIED
    ]
    short = [Question(method, UNIFORM, min(s.rungs), s.chains, seeds) for method in (AIS, REVERSE)]
    return list(dict.fromkeys([*short, *asked]))


def parts(question: Question) -> Iterator[Question]:
    """The question for `PART` seeds at a time."""
    for first in range(0, len(question.seeds), PART):
        yield replace(question, seeds=question.seeds[first : first + PART])


def of_machine(run: Run, cell: Cell, burn_in: int) -> list[Question]:
    """All that is asked about a machine, each once; estimates and trials only where log Z is known."""
    asked = brackets(run, burn_in)
    if cell.hidden == run.settings.exact_hidden:
        asked = [*estimates(run), *asked, *(part for whole in trials(run) for part in parts(whole))]
    return list(dict.fromkeys(asked))


def ladder_label(question: Question) -> str:
    """The `protocol` of a question's rows, "uniform, 100 rungs"; nothing for methods without a ladder."""
    return f"{question.ladder}, {question.rungs} rungs" if question.ladder else ""


def ladder_of(label: str) -> tuple[str, int]:
    """The ladder and its rungs by their label."""
    ladder, _, rungs = label.partition(", ")
    return ladder, int(rungs.split()[0]) if rungs else 0


def samples(question: Question) -> int | None:
    """How many weights, chains or cases the estimate is a mean of; none where it is exact."""
    if question.method == IMPORTANCE:
        return min(question.rungs * question.chains, MOST_SAMPLES)
    return question.chains or None

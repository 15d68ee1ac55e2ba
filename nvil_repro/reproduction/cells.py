"""The cells of Tables 1 to 3, a trained net or system each or what its update costs, and of Figure 1; the hash of the
settings of one alone.

That hash is in the rows of the cell, so a table or figure may be made in several sittings or on several machines: what
`keep` names holds rows of cells that need not be computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple, TypeVar

from nvil_repro.reproduction.experiment import Experiment
from nvil_repro.reproduction.naming import BELIEF_NETS, GIBBS_LDA, UNIGRAM, dims_label, parse_model
from nvil_repro.reproduction.notebook import Run, run_hash
from nvil_repro.reproduction.protocols import TUNED
from nvil_repro.reproduction.results import Row, read_results
from nvil_repro.reproduction.runs import LIKELIHOOD
from nvil_repro.reproduction.settings import BoundTable, DocumentTable, VarianceReduction, cell_names
from nvil_repro.training.together import Job, finished

# Of what is trained in a way of its own, no more passes than these.
OWN_PASSES = {
    "mixture of Bernoullis": 50,
    "NADE": 20,
    "LDA": 20,
    GIBBS_LDA: 200,
    "DocNADE": 54,
    "Replicated softmax": 80,
}


class Cell(NamedTuple):
    """Of Tables 1 and 2: a row and column, a protocol and a seed."""

    model: str
    column: str
    protocol: str
    seed: int


@dataclass(frozen=True)
class Timing:
    """Of Tables 1 and 2: what an update of a net costs."""

    model: str
    column: str
    protocol: str


class DocumentCell(NamedTuple):
    """Of Table 3; the unigram model has no seed."""

    corpus: str
    system: str
    protocol: str
    seed: int | None


class Panel(NamedTuple):
    """Of Figure 1: a network, h^1 first, under a protocol."""

    layers: tuple[int, ...]
    protocol: str


@dataclass(frozen=True)  # no tuples: those of one seed would be equal to its `Along`
class Curves:
    """Of a panel of Figure 1: the curves of one seed, a variant each, and what is measured where they end."""

    layers: tuple[int, ...]
    protocol: str
    seed: int

    @property
    def panel(self) -> Panel:
        """The one they are drawn in."""
        return Panel(self.layers, self.protocol)


@dataclass(frozen=True)
class Along:
    """Beside Figure 1: the gradient's variance while the full method trains a network by itself."""

    layers: tuple[int, ...]
    protocol: str
    seed: int


AnyCell = Cell | Timing | DocumentCell | Curves | Along
Key = TypeVar("Key", Cell, DocumentCell)


def bound_cells(s: BoundTable) -> Iterator[Cell]:
    """Protocol by protocol. A mixture or NADE has one column, its exact likelihood, and is trained in one way of its
    own, whatever the protocols, with the seeds of the first.
    """
    for protocol, seeds in zip(s.protocols, s.seeds, strict=True):
        for model in s.models:
            if model in s.nets:
                places = [(column, protocol) for column in s.columns if s.trains(model, column, protocol)]
            else:
                places = [(LIKELIHOOD, "")] if protocol == s.protocols[0] else []
            for column, how in places:
                few = cell_names(model, column) & set(s.one_seed)
                yield from (Cell(model, column, how, seed) for seed in (seeds[:1] if few else seeds))


def timing_cells(s: BoundTable) -> Iterator[Timing]:
    """Protocol by protocol."""
    for protocol, model, column in product(s.protocols, s.nets, s.columns):
        if s.trains(model, column, protocol):
            yield Timing(model, column, protocol)


def document_cells(s: DocumentTable) -> Iterator[DocumentCell]:
    """Corpus by corpus; systems that are no belief networks with the seeds of the first protocol."""
    for corpus in s.corpora:
        most = 1 if corpus in s.one_seed else None
        for system in s.systems:
            if system == UNIGRAM:
                yield DocumentCell(corpus, system, "", None)
            elif parse_model(system)[0] not in BELIEF_NETS:
                yield from (DocumentCell(corpus, system, "", seed) for seed in s.seeds[0][:most])
            else:
                for protocol, seeds in zip(s.protocols, s.seeds, strict=True):
                    chosen = seeds[:most] if s.trains(corpus, protocol) else ()
                    yield from (DocumentCell(corpus, system, protocol, seed) for seed in chosen)


def panels_of(s: VarianceReduction) -> list[Panel]:
    """Protocol by protocol."""
    return [Panel(layers, protocol) for protocol in s.protocols for layers in s.networks]


def curve_cells(s: VarianceReduction) -> Iterator[Curves]:
    """Panel by panel."""
    for panel in panels_of(s):
        network = f"SBN {dims_label(panel.layers)}"
        few = {network, panel.protocol, f"{network} {panel.protocol}"} & set(s.one_seed)
        yield from (Curves(*panel, seed) for seed in (s.seeds[:1] if few else s.seeds))


def along_cells(s: VarianceReduction) -> Iterator[Along]:
    """Panel by panel, of the first seed; "tuned" has a protocol for each variant, so none there."""
    yield from (Along(*panel, s.seeds[0]) for panel in panels_of(s) if panel.protocol != TUNED)


def passes_of(s: Any, cell: Cell | DocumentCell) -> int:
    """Over the training cases, at most."""
    if cell.protocol:
        return s.passes[s.protocols.index(cell.protocol)]
    if isinstance(cell, DocumentCell):
        return min(s.other_passes, OWN_PASSES[parse_model(cell.system)[0]])
    return min(s.passes[0], OWN_PASSES[parse_model(cell.model)[0]])


def cell_hash(experiment: Experiment, s: Any, cell: AnyCell) -> str:
    """The settings hash of a table or figure of this cell alone: of the cell's rows, whatever stands beside it."""
    if isinstance(cell, (Curves, Along)):
        return _figure_hash(experiment, s, cell)
    if isinstance(cell, Timing):
        return _timing_hash(experiment, s, cell)
    alone: dict[str, Any] = {"seeds": ((cell.seed,),), "protocols": (cell.protocol,) if cell.protocol else ()}
    alone["passes"] = () if cell.seed is None else (passes_of(s, cell),)
    if isinstance(cell, DocumentCell):
        alone |= {"corpora": (cell.corpus,), "systems": (cell.system,), "other_passes": None}
        return run_hash(experiment, s, without=("one_seed", "left_out"), **alone)
    alone |= {"models": (cell.model,), "columns": (cell.column,)}
    alone |= {} if cell.protocol else dict.fromkeys(_OF_BOUNDS)
    without = ("one_seed", "left_out", "timed_updates")
    return run_hash(experiment, s, lambda how: how.of_column(cell.column), without=without, **alone)


def _timing_hash(experiment: Experiment, s: BoundTable, cell: Timing) -> str:
    alone: dict[str, Any] = {
        "models": (cell.model,),
        "columns": (cell.column,),
        "protocols": (cell.protocol,),
    }
    without = ("one_seed", "left_out", "seeds", "passes", "test_cases", *_OF_BOUNDS)
    return run_hash(experiment, s, lambda how: how.of_column(cell.column), without=without, **alone)


def _figure_hash(experiment: Experiment, s: VarianceReduction, cell: Curves | Along) -> str:
    without = ["one_seed"]
    seeds: tuple[int, ...] = (cell.seed,)
    if isinstance(cell, Along):
        without += ["factors", "search_updates", "eval_every", "bound_samples", "test_cases"]
    elif cell.protocol != TUNED:
        without += ["variance_at", "factors", "search_updates"]
    else:  # the search, of the first seed, sets the rates of all
        without += ["variance_at"]
        seeds = tuple(dict.fromkeys((s.seeds[0], cell.seed)))
    alone: dict[str, Any] = {"networks": (cell.layers,), "protocols": (cell.protocol,), "seeds": seeds}
    return run_hash(experiment, s, without=without, **alone)


# What no exact likelihood depends on.
_OF_BOUNDS = ("evaluations", "bound_samples", "importance_samples", "importance_cases")


def expected_hashes(experiment: Experiment, settings: Any) -> set[str]:
    """The settings hashes that rows of an experiment with these settings have."""
    cells = cells_of(settings)
    return {cell_hash(experiment, settings, cell) for cell in cells} or {run_hash(experiment, settings)}


def cells_of(settings: Any) -> Sequence[AnyCell]:
    """Those of a table or of Figure 1; none of other experiments."""
    if isinstance(settings, BoundTable):
        return [*bound_cells(settings), *timing_cells(settings)]
    if isinstance(settings, VarianceReduction):
        return [*curve_cells(settings), *along_cells(settings)]
    return list(document_cells(settings)) if isinstance(settings, DocumentTable) else []


def kept_rows(run: Run, datasets: Collection[str]) -> dict[Any, list[Row]]:
    """The rows in the folder `run.keep` of each cell of the run, made with the same settings on one of these data sets.
    They keep their provenance, and say what code wrote them, today's or not; nothing without such a folder.

    A net may have its rows in a table that the run's waits for, since they share it; they are labelled as there, and by
    `bound_tables.table_rows` as here.

    Errors: `ResultsError`.
    """
    if run.keep is None:
        return {}
    own = _rows_of_cells(run, run.experiment, cells_of(run.settings), datasets)
    nets = [cell for cell in cells_of(run.settings) if isinstance(cell, Cell)]
    shared: dict[Any, list[Row]] = {}
    for name in run.experiment.after:
        if (run.keep / f"{name}.csv").is_file():
            shared |= _rows_of_cells(run, replace(run.experiment, name=name), nets, datasets)
    return shared | own


def _rows_of_cells(
    run: Run, table: Experiment, cells: Sequence[AnyCell], datasets: Collection[str]
) -> dict[Any, list[Row]]:
    assert run.keep is not None
    hashes = {cell_hash(table, run.settings, cell): cell for cell in cells}
    kept: dict[Any, list[Row]] = {}
    for row in read_results(run.keep / f"{table.name}.csv"):
        if row.settings_hash in hashes and row.dataset in datasets:
            kept.setdefault(hashes[row.settings_hash], []).append(row._replace(profile=run.profile))
    return kept


def without_kept(run: Run, jobs: Mapping[Key, Job], datasets: Collection[str]) -> dict[Key, Job]:
    """The jobs without kept rows, and those that are finished, whose nets are here to look at."""
    kept = kept_rows(run, datasets)
    needed = {cell: job for cell, job in jobs.items() if cell not in kept or finished(job)}
    say_kept(run, [kept[cell] for cell in jobs if cell not in needed], f"{len(jobs)} nets")
    return needed


def say_kept(run: Run, kept: Sequence[Sequence[Row]], all_of_them: str) -> None:
    """Print how many are not trained of `all_of_them`, "39 nets", and what code wrote their rows; nothing unless rows
    are kept.
    """
    if run.keep is None:
        return
    codes = sorted({row.code_version for rows in kept for row in rows})
    written = f", written by {', '.join(codes)}" if codes else ""
    print(f"{len(kept)} of {all_of_them} are not trained: their rows are kept{written}")

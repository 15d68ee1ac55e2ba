"""The README's tables are what the committed rows say, and nothing is typed by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nvil_repro.reproduction.bound_tables import INFERENCE
from nvil_repro.reproduction.cells import cells_of, expected_hashes
from nvil_repro.reproduction.compare import load_comparison, to_json
from nvil_repro.reproduction.document_systems import PER_DOCUMENT
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.readme import (
    BEGIN,
    BENCHMARKS,
    END,
    LEGENDS,
    TABLES,
    renewed,
    renewed_from_results,
    tables,
)
from nvil_repro.reproduction.results import read_profile, write_results
from nvil_repro.reproduction.update_times import MILLISECONDS

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "results" / "paper"
COMMITTED = read_profile(PAPER, "paper", EXPERIMENTS)


def test_the_readme_is_what_the_committed_rows_say() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert renewed_from_results(readme, ROOT) == readme
    for source in ("results/paper", BENCHMARKS):  # control
        assert renewed_from_results(renewed(readme, source, "by hand"), ROOT) == readme


def test_committed_rows_are_those_of_the_profile_and_say_where_they_were_made(tmp_path: Path) -> None:
    assert COMMITTED
    for row in COMMITTED:
        assert row.device
        assert row.threads > 0
        assert row.torch_version
        assert row.code_version
        assert "+dirty" not in row.code_version, row
        assert row.dataset == "mnist-fixed" or "mnist" not in row.dataset  # never our own binarisation
    for name in {row.experiment for row in COMMITTED}:
        rows, experiment = [row for row in COMMITTED if row.experiment == name], EXPERIMENTS[name]
        hashes = expected_hashes(experiment, experiment.profiles["paper"])
        assert {row.settings_hash for row in rows} == hashes, name  # no cell is missing, none is another's
        again = write_results(tmp_path / f"{name}.csv", rows).read_bytes()  # text and back
        assert again == (PAPER / f"{name}.csv").read_bytes()


def test_a_settings_hash_is_of_one_net() -> None:
    """Of tables, whose rows each say the settings of their cell or of its timing, and of a seed's curves in a panel of
    Figure 1, or of the variances beside it; elsewhere one hash is of the whole run.
    """
    nets: dict[str, set[Any]] = {}
    for row in COMMITTED:
        if cells_of(EXPERIMENTS[row.experiment].profiles["paper"]):
            trained_by = row.variant if row.variant in INFERENCE else row.method
            along = row.metric.startswith("layer_") or row.metric == MILLISECONDS
            net = (
                row.experiment,
                row.dataset,
                row.model,
                row.dims,
                trained_by,
                row.protocol,
                row.seed,
                along,
            )
            nets.setdefault(row.settings_hash, set()).add(net)
    assert {len(named) for named in nets.values()} == {1}
    assert len(set.union(*nets.values())) == len(nets)
    assert len({row.settings_hash for row in COMMITTED}) > len(nets)  # control: there are others


def test_the_committed_comparison_is_that_of_the_committed_rows() -> None:
    assert (PAPER / "comparison.json").read_text(encoding="utf-8") == to_json(
        load_comparison(ROOT, "paper")
    ) + "\n"


def test_every_committed_experiment_has_its_figures() -> None:
    for name in {row.experiment for row in COMMITTED}:
        assert [path for path in EXPERIMENTS[name].products(PAPER) if not path.is_file()] == []


def test_tables_by_experiment(row: Any) -> None:
    machine = partial(
        row, experiment="rbm_training", model="RBM", dims="500", method="CD3", protocol="", metric="log_likelihood",
        seconds=600.0,
    )  # fmt: skip
    document = partial(
        row, experiment="document_perplexity", dataset="20news", metric=PER_DOCUMENT, stderr=8.0, seconds=None
    )
    rows = [
        row(
            experiment="nvil_vs_wake_sleep",
            profile="paper",
            protocol="balanced",
            value=-112.34,
            seconds=600.0,
        ),
        row(
            experiment="variance_reduction",
            profile="paper",
            protocol="literal",
            split="valid",
            value=-113.0,
            variant="none",
        ),
        *(
            machine(variant=variant, value=value)
            for variant, value in (("", -100.0), ("AIS", -99.0), ("reverse", -101.0))
        ),
        machine(metric="log_p_empty", variant="", value=-2.5),
        *(
            row(
                experiment="continuous_latents",
                model="bits",
                variant="full",
                metric=metric,
                seed=s,
                value=v - s,
            )
            for metric, v in (("bound", -100.0), ("importance_weighted", -90.0))
            for s in (0, 1)
        ),
        document(model="unigram", dims="", variant="exact", value=1320.0, device="cpu (another)"),
        document(model="SBN", dims="50", variant="bound", value=990.0, protocol="improved", method="NVIL"),
        document(
            dataset="another",
            model="SBN",
            dims="50",
            variant="bound",
            value=700.0,
            protocol="improved",
            method="NVIL",
        ),
    ]
    text = tables(rows, read_published()).replace("\N{NO-BREAK SPACE}", " ")
    assert "| SBN 200 | NVIL | balanced | 113.1 | 112.3 ± 0.2 | -0.8 | – | – | 50,000 | 10 | 1 |" in text
    assert "| No baselines & no VN | -113.0 |" in text
    assert "| bits | Baseline, IDB, & VN | 100.5 | 1.0 | 90.5 | 2 |" in text
    first, *folds = text[text.index("20news:") :].split("<details>")
    assert "| SBN 50 | improved | bound | 909 | 990 ± 8 | – | – | 0.681 | 0.750 | – | – | 1 |" in first
    assert folds[0].startswith("<summary>another</summary>\n\n| system |")
    assert "| SBN 50 | improved | bound | – | 700 ± 8 |" in folds[0]
    assert folds[1].startswith("<summary>rcv1, not run</summary>\n\n| system |")
    assert text.count("</details>\n") == len(folds) == 2
    assert (
        "| RBM 500 | CD3 | -105.5 | -100.0 ± 0.2 | bracket | -101.8 | -98.2 | – | -2.50 | 50,000 | 10 |"
        in text
    )
    assert (
        "| balanced | SGD, momentum 0.9 | 0.0003 | 0.0003 | 0.0003 | 0.0003 | 20 | after 50% of the updates | 0.5 |\n"
        in text
    )
    assert "| literal | SGD | 0.0003 | 6e-05 | 6e-05 | 0.0001 | 20 | never | – |\n" in text
    assert (
        "| improved | SGD, momentum 0.9 | 0.0001 | 0.0005 | 3e-05 | 20 | from the start | 0.5 | 0.2 |\n"
        in text
    )
    assert "| tuned |" not in text  # control: no row is
    assert "**, on 20news and another, cpu (another) and cpu (" in text
    assert tables([], read_published()) == ""
    assert LEGENDS.keys() == TABLES.keys()
    assert all(f". {LEGENDS[name]}\n\n| " in text for name in ("nvil_vs_wake_sleep", "continuous_latents"))


def test_marks_that_are_missing_are_named() -> None:
    first, second = BEGIN.format("one"), BEGIN.format("other")
    text = f"{first}\nold\n{END}\n{second}\nold\n{END}\nb"
    assert renewed(text, "other", "new") == f"{first}\nold\n{END}\n{second}\n\nnew\n\n{END}\nb"
    with pytest.raises(ValueError, match="must hold the lines"):
        renewed(f"a {END} {first}", "one", "new")

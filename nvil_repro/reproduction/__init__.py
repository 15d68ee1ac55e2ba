"""From settings to results beside the paper: profiles, parameters, result rows, figures, comparison, report.

What notebooks use is importable from here; each name is loaded when first asked for, so that the command line
stays quick:

    run = parameters(globals(), "quickstart")       # a checked, frozen `Run`
    row = result_row(run, metric="bound", ...)      # a `Row` with its provenance
    publish(run, rows)                              # results/<profile>/quickstart.csv
    save_figure(figure, "quickstart_bound", run)    # results/<profile>/figures/quickstart_bound.svg and .png
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    name: module
    for module, names in {
        "figures": (
            "filters",
            "image_grid",
            "learning_curves",
            "save_figure",
            "variance_curves",
            "variance_points",
        ),
        "notebook": ("ParameterError", "Run", "parameters"),
        "experiment": ("PROFILES",),
        "profiles": ("EXPERIMENTS",),
        "protocols": ("PROTOCOLS", "VARIANTS", "protocol_table"),
        "naming": ("dims_label", "parse_model"),
        "published": ("read_published",),
        "results": ("Row", "frame", "publish", "read_results", "result_row"),
        "style": ("STROKES", "use_style"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)

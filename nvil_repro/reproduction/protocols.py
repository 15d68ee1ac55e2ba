"""What is compared: variants, columns and estimators by name, and the protocols that nets are trained under."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas

# The five curves of Figure 1, best to worst as printed.
VARIANTS = ("full", "baseline_vn", "baseline", "vn", "none")
TUNED = (
    "tuned"  # every variant at the literal rates times a factor of its own, see `VarianceReduction.factors`
)
# The columns of Tables 1 and 2.
NVIL, WAKE_SLEEP, AUTOREGRESSIVE = "NVIL", "wake-sleep", "autoregressive Q"
# What trains modules by the general road; the reparameterisation with its divergence sampled or in closed form.
ESTIMATORS = (*VARIANTS, "pathwise", "pathwise_kl")


class Protocol(NamedTuple):
    """How parameters move. Rates multiply gradients *summed* over the minibatch, as in the paper; after the
    fraction `hold` of the updates they fall linearly to zero. Wake-sleep has one rate for both networks, and hidden
    units that are not centred, which would cost it nats.
    """

    optimiser: str
    rate: float
    inference_rate: float
    wake_sleep_rate: float
    batch: int = 20
    centre: float = 0.0  # of hidden units, see `training.optimisers.Optimiser`
    hold: float = 1.0

    def of_column(self, column: str) -> dict[str, Any]:
        """What a column of Tables 1 and 2 is trained by: the fields without those that are for other columns."""
        unused = ("rate", "inference_rate") if column == WAKE_SLEEP else ("wake_sleep_rate",)
        fields = {name: value for name, value in self._asdict().items() if name not in unused}
        return fields | ({"centre": 0.0} if column == WAKE_SLEEP else {})


PROTOCOLS = {
    "literal": Protocol("sgd", rate=3e-4, inference_rate=6e-5, wake_sleep_rate=1e-4),
    "quick": Protocol("sgd", rate=3e-3, inference_rate=6e-4, wake_sleep_rate=1e-3),
    TUNED: Protocol("sgd", rate=3e-4, inference_rate=6e-5, wake_sleep_rate=1e-4),
    # An inference network that learns as fast as the model, and rates that stay up for longer.
    "balanced": Protocol(
        "momentum", rate=3e-4, inference_rate=3e-4, wake_sleep_rate=3e-4, centre=0.5, hold=0.5
    ),
    # A model half as fast as its inference network, for runs of twice as many updates.
    "patient": Protocol(
        "momentum", rate=1.5e-4, inference_rate=3e-4, wake_sleep_rate=1.5e-4, centre=0.5, hold=0.5
    ),
}


class DocumentProtocol(NamedTuple):
    """How document nets move, as in `Protocol`, and the weight decay of `training.document_nets`."""

    optimiser: str
    rate: float
    inference_rate: float
    baseline_rate: float
    batch: int = 20
    centre: float = 0.0
    hold: float = 1.0
    weight_decay: float = 0.0


DOCUMENT_PROTOCOLS = {
    "literal": DocumentProtocol("sgd", rate=3e-5, inference_rate=6e-6, baseline_rate=6e-6),
    "literal-rcv1": DocumentProtocol("sgd", rate=1e-3, inference_rate=2e-4, baseline_rate=2e-4),
    # For tens of passes, too few to over-fit.
    "quick": DocumentProtocol(
        "adam", rate=2e-3, inference_rate=2e-3, baseline_rate=2e-3, centre=0.5, hold=0.0
    ),
    "improved": DocumentProtocol(
        "momentum",
        rate=1e-4,
        inference_rate=5e-4,
        baseline_rate=3e-5,
        centre=0.5,
        hold=0.0,
        weight_decay=0.2,
    ),
}


def protocol_table(protocols: Mapping[str, Protocol | DocumentProtocol]) -> pandas.DataFrame:
    """What each of these protocols does: a line a protocol, in columns what moves parameters in any of them, "–" where
    one has no such thing.
    """
    import pandas

    table = pandas.DataFrame({name: _disclosed(how) for name, how in protocols.items()}).T
    return table.dropna(axis="columns", how="all").fillna("–").rename_axis("protocol")


def _disclosed(how: Protocol | DocumentProtocol) -> dict[str, Any]:
    from nvil_repro.training.optimisers import Optimiser

    fields, constants = how._asdict(), Optimiser(how.optimiser)
    rules = {
        "sgd": "SGD",
        "momentum": f"SGD, momentum {constants.decay}",
        "adam": f"Adam, {constants.decay} and {constants.second_decay}",
    }
    return {
        "optimiser": rules[how.optimiser],
        "rate of P": how.rate,
        "of Q": how.inference_rate,
        "of the baselines": fields.get("baseline_rate", how.inference_rate),
        "of both by wake-sleep": fields.get("wake_sleep_rate"),
        "minibatch": how.batch,
        "rates fall": {0.0: "from the start", 1.0: "never"}.get(
            how.hold, f"after {how.hold:.0%} of the updates"
        ),
        "NVIL's hidden units centred at": how.centre or None,
        "weight decay of P": fields.get("weight_decay") or None,
    }

"""Models by the names of the paper's tables: "SBN 200-500" has 500 units next to the pixels and 200 above."""

from __future__ import annotations

from collections.abc import Sequence

BELIEF_NETS = ("SBN", "fDARN", "DARN")
KINDS = (*BELIEF_NETS, "mixture of Bernoullis", "NADE")
UNIGRAM = "unigram"
GIBBS = "Gibbs"  # in the place of a protocol: LDA by collapsed Gibbs sampling, not variational Bayes
GIBBS_LDA = f"{GIBBS} LDA"
DOCUMENT_KINDS = ("SBN", "fDARN", "LDA", GIBBS_LDA, "Replicated softmax", "DocNADE")
MODEL = rf"({'|'.join(KINDS)}) [1-9]\d*(-[1-9]\d*)*"  # a regular expression
SYSTEM = rf"{UNIGRAM}|({'|'.join(DOCUMENT_KINDS)}) [1-9]\d*"  # of Table 3

# Of RBMs: negative phases, CD with k growing to the number (CD1 and CD3 do not grow), and criteria without them.
SAMPLER = r"exact|naive|CD[1-9]\d*|(centred |tempered )?F?PCD"
MACHINE = rf"({SAMPLER})(, [1-9]\d* passes)?"  # trained for a length of its own
OF_BITS = (
    *("pseudolikelihood", "generalised pseudolikelihood", "ratio matching", "noise contrastive"),
    *("self-contrastive", "minimum probability flow"),
)
WITHOUT_Z = (*OF_BITS, "score matching", "denoising score matching")
CRITERION = rf"{SAMPLER}|{'|'.join(OF_BITS)}"
ENUMERATED = (
    rf"exact|CD[1-9]\d*|PCD|{'|'.join(OF_BITS)}"  # of which a small model's expected gradient is a sum
)

SEARCH = "search_bound"  # the metric of a search for rates, whose note is the factor


def dims_label(layers: Sequence[int]) -> str:
    """Layer sizes as the paper prints them, deepest first: (200, 500) is "500-200"."""
    return "-".join(str(size) for size in reversed(layers))


def parse_model(name: str) -> tuple[str, tuple[int, ...]]:
    """A name that matches `MODEL` or `SYSTEM` as its kind and its layers, h^1 first; none for the unigram model."""
    if name == UNIGRAM:
        return name, ()
    kind, _, dims = name.rpartition(" ")
    return kind, tuple(int(size) for size in reversed(dims.split("-")))

"""`nvil-repro data | run | compare | report | bench | evaluate-rbm`; each command's code lives in its own room."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from nvil_repro import __version__
from nvil_repro.files import FolderBusyError

COMMANDS = {
    "data": ("nvil_repro.data.command", "list, fetch and verify the data sets"),
    "run": (
        "nvil_repro.reproduction.run_command",
        "run experiments, then show the comparison with the paper",
    ),
    "compare": ("nvil_repro.reproduction.compare", "our numbers beside the paper's"),
    "report": ("nvil_repro.reproduction.report", "write the HTML report of a profile's results again"),
    "bench": ("nvil_repro.reproduction.bench_command", "measure the speed of an update against its peers"),
    "evaluate-rbm": (
        "nvil_repro.reproduction.evaluate_rbm",
        "log Z of an RBM given as arrays, and the probability it gives to test cases",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The exit status: 0 done, 1 failed, 2 bad input (a line says which), 130 stopped."""
    chosen = _parser().parse_args(arguments)
    module = importlib.import_module(COMMANDS[chosen.command][0])
    parser = argparse.ArgumentParser(prog=f"nvil-repro {chosen.command}", description=module.__doc__)
    module.add_arguments(parser)
    try:
        return int(module.main(parser.parse_args(chosen.arguments)))
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, FolderBusyError) as error:
        print(f"nvil-repro {chosen.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"nvil-repro {chosen.command}: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="nvil-repro",
        description="Neural variational inference and learning, reproduced number beside number.",
        epilog="\n".join(["commands:", *lines, "", "nvil-repro COMMAND --help tells more of each"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nvil-repro {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="command", help=", ".join(COMMANDS))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())

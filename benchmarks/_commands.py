"""The command line of a benchmark script: one subcommand for each module."""

import argparse


def main(description, benchmarks):
    """Read the command line and run what it names.

    `benchmarks` maps the subcommand's name to a module with a docstring,
    `add_arguments(parser)` and `run(arguments)`.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subparsers = parser.add_subparsers(required=True)
    for name, benchmark in benchmarks.items():
        subparser = subparsers.add_parser(
            name,
            help=benchmark.__doc__.partition("\n")[0],
            description=benchmark.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        benchmark.add_arguments(subparser)
        subparser.set_defaults(run=benchmark.run)
    arguments = parser.parse_args()
    arguments.run(arguments)

"""The mixtures against their peers: speed, time to quality, memory, MNIST.

python benchmarks/mixture.py speed
python benchmarks/mixture.py quality --data FOLDER
python benchmarks/mixture.py memory
python benchmarks/mixture.py mnist --data FOLDER --plot loglik.png --theta theta.png
"""

import argparse

import _mixture_memory
import _mixture_mnist
import _mixture_quality
import _mixture_speed

BENCHMARKS = {
    "speed": _mixture_speed,
    "quality": _mixture_quality,
    "memory": _mixture_memory,
    "mnist": _mixture_mnist,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subparsers = parser.add_subparsers(required=True)
    for name, benchmark in BENCHMARKS.items():
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


if __name__ == "__main__":
    main()

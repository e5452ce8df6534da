"""The variational autoencoder against its peers: speed, quality, score, grid search.

python benchmarks/vae.py speed
python benchmarks/vae.py quality --data FOLDER --setting dynamic --minutes 15
python benchmarks/vae.py score --data FOLDER
python benchmarks/vae.py grid
"""

import argparse

import _vae_grid
import _vae_quality
import _vae_score
import _vae_speed

BENCHMARKS = {
    "speed": _vae_speed,
    "quality": _vae_quality,
    "score": _vae_score,
    "grid": _vae_grid,
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

"""What an answer for one row takes.

python benchmarks/serving.py mixtures
python benchmarks/serving.py autoencoders
"""

import _serving_autoencoders
import _serving_mixtures
from _commands import main

BENCHMARKS = {
    "autoencoders": _serving_autoencoders,
    "mixtures": _serving_mixtures,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)

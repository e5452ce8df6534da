"""The torch estimators on a GPU beside the CPU: scores, pickles, speed.

python benchmarks/gpu.py scores
python benchmarks/gpu.py pickle
python benchmarks/gpu.py speed

All three with the tests that need a GPU: bash benchmarks/gpu.sh
"""

import _gpu_pickle
import _gpu_scores
import _gpu_speed
from _commands import main

BENCHMARKS = {"scores": _gpu_scores, "pickle": _gpu_pickle, "speed": _gpu_speed}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)

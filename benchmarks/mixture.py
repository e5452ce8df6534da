"""The mixtures against their peers: speed, time to quality, memory, MNIST.

python benchmarks/mixture.py speed
python benchmarks/mixture.py quality --data FOLDER
python benchmarks/mixture.py memory
python benchmarks/mixture.py mnist --data FOLDER --plot loglik.png --theta theta.png
"""

import _mixture_memory
import _mixture_mnist
import _mixture_quality
import _mixture_speed
from _commands import main

BENCHMARKS = {
    "speed": _mixture_speed,
    "quality": _mixture_quality,
    "memory": _mixture_memory,
    "mnist": _mixture_mnist,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)

"""The mixtures against their peers: speed, time to quality, memory, published values.

python benchmarks/mixture.py speed --data FOLDER
python benchmarks/mixture.py quality --data FOLDER
python benchmarks/mixture.py scaling
python benchmarks/mixture.py missing
python benchmarks/mixture.py memory
python benchmarks/mixture.py mnist --data FOLDER --plot loglik.png --theta theta.png
python benchmarks/mixture.py latent_classes --data FOLDER
python benchmarks/mixture.py sklearn_tests
python benchmarks/mixture.py gpu
"""

import _mixture_gpu
import _mixture_latent_classes
import _mixture_memory
import _mixture_missing
import _mixture_mnist
import _mixture_quality
import _mixture_scaling
import _mixture_sklearn_tests
import _mixture_speed
from _commands import main

BENCHMARKS = {
    "speed": _mixture_speed,
    "quality": _mixture_quality,
    "scaling": _mixture_scaling,
    "missing": _mixture_missing,
    "memory": _mixture_memory,
    "mnist": _mixture_mnist,
    "latent_classes": _mixture_latent_classes,
    "sklearn_tests": _mixture_sklearn_tests,
    "gpu": _mixture_gpu,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)

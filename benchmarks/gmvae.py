"""The Gaussian mixture variational autoencoder against its peers: clusters of digits.

python benchmarks/gmvae.py mnist --data FOLDER
python benchmarks/gmvae.py mnist --data FOLDER --validation --seeds 100
"""

import _gmvae_mnist
from _commands import main

BENCHMARKS = {"mnist": _gmvae_mnist}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)

"""The variational autoencoder against its peers: speed, quality, score, grid search.

python benchmarks/vae.py speed
python benchmarks/vae.py quality --data FOLDER --setting dynamic --minutes 15
python benchmarks/vae.py score --data FOLDER
python benchmarks/vae.py grid
python benchmarks/vae.py latents --seeds 0 1 2
python benchmarks/vae.py tables --seeds 0 1 2
python benchmarks/vae.py together --data FOLDER
"""

import _vae_grid
import _vae_latents
import _vae_quality
import _vae_score
import _vae_speed
import _vae_tables
import _vae_together
from _commands import main

BENCHMARKS = {
    "speed": _vae_speed,
    "quality": _vae_quality,
    "score": _vae_score,
    "grid": _vae_grid,
    "latents": _vae_latents,
    "tables": _vae_tables,
    "together": _vae_together,
}


if __name__ == "__main__":
    main(__doc__, BENCHMARKS)

r"""
EM climbs the lower bound in two half-steps
===========================================

F(theta, q) = E_q[log p(x, z)] + H(q) has two arguments. The E-step of EM maximises it
over q, the responsibilities, and the M-step over theta, the parameters. Neither can
lower it, so that EM is coordinate ascent; and as F = log p(x) - KL(q || posterior), it
touches log p(x) after each E-step.
"""

# %%
# Half a step at a time
# ---------------------
# `LowerBoundDisplay` runs EM again and takes F after each half-step. A random start is
# far from the optimum, so that there is something to see.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

from sklvm import GaussianMixtureEM, elbo
from sklvm.inspection import LowerBoundDisplay

X = load_iris().data
model = GaussianMixtureEM(
    n_components=3, init_params="random", max_iter=1000, tol=1e-6, random_state=0
).fit(X)
LowerBoundDisplay.from_estimator(model, X, max_iter=15)
plt.show()

# %%
# F at any responsibilities
# -------------------------
# `elbo` takes any q. The posterior is the best: between it and the uniform
# distribution F falls by KL(q || posterior), and by no more where q is the posterior.
posterior = model.predict_proba(X)
shares = np.linspace(0, 1, 21)
uniform = np.full_like(posterior, 1 / 3)
F = [elbo(model, X, (1 - s) * posterior + s * uniform) for s in shares]

fig, ax = plt.subplots(layout="constrained")
ax.plot(shares, F, label="F(theta, q)")
ax.axhline(model.score(X), color="0.5", ls="--", label="log p(x)")
ax.set(xlabel="share of the uniform distribution in q", ylabel="nats per row")
ax.legend()
plt.show()

"""
The course of a training
========================

The history of a training has the bound of each epoch, of the rows that are trained on
and of those held out. The weights that are kept are those of the best epoch.
"""

# %%
# Two curves, and what is between them
# ------------------------------------
# The rate of a VAE is KL(q(z|x) || p(z)), the nats that z carries of a row, the
# distortion -E_q[log p(x|z)], what is then left of it. Both are in `history`, epoch by
# epoch, with the loss of the rows held out.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import VAE

X = load_digits().data
X = make_pipeline(VarianceThreshold(1), StandardScaler()).fit_transform(X)
model = VAE(8, hidden_layer_sizes=(100,), early_stopping=True, random_state=0).fit(X)
history = model.net_.history
epochs = np.arange(1, len(history) + 1)

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot(epochs, -np.array(history[:, "train_loss"]), label="training rows")
left.plot(epochs, -np.array(history[:, "valid_loss"]), label="rows held out")
left.axvline(model.best_epoch_, color="0.5", ls="--", label="weights that are kept")
left.set(xlabel="epoch", ylabel="F, nats per row")
left.legend()
right.plot(epochs, history[:, "train_rate"], color="tab:green")
right.set(xlabel="epoch", ylabel="rate, nats per row")
plt.show()

"""
A table of counts and categories by an autoencoder
==================================================

Customers of a shop: how many articles of each of ten departments they bought in a year,
what they paid, where they buy, and whether they are members. There are no kinds of
customer behind the table, but three tastes that vary continuously and are not in it.

A mixture pieces such a table together from many components. A ``VAE`` has a continuous
latent, and with ``likelihood="auto"`` a distribution for each column: counts, positive
amounts, categories, yes and no. Which of the two is better, the held-out score says: it
is in nats, and in the units of the columns, for both.
"""

# %%
# The table, made at random.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklvm import VAE, MixtureEM

DEPARTMENTS = "bread milk fruit meat fish wine books toys tools plants".split()
rng = np.random.default_rng(0)
N = 2000
tastes = rng.normal(size=(N, 3))
rates = np.exp(rng.uniform(0, 3, 10) + tastes @ rng.normal(0, 0.6, (3, 10)))
counts = rng.poisson(rates)
paid = counts @ rng.uniform(1, 10, 10) * np.exp(0.1 * rng.normal(size=N)) + 5
leaning = tastes @ rng.normal(0, 1.5, (3, 3)) + rng.gumbel(size=(N, 3))
table = pd.DataFrame(counts, columns=DEPARTMENTS)
table["paid"] = paid.round(2)
table["channel"] = np.take(["app", "shop", "phone"], leaning.argmax(axis=1))
table["member"] = rng.logistic(size=N) < 2 * tastes[:, 0]
train, test = table[:1000], table[1000:]
print(table.head())

# %%
# Two models
# ----------
# The departments are said to be counts; ``"auto"`` reads the kinds of the other
# columns. Given its latent a count of the ``VAE`` is Poisson. A mixture needs negative
# binomial ones, since within a component customers still differ. ``mask_rate`` hides
# cells in training, for the questions below.
vae = VAE(
    latent_dim=3,
    likelihood=[("poisson", DEPARTMENTS), ("auto", slice(None))],
    mask_rate=0.1,
    hidden_layer_sizes=(100,),
    lr=1e-2,
    max_epochs=60,
    early_stopping=False,
    tol=np.inf,
    random_state=0,
).fit(train)
print({name: vae.columns_[name] for name in ("bread", "paid", "channel", "member")})

n_components = [1, 2, 4, 8, 16]
mixtures = [
    MixtureEM(
        n_components=k,
        components=[("negative_binomial", DEPARTMENTS), ("auto", slice(None))],
        tol=1e-2,
        random_state=0,
    ).fit(train)
    for k in n_components
]
scores = [mixture.score(test) for mixture in mixtures]

# %%
# The score of the mixtures is log p(x), exactly. That of the VAE is a lower bound, to
# which ``log_likelihood`` adds most of what is missing. The mixture gains with each
# doubling of its components, as it covers three dimensions by points.
bound = vae.score(test)
log_likelihood = vae.log_likelihood(test, n_importance=200).mean()

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(n_components, scores, "o-", label="MixtureEM")
ax.axhline(log_likelihood, color="C1", label="VAE, log_likelihood")
ax.axhline(bound, color="C1", ls="--", label="VAE, score")
ax.set_xscale("log")
ax.set_xticks(n_components, n_components)
ax.minorticks_off()
ax.set(xlabel="components of the mixture", ylabel="held-out nats per row")
ax.legend()
plt.show()

# %%
# Rows like these
# ---------------
# ``sample`` gives tables: whole counts, amounts in cents, channels by name. Where two
# departments go together in the held-out rows, they do so in the drawn ones, and what
# is paid follows from what is bought. The largest orders are drawn too rarely.
tables = {
    "held out": test,
    "drawn by the VAE": vae.sample(len(test))[0],
    "drawn by 16 components": mixtures[-1].sample(len(test))[0],
}
print(tables["drawn by the VAE"].head())

correlation = np.corrcoef(np.log1p(counts).T) - np.eye(len(DEPARTMENTS))
best = np.unravel_index(correlation.argmax(), correlation.shape)
first, second = (DEPARTMENTS[d] for d in best)
fig, axes = plt.subplots(
    2, 3, figsize=(10, 6), sharex="row", sharey="row", layout="constrained"
)
for (name, rows), (top, bottom) in zip(tables.items(), axes.T, strict=True):
    for channel in ("app", "phone", "shop"):
        who = rows["channel"] == channel
        top.plot(rows[first][who] + 1, rows[second][who] + 1, ".", ms=3, label=channel)
    bought = rows[DEPARTMENTS].sum(axis=1)
    bottom.plot(bought, rows["paid"], ".", ms=3, color="0.4")
    top.set(title=name, xlabel=f"{first} + 1", xscale="log", yscale="log")
    bottom.set(xlabel="articles", xscale="log", yscale="log")
axes[0, 0].set_ylabel(f"{second} + 1")
axes[1, 0].set_ylabel("paid")
axes[0, 0].legend(markerscale=3)
plt.show()

# %%
# A question
# ----------
# Is a customer a member, given all the other cells? ``predict_missing_proba`` weighs
# draws of the latent by how well they explain these. Of the customers for whom it says
# 70 %, about that share should be members.
no, yes = vae.predict_missing_proba(test, "member", n_importance=300).T
edges = np.linspace(0, 1, 8)
group = np.digitize(yes, edges[1:-1])
members = test["member"].to_numpy()
said = [yes[group == g].mean() for g in range(7)]
share = np.array([members[group == g].mean() for g in range(7)])
size = np.array([np.sum(group == g) for g in range(7)])
print(f"right for {np.mean((yes > 0.5) == members):.0%} of the held-out customers")

fig, ax = plt.subplots(figsize=(4.5, 4), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.5", ls="--")
ax.errorbar(said, share, np.sqrt(share * (1 - share) / size), fmt="o")
ax.set(xlabel="probability of a member", ylabel="share of members, held out")
plt.show()

# %%
# Missing cells
# -------------
# Here a third of the cells is missing. ``impute`` gives a best guess of each, and
# ``sample_missing`` what they may be: draws for multiple imputation. The guesses are
# nearer to the truth than the columns' medians.
hidden = rng.random(test.shape) < 1 / 3
asked = test.mask(hidden)
guesses = vae.impute(asked, n_importance=300)
draws = vae.sample_missing(asked, n_draws=5, n_importance=300)


def error(rows):
    """Mean absolute error of the logarithms of missing counts."""
    where = hidden[:, : len(DEPARTMENTS)]
    difference = np.log1p(rows[DEPARTMENTS]) - np.log1p(test[DEPARTMENTS])
    return np.abs(difference.to_numpy(float)[where]).mean()


medians = test.assign(**train[DEPARTMENTS].median())
print(f"error of log(1 + count): medians {error(medians):.2f}, ", end="")
print(f"guesses {error(guesses):.2f}, draws {error(draws[0]):.2f}")

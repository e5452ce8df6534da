"""Tables of mixed columns: generated ones whose classes are known, and real ones."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine


def _choose(rng, levels, shares, z):
    """A category for each row; `shares` has a row for each class."""
    return np.array(levels)[[rng.choice(len(levels), p=shares[k]) for k in z]]


def shop(n_rows=3000, seed=11):
    """Customers: long tails, counts, a class of 5 %; 6 % of the cells are missing."""
    rng = np.random.default_rng(seed)
    z = rng.choice(4, n_rows, p=[0.45, 0.3, 0.2, 0.05])
    table = pd.DataFrame(
        {
            "age": np.clip(rng.normal(np.array([26, 38, 45, 58])[z], 6), 18, 90),
            "orders": rng.poisson(np.array([2, 7, 18, 11])[z]),
            "spend": np.exp(rng.normal(np.array([3.3, 4.9, 6.4, 9.2])[z], 0.6)),
            "region": _choose(
                rng,
                ["north", "south", "east", "west"],
                [
                    [0.4, 0.3, 0.2, 0.1],
                    [0.1, 0.5, 0.2, 0.2],
                    [0.25] * 4,
                    [0.7] + [0.1] * 3,
                ],
                z,
            ),
            "plan": _choose(
                rng,
                ["free", "basic", "gold"],
                [
                    [0.8, 0.15, 0.05],
                    [0.3, 0.6, 0.1],
                    [0.1, 0.3, 0.6],
                    [0.02, 0.08, 0.9],
                ],
                z,
            ),
            "newsletter": rng.random(n_rows) < np.array([0.2, 0.6, 0.4, 0.1])[z],
        }
    )
    table["age"] = table["age"].round()
    table["spend"] = table["spend"].round(2)
    return _with_gaps(table, 0.06, rng), z


def patients(n_rows=2000, seed=12):
    """Three diseases: correlated measurements, a rare symptom, five steps of pain."""
    rng = np.random.default_rng(seed)
    z = rng.choice(3, n_rows, p=[0.5, 0.35, 0.15])
    pressure = rng.normal(np.array([122, 141, 108])[z], 9)
    pulse = 0.3 * pressure + rng.normal(np.array([33, 38, 60])[z], 6)
    visits = np.array([1.0, 4.0, 9.0])[z]
    table = pd.DataFrame(
        {
            "pressure": pressure.round(),
            "pulse": pulse.round(),
            "marker": np.exp(rng.normal(np.array([0.5, 1.6, 2.4])[z], 0.5)),
            "visits": rng.negative_binomial(2, 2 / (2 + visits)),
            "pain": _choose(
                rng,
                range(5),
                [
                    [0.5, 0.3, 0.1, 0.05, 0.05],
                    [0.1, 0.2, 0.3, 0.3, 0.1],
                    [0.05, 0.1, 0.15, 0.3, 0.4],
                ],
                z,
            ),
            "symptom": _choose(
                rng,
                ["none", "cough", "rash"],
                [[0.9, 0.08, 0.02], [0.4, 0.55, 0.05], [0.5, 0.1, 0.4]],
                z,
            ),
            "smoker": rng.random(n_rows) < np.array([0.2, 0.5, 0.35])[z],
        }
    )
    return _with_gaps(table, 0.08, rng), z


def machines(n_rows=1500, seed=13):
    """Five states of machines: sensors in units far apart, alarms, error codes."""
    rng = np.random.default_rng(seed)
    z = rng.choice(5, n_rows, p=[0.4, 0.25, 0.15, 0.12, 0.08])
    speed = rng.normal(np.array([9e3, 12e3, 7e3, 12e3, 3e3])[z], 900)
    vibration = rng.normal(np.array([-1, -0.6, 0.8, 0.2, -2])[z], 0.45)
    table = pd.DataFrame(
        {
            "current": 1e-3 * rng.normal(np.array([2.0, 3.2, 2.6, 4.5, 1.2])[z], 0.35),
            "speed": speed.round(-2),
            "vibration": np.exp(vibration),
            "alarms": rng.poisson(np.array([0.3, 0.8, 4.0, 2.0, 0.1])[z]),
            "code": _choose(
                rng,
                ["E0", "E1", "E2", "E3", "E4"],
                rng.dirichlet(np.full(5, 0.6), size=5),
                z,
            ),
            "door": rng.random(n_rows) < np.array([0.05, 0.1, 0.3, 0.1, 0.8])[z],
        }
    )
    return _with_gaps(table, 0.05, rng), z


def _with_gaps(table, share, rng):
    return table.astype(object).mask(rng.random(table.shape) < share)


GENERATED = {"shop": shop, "patients": patients, "machines": machines}


def real_tables():
    """Complete tables that scikit-learn ships, a label among the columns of each."""
    cancer = load_breast_cancer(as_frame=True).frame
    cancer["target"] = np.where(cancer["target"] == 1, "benign", "malignant")
    wine = load_wine(as_frame=True).frame
    wine["target"] = wine["target"].map({0: "a", 1: "b", 2: "c"})
    diabetes = load_diabetes(as_frame=True, scaled=False).frame
    diabetes["sex"] = np.where(diabetes["sex"] == 1, "f", "m")
    return {"breast cancer": cancer, "wine": wine, "diabetes": diabetes}

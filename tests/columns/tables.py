"""Tables as users have them, each generated from a stated seed, and their kinds."""

import numpy as np
import pandas as pd


def customers(n=2000):
    """Customers of a shop, four groups: mixed types, missing cells, long tails."""
    rng = np.random.default_rng(7)
    group = rng.choice(4, n, p=[0.45, 0.3, 0.2, 0.05])
    age = rng.normal(np.array([28, 41, 47, 55])[group], 7)
    orders = rng.poisson(np.array([2, 8, 20, 12])[group])
    spend = np.exp(rng.normal(np.array([3.2, 5.0, 6.5, 9.0])[group], 0.6))
    joined = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 2000, n), "D")
    table = pd.DataFrame(
        {
            "customer_id": [f"C{i:05d}" for i in range(n)],
            "age": np.clip(age, 18, 90).round(),
            "orders": orders,
            "spend": spend.round(2),
            "region": rng.choice(["north", "south", "east", "west"], n),
            "plan": rng.choice(["free", "basic", "gold"], n, p=[0.5, 0.4, 0.1]),
            "newsletter": rng.random(n) < 0.4,
            "joined": joined.strftime("%Y-%m-%d"),
            "churned": (rng.random(n) < 0.03).astype(int),
        }
    )
    for name in ("age", "spend", "region", "plan", "newsletter"):
        table[name] = table[name].astype(object).mask(rng.random(n) < 0.06)
    return pd.concat([table, table.sample(40, random_state=0)])


CUSTOMERS = {
    "age": "gaussian",
    "orders": "negative_binomial",
    "spend": "lognormal",
    "region": "categorical",
    "plan": "categorical",
    "newsletter": "bernoulli",
    "churned": "bernoulli",
}


def survey(n=1500):
    """Answers from 0 to 2, 3 or 4, some of them missing, in nullable integers."""
    rng = np.random.default_rng(3)
    n_options = [3, 4, 5] * 4
    answers = [
        rng.choice(m, n, p=rng.dirichlet(np.ones(m)) * 0.9 + 0.1 / m) for m in n_options
    ]
    values = np.stack(answers, axis=1).astype(float)
    values[rng.random(values.shape) < 0.1] = np.nan
    return pd.DataFrame(values, columns=[f"q{j}" for j in range(12)]).astype("Int64")


SURVEY = dict.fromkeys([f"q{j}" for j in range(12)], "categorical")


def patients(n=800):
    """A hospital's table: ages of everyone, counts of visits, laboratory values."""
    rng = np.random.default_rng(11)
    return pd.DataFrame(
        {
            "age": np.r_[rng.integers(0, 90, n - 60), rng.integers(0, 5, 60)],
            "sex": rng.choice([1, 2], n),
            "temperature": rng.normal(37, 0.7, n).round(1),
            "pulse": rng.normal(75, 12, n).round().astype("int16"),
            "crp": np.exp(rng.normal(1.5, 1.1, n)).round(1) + 0.1,
            "visits": rng.poisson(1.5, n),
            "falls": rng.poisson(2, n) * (rng.random(n) < 0.3),
            "pain": rng.binomial(10, 0.5, n),
            "smoker": pd.array(rng.random(n) < 0.2, dtype="boolean"),
            "blood": pd.Categorical(
                rng.choice(["0", "A", "B"], n), ["0", "A", "B", "AB"]
            ),
            "ward": rng.choice(["101", "102", "103 a"], n, p=[0.2, 0.3, 0.5]),
        }
    )


PATIENTS = {
    "age": "gaussian",
    "sex": "categorical",
    "temperature": "gaussian",
    "pulse": "gaussian",
    "crp": "lognormal",
    "visits": "poisson",
    "falls": "negative_binomial",
    "pain": "gaussian",
    "smoker": "bernoulli",
    "blood": "categorical",
    "ward": "categorical",
}


def houses(n=1200):
    """Houses for sale: heaped prices, half-star ratings, years, coordinates."""
    rng = np.random.default_rng(5)
    price = np.exp(rng.normal(12.5, 0.6, n)) / 5000
    return pd.DataFrame(
        {
            "price": (price.round() * 5000).astype(int),
            "rooms": rng.choice([1, 2, 3, 4, 5], n, p=[0.1, 0.25, 0.35, 0.2, 0.1]),
            "stars": rng.choice(np.arange(1, 11) / 2, n),
            "year": rng.integers(1900, 2024, n),
            "garden": np.where(rng.random(n) < 0.6, 0, np.exp(rng.normal(5, 1, n))),
            "longitude": rng.uniform(-10, 10, n),
            "latitude": rng.normal(50, 1, n).astype("float32"),
            "lift": rng.choice([0.0, 1.0, np.nan], n),
            "heating": rng.choice(["gas", "oil", None], n),
            "income": rng.normal(50, 12, n).round(-1) * 1000,
        }
    )


HOUSES = {
    "price": "lognormal",
    "rooms": "categorical",
    "stars": "categorical",
    "year": "gaussian",
    "garden": "gaussian",
    "longitude": "gaussian",
    "latitude": "gaussian",
    "lift": "bernoulli",
    "heating": "categorical",
    "income": "gaussian",
}

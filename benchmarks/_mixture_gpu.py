"""Mixtures on a GPU: seconds of a fit, and of a pass over the rows.

The rows are made on the device and lie there; the start is given, so that nothing but
EM is timed, and what a fit does beside it: checks, and the sample for warnings.
"pass" is the difference of fits of many iterations and of one, over the iterations
between. The last columns hold the same mixture on the first rows against NumPy's: the
seconds of a pass over as many rows, if all took as long, and the difference in F after
the same iterations. scikit-learn's is its GaussianMixture on the same device through
the array API, which SCIPY_ARRAY_API=1 switches on, on a share of the rows. "breast
cancer" repeats the rows of a real table, whose columns are nearly collinear. "mixed" is
a table of all kinds of columns with missing cells, for `MixtureEM`, which reads it on
the CPU and seeks its own start: that is in "fit s", and not in a pass.

`--device cpu --scale 0.01` tries everything on torch's CPU device.
"""

import os
import time
import warnings
from dataclasses import dataclass

import numpy as np
import sklearn
import torch
from _report import print_header, print_machine, print_row
from _tables_data import shop
from sklearn.datasets import load_breast_cancer
from sklearn.mixture import GaussianMixture

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
)

FEW = 20_000  # rows that are compared with NumPy's
SHARE = 8  # of the rows is one for scikit-learn
N_CODES = 4  # of a categorical feature
DISCRETE = {
    "bernoulli": BernoulliMixtureEM,
    "categorical": CategoricalMixtureEM,
    "poisson": PoissonMixtureEM,
}


@dataclass
class Case:
    kind: str
    n_samples: int
    n_features: int
    n_components: int
    n_iter: int
    missing: float = 0.0
    aim: str = ""

    def name(self, n):
        missing = f", {self.missing:.0%} missing" if self.missing else ""
        return f"{self.kind}, {n} x {self.n_features}, K = {self.n_components}{missing}"


CASES = [
    Case("full", 2_000_000, 64, 32, 30, aim="30 iterations in 1.0 s"),
    Case("spherical", 1_000_000, 128, 1024, 4, aim="a pass in 60 ms"),
    Case("tied", 2_000_000, 64, 32, 10),
    Case("diag", 2_000_000, 64, 32, 10, missing=0.1),
    Case("full", 100_000, 16, 8, 4, missing=0.02),
    Case("breast cancer", 1_000_000, 30, 8, 10),
    Case("bernoulli", 2_000_000, 64, 32, 10),
    Case("categorical", 2_000_000, 32, 32, 10, missing=0.1),
    Case("poisson", 2_000_000, 64, 32, 10),
    Case("mixed", 1_000_000, 6, 16, 50, missing=0.06),
]


def add_arguments(parser):
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--kinds", nargs="+", default=sorted({case.kind for case in CASES})
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the rows")
    parser.add_argument(
        "--dtypes", nargs="+", default=["float64", "float32"], help="of the rows"
    )


def rows(case, n, dtype, device):
    """Clusters that overlap, made where they are to lie."""
    generator = torch.Generator(device).manual_seed(0)
    k, d = case.n_components, case.n_features
    here = {"dtype": dtype, "device": device, "generator": generator}
    labels = torch.randint(k, (n,), device=device, generator=generator)
    if case.kind in DISCRETE:
        X = counts(case, labels, here)
    elif case.kind == "breast cancer":
        data = torch.tensor(load_breast_cancer().data, dtype=dtype, device=device)
        X = data[torch.arange(n, device=device) % len(data)]
    else:
        centres = torch.randn(k, d, **here)
        X = torch.randn(n, d, **here)
        X += centres[labels]
    if case.missing:
        hidden = torch.rand(n, d, device=device, generator=generator) < case.missing
        X[hidden] = torch.nan
    return X


def counts(case, labels, here):
    """Whole numbers of the components `labels`."""
    k, d, n = case.n_components, case.n_features, len(labels)
    if case.kind == "poisson":
        rates = 10 * torch.rand(k, d, **here)
        return torch.poisson(rates[labels], here["generator"])
    n_codes = N_CODES if case.kind == "categorical" else 2
    theta = torch.rand(n_codes, k, d, **here)
    upper = (theta / theta.sum(0)).cumsum(0)
    uniform, X = torch.rand(n, d, **here), torch.zeros_like(upper[0, labels])
    for bound in upper[:-1]:
        X += uniform > bound[labels]
    return X


def start_of_discrete(case):
    rng = np.random.default_rng(0)
    k, d = case.n_components, case.n_features
    params = {"weights_init": np.full(k, 1 / k)}
    if case.kind == "poisson":
        return params | {"rates_init": 10 * rng.random((k, d))}
    if case.kind == "bernoulli":
        return params | {"theta_init": rng.random((k, d))}
    theta = [rng.dirichlet(np.ones(N_CODES), size=k) for _ in range(d)]
    return params | {"theta_init": theta, "n_categories": N_CODES}


def start(case, X):
    """Initial values: rows without missing values, and unit covariances."""
    if case.kind in DISCRETE:
        return start_of_discrete(case)
    k, d = case.n_components, case.n_features
    shape = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}
    matrix = np.eye(d) if case.kind in ("full", "tied") else 1.0
    kind = case.kind
    if kind == "breast cancer":
        kind, matrix = "full", np.diag(1 / X.double().var(0).cpu().numpy())
    complete = X[: 100 * k].nan_to_num(0.0)[:k].double().cpu().numpy()
    return {
        "covariance_type": kind,
        "weights_init": np.full(k, 1 / k),
        "means_init": complete,
        "precisions_init": np.broadcast_to(matrix, shape[kind]).copy(),
    }


def timed_fit(estimator, X, n_iter, is_on_gpu):
    """The estimator after n_iter iterations, and its seconds."""
    estimator.set_params(max_iter=n_iter, tol=0.0)
    clock = time.perf_counter if is_on_gpu else time.process_time
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = clock()
        estimator.fit(X)
        if is_on_gpu:
            torch.cuda.synchronize()
        return estimator, clock() - begin


def fit_and_pass(make, X, n_iter, is_on_gpu):
    """(estimator, seconds of the fit, seconds of a pass), after a fit to warm up."""
    timed_fit(make(), X, 1, is_on_gpu)
    _, one = timed_fit(make(), X, 1, is_on_gpu)
    estimator, many = timed_fit(make(), X, n_iter, is_on_gpu)
    return estimator, many, (many - one) / (n_iter - 1)


def of_numpy(case, make, X):
    """Seconds of NumPy's pass over as many rows, and the difference in F on few."""
    few = X[:FEW]
    n_iter = min(case.n_iter, 3)
    ours, _ = timed_fit(make(), few, n_iter, X.is_cuda)
    numpy, _, seconds = fit_and_pass(make, few.cpu().numpy(), n_iter, False)
    return seconds * len(X) / len(few), ours.lower_bound_ - numpy.lower_bound_


def of_sklearn(case, params, X):
    """Seconds of scikit-learn's pass over as many rows, or why there are none."""
    if os.environ.get("SCIPY_ARRAY_API") != "1":
        return "SCIPY_ARRAY_API is not 1"
    if case.kind in DISCRETE:
        return "has no such mixture"
    if case.missing:
        return "takes no NaN"
    share = X[: max(len(X) // SHARE, case.n_components)]
    params = params | {"init_params": "random_from_data"}
    for name in ("weights_init", "means_init", "precisions_init"):
        params[name] = torch.tensor(params[name], dtype=X.dtype, device=X.device)

    def make():
        return GaussianMixture(case.n_components, **params)

    try:
        with sklearn.config_context(array_api_dispatch=True):
            seconds = fit_and_pass(make, share, 3, X.is_cuda)[2]
    except (RuntimeError, ValueError) as error:  # no memory, singular in float32
        return str(error).splitlines()[0][:60]
    return f"{1000 * seconds * len(X) / len(share):,.0f}"


def measure_table(case, arguments):
    """A table of mixed columns, of which the device sees the encoded rows."""
    n = max(int(case.n_samples * arguments.scale), 2 * case.n_components)
    few = shop(FEW)[0]
    X = few.iloc[np.arange(n) % FEW].reset_index(drop=True)

    def make(device):
        return MixtureEM(case.n_components, device=device, random_state=0, n_jobs=1)

    on_device, on_cpu = (
        lambda d=device: make(d) for device in (arguments.device, "cpu")
    )
    _, fit, seconds = fit_and_pass(on_device, X, case.n_iter, arguments.device != "cpu")
    ours, _ = timed_fit(on_device(), few, 3, False)
    numpy, _, of_few = fit_and_pass(on_cpu, few, 3, False)
    print_result(
        case, n, "float64", fit, seconds, "has no such mixture", of_few * n / len(few),
        ours.lower_bound_ - numpy.lower_bound_,
    )  # fmt: skip


def measure(case, dtype, arguments):
    n = max(int(case.n_samples * arguments.scale), 2 * case.n_components)
    X = rows(case, n, getattr(torch, dtype), arguments.device)
    params = start(case, X)

    def make():
        estimator = DISCRETE.get(case.kind, GaussianMixtureEM)
        return estimator(case.n_components, random_state=0, n_jobs=1, **params)

    _, fit, seconds = fit_and_pass(make, X, case.n_iter, X.is_cuda)
    numpy, difference = of_numpy(case, make, X)
    peer = of_sklearn(case, params, X)
    print_result(case, n, dtype, fit, seconds, peer, numpy, difference)


def print_result(case, n, dtype, fit, seconds, peer, numpy, difference):
    print_row(
        case.name(n),
        dtype,
        case.n_iter,
        f"{fit:.2f}",
        f"{1000 * seconds:,.1f}",
        case.aim,
        peer,
        f"{1000 * numpy:,.0f}",
        f"{difference:+.1e}",
    )


def run(arguments):
    if arguments.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit(
            f"device={arguments.device!r} is not there; try --device cpu --scale 0.01."
        )
    print_machine(torch.get_num_threads(), ["torch"])
    is_on_gpu = arguments.device != "cpu"
    name = torch.cuda.get_device_name() if is_on_gpu else "torch's CPU device"
    kind = "Seconds" if is_on_gpu else "Processor seconds"
    print(f"{name}. {kind}; NumPy's are of one thread's processor.\n")
    print_header(
        "rows",
        "dtype",
        "iterations",
        "fit s",
        "pass ms",
        "aim",
        "pass ms, scikit-learn on the device",
        "pass ms, NumPy",
        "difference in F",
    )
    for case in (case for case in CASES if case.kind in arguments.kinds):
        if case.kind == "mixed":
            measure_table(case, arguments)
            continue
        for dtype in arguments.dtypes:
            measure(case, dtype, arguments)

"""Arrays of other libraries than NumPy, and answers in the library of the question.

torch's tensors are known wherever torch is loaded, arrays of other libraries where
scikit-learn's `array_api_dispatch` is on. Nothing here imports a library.
"""

import sys

import numpy as np
from sklearn import get_config
from sklearn.utils._array_api import get_namespace_and_device

from sklvm._compat import move_to


def is_tensor(X):
    """Whether X is a tensor of torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.Tensor)


def dispatches():
    """Whether scikit-learn's array API dispatch is on."""
    return get_config()["array_api_dispatch"]


def is_foreign(X):
    """Whether X is an array that only scikit-learn's dispatch makes an array here."""
    if move_to is None or isinstance(X, np.ndarray | np.generic) or is_tensor(X):
        return False
    return dispatches() and hasattr(X, "__array_namespace__")


def to_numpy(X):
    """X as an array of NumPy, if it is one of torch's or another library's."""
    if is_tensor(X):
        return X.detach().cpu().numpy()
    return move_to(X, xp=np, device="cpu") if is_foreign(X) else X


def like(X, answer):
    """An array of NumPy as one of the library of X, on its device."""
    if not isinstance(answer, np.ndarray):
        return answer
    if is_tensor(X):
        torch = sys.modules["torch"]
        if X.device.type == "mps" and answer.dtype == np.float64:
            answer = answer.astype(np.float32)  # it has no other floats
        return torch.tensor(np.ascontiguousarray(answer), device=X.device)
    if not is_foreign(X):
        return answer
    xp, _, device = get_namespace_and_device(X)
    return move_to(answer, xp=xp, device=device)

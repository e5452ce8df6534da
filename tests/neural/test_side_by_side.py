"""Pieces of work side by side, each on one thread of torch."""

import multiprocessing
import sys
import threading

import pytest
import torch

from sklvm.neural._side_by_side import one_thread, side_by_side


@pytest.fixture(params=[1, 3])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("n_items", [0, 1, 7])
def test_results_are_in_order_and_each_piece_has_one_thread(n_threads, n_items):
    found = side_by_side(lambda i: (i, torch.get_num_threads()), range(n_items))
    assert found == [(i, 1) for i in range(n_items)]
    assert torch.get_num_threads() == n_threads


def test_as_many_at_a_time_as_torch_has_threads(n_threads):
    # Broken if one of them comes alone.
    together = threading.Barrier(n_threads, timeout=20)
    side_by_side(lambda i: together.wait(), range(2 * n_threads))


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_is_the_callers_and_ends_the_rest(n_threads, error):
    done = []

    def piece(i):
        if i == 1:
            raise error
        threading.Event().wait(0.01)
        done.append(i)

    with pytest.raises(error):
        side_by_side(piece, range(500))
    assert len(done) < 400
    assert torch.get_num_threads() == n_threads


def test_other_threads_keep_theirs(n_threads):
    seen = []
    with one_thread():
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert torch.get_num_threads() == 1
    assert seen == [n_threads]
    assert torch.get_num_threads() == n_threads


def mkl_threads():
    """The number of the calling thread by torch's own report."""
    _, _, after = torch.__config__.parallel_info().partition("mkl_get_max_threads() : ")
    return int(after.split()[0]) if after else 1


def test_products_of_matrices_have_one_thread_too(n_threads):
    found = side_by_side(lambda i: mkl_threads(), range(7))
    assert found == [1] * 7
    before = mkl_threads()
    with one_thread():
        assert mkl_threads() == 1
    assert mkl_threads() == before


def products():
    with one_thread(), torch.inference_mode():
        x = torch.ones(4, 8, 64, 64)
        return torch.ones(300, 300) @ torch.ones(300, 300), torch.nn.Conv2d(8, 8, 3)(x)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_forked_process_waits_for_no_thread_of_its_parent():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.ones(900, 900) @ torch.ones(900, 900)  # by threads that stay
        child = multiprocessing.get_context("fork").Process(target=products)
        child.start()
        child.join(30)
        code = child.exitcode
        child.kill()
        child.join()
    finally:
        torch.set_num_threads(before)
    assert code == 0

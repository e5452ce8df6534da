#!/usr/bin/env bash
# All that has to be tried on a GPU, in one go: the tests that are skipped without one,
# scores and pickles beside the CPU's, and the speed of training and of EM. Minutes; no
# download.
#
#   bash benchmarks/gpu.sh            PYTHON=... names another interpreter
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-python}"

if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "Nothing was run: torch sees no CUDA device here, and all of benchmarks/gpu.sh needs one."
    exit 0
fi

failed=()
step() {
    echo
    echo "## $*"
    echo
    "$python" "$@" || failed+=("$*")
}

step -m pytest -q -rs -p no:cacheprovider tests/neural/test_device.py tests/neural/test_cuda.py \
    tests/mixture/test_device.py tests/mixture/test_device_discrete.py tests/mixture/test_device_mixed.py tests/mixture/test_cuda.py tests/mixture/test_array_api.py
step benchmarks/gpu.py scores
step benchmarks/gpu.py pickle
step benchmarks/gpu.py speed
SCIPY_ARRAY_API=1 step benchmarks/mixture.py gpu

echo
if [ "${#failed[@]}" -ne 0 ]; then
    printf 'Failed: %s\n' "${failed[@]}"
    exit 1
fi
echo "All passed."

"""Every test starts from the same random seed and from a clean Keras session."""

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
# Two workers share the cores; for products this small torch's threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Hundreds of tiny programs are compiled: compile fast rather than well.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# And many of them are the same: each is compiled once, by whichever worker needs it first.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import keras
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "seqstate",
    deadline=None,
    derandomize=True,
    print_blob=True,
    # How long drawing takes says how busy the machine is.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("seqstate")


@pytest.fixture(autouse=True)
def _same_start():
    keras.utils.clear_session(free_memory=False)  # to collect garbage takes 0.3 s
    keras.utils.set_random_seed(0)

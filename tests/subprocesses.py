"""Python in a process of its own."""

import os
import subprocess
import sys


def python(code, tmp_path, *words, **variables):
    """Run a line in a new Python whose Keras config is in `tmp_path`."""
    env = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KERAS_HOME")}
    env.update(KERAS_HOME=str(tmp_path), **variables)
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

"""What `quality.py` reproduces: one module a problem, a process of its own for each training."""

"""What `generate` is asked for, and what it gives; the same with Keras and without."""

from seqstate.generation.generated import Generated
from seqstate.generation.settings import Settings

__all__ = ["Generated", "Settings"]

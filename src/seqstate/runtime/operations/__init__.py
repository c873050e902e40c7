"""The functions of `keras.ops` that a functional model may hold as layers of their own.

Masks come as such: Keras writes down how it made them, operation by operation.
"""

from seqstate.runtime.operations.along_axis import ALONG_AXIS
from seqstate.runtime.operations.arrangements import ARRANGEMENTS
from seqstate.runtime.operations.elementwise import ELEMENTWISE
from seqstate.runtime.operations.operation import Entry, Operation
from seqstate.runtime.operations.products import PRODUCTS
from seqstate.runtime.operations.reductions import REDUCTIONS
from seqstate.runtime.operations.running import RUNNING
from seqstate.runtime.operations.taking import TAKING

# By the names of their classes.
OPERATIONS: dict[str, Entry] = {
    **ARRANGEMENTS,
    **ELEMENTWISE,
    **PRODUCTS,
    **REDUCTIONS,
    **ALONG_AXIS,
    **RUNNING,
    **TAKING,
}
__all__ = ["OPERATIONS", "Operation"]

// The kernels as custom calls of XLA, for JAX.
#pragma once

#include <nanobind/nanobind.h>

namespace seqstate {

// Adds `xla_targets() -> dict[str, capsule]`, the handlers by the name of their custom call, and
// `xla_api`, the version (major, minor) of XLA's FFI that they were compiled against.
void register_xla(nanobind::module_& module);

}  // namespace seqstate

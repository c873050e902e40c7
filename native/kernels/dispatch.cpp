#include <cstdlib>
#include <cstring>

#include "api.h"

// SEQSTATE_BUILDS is BUILD(avx512) BUILD(avx2) ..., the fastest first.

namespace seqstate {

#define BUILD(name)                 \
  namespace name {                  \
  extern const Kernels& table();    \
  }
SEQSTATE_BUILDS
#undef BUILD

namespace {

struct Build {
  const char* name;
  const Kernels& (*table)();
};

#define BUILD(name) {#name, name::table},
constexpr Build kBuilds[] = {SEQSTATE_BUILDS};
#undef BUILD

#define BUILD(name) #name,
constexpr const char* kNames[] = {SEQSTATE_BUILDS nullptr};
#undef BUILD

bool is(const char* a, const char* b) { return std::strcmp(a, b) == 0; }

const Build* find(const char* name) {
  for (const Build& build : kBuilds) {
    if (is(build.name, name)) return &build;
  }
  return nullptr;
}

bool cpu_runs([[maybe_unused]] const char* name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (is(name, "avx512")) {
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  }
  if (is(name, "avx2") || is(name, "wide")) return avx2;
#endif
  return true;
}

const Kernels* choose() {
  const char* wanted = std::getenv("SEQSTATE_ISA");
  if (wanted != nullptr && *wanted != '\0') return kernels(wanted);
  for (const Build& build : kBuilds) {
    // "wide" is there for tests of the code for 16 lanes; it is slower than what it stands in for.
    if (!is(build.name, "wide") && cpu_runs(build.name)) return &build.table();
  }
  return nullptr;
}

}  // namespace

const Kernels* kernels() {
  static const Kernels* const chosen = choose();
  return chosen;
}

const Kernels* kernels(const char* name) {
  const Build* build = find(name);
  return build != nullptr && cpu_runs(name) ? &build->table() : nullptr;
}

const char* const* builds() { return kNames; }

bool runs_here(const char* name) { return find(name) != nullptr && cpu_runs(name); }

}  // namespace seqstate

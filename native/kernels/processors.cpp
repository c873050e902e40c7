#include "processors.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace seqstate {

namespace {

int allowed_processors() {
#ifdef __linux__
  // The kernel refuses a set smaller than its own, so grow until it fits.
  for (int most = 1024; most <= (1 << 20); most *= 2) {
    cpu_set_t* set = CPU_ALLOC(most);
    if (set == nullptr) break;
    const size_t size = CPU_ALLOC_SIZE(most);
    const bool known = sched_getaffinity(0, size, set) == 0;
    const int count = known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (known) return count;
  }
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

std::string content(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int processors_of_quota(const std::string& text) {
  std::istringstream words(text);
  double quota = 0, period = 0;
  // "max" is no number, and older kernels say -1.
  if (!(words >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::min(std::ceil(quota / period), 1e6));
}

int usable_processors() {
  const int allowed = std::max(allowed_processors(), 1);
  // A container sees its own limits at the root: of control groups of version 2, then of 1.
  int quota = processors_of_quota(content("/sys/fs/cgroup/cpu.max"));
  if (quota == 0) {
    const std::string root = "/sys/fs/cgroup/cpu/cpu.cfs_";
    quota = processors_of_quota(content((root + "quota_us").c_str()) + " " +
                                content((root + "period_us").c_str()));
  }
  return quota == 0 ? allowed : std::min(allowed, quota);
}

}  // namespace seqstate

// Test of how it is measured whether sharing pays. Prints what failed and returns 1, or 0.
#include <cstdio>

#define SEQSTATE_BUILD test
#include "../kernels/pace.h"

int main() {
  int failures = 0;
  const auto check = [&](bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", what);
    ++failures;
  };
  seqstate::test::Pace pace;
  for (int i = 0; i < 62; ++i) {
    check(pace.shares(), "nothing else was measured: not shared");
    pace.took(true, 2);
  }
  for (int i = 0; i < 2; ++i) {
    check(!pace.shares(), "the other way was not tried");
    pace.took(false, 1);
  }
  check(!pace.shares(), "the slower way was chosen");
  return failures != 0;
}

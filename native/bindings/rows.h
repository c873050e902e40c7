// Rows of packed arrays by number.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string>
#include <vector>

#include "array.h"

namespace seqstate {

// Row numbers [n], int64. They are copied: another thread of Python may write their array while
// the kernels work without the GIL, and what was checked must be what is used.
class RowNumbers {
 public:
  // Throws Refused unless each is a row of `capacity` ones and, where they are written, none is
  // there twice.
  RowNumbers(const std::string& where, nanobind::handle rows, int64_t capacity, bool written);

  int64_t count() const { return static_cast<int64_t>(rows_.size()); }
  const int64_t* data() const { return rows_.data(); }

 private:
  void check(const std::string& where, int64_t capacity, bool written) const;

  std::vector<int64_t> rows_;
};

// An array [capacity, units] whose rows are named by such numbers.
Array packed_rows(const std::string& where, const char* name, nanobind::handle object,
                  bool written);

// Gives out[m] = packed[rows[m]], in a new array or the one that is passed.
nanobind::object gather_rows(nanobind::handle packed, nanobind::handle rows, nanobind::object out);

// packed[rows[m]] = values[m]; a row that is there twice is refused.
void scatter_rows(nanobind::handle packed, nanobind::handle rows, nanobind::handle values);

// Gives [1, units] of each of several packed arrays: one row of them all, in new arrays.
nanobind::list read_row(nanobind::list packed, int64_t row);

// Writes one row of several packed arrays, unless a value is NaN: gives the place of the first array
// of values with one, after which nothing is written, or -1.
int64_t write_row(nanobind::list packed, int64_t row, nanobind::list values);

}  // namespace seqstate

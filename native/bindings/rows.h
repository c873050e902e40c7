// Rows of packed arrays by number.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>

namespace seqstate {

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

#include "rows.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../kernels/rows.h"
#include "array.h"
#include "cell.h"
#include "errors.h"

namespace nb = nanobind;

namespace seqstate {

namespace {

// A number that is copied counts as so many operations.
constexpr int64_t kWorth = 16;

// So many rows are checked in some microseconds.
constexpr int64_t kAtOnce = 4096;

// Row numbers [n], int64. They are copied: another thread of Python may write their array while
// the kernels work without the GIL, and what was checked must be what is used.
class RowNumbers {
 public:
  // Throws Refused unless each is a row of `capacity` ones and, where they are written, none is
  // there twice.
  RowNumbers(const std::string& where, nb::handle rows, int64_t capacity, bool written);

  int64_t count() const { return static_cast<int64_t>(rows_.size()); }
  const int64_t* data() const { return rows_.data(); }

 private:
  void check(const std::string& where, int64_t capacity, bool written) const;

  std::vector<int64_t> rows_;
};

void refuse_shared(const std::string& where, const Array& a, const Array& b) {
  if (!a.overlaps(b)) return;
  refuse_input(where, std::string(a.name()) + " shares memory with " + b.name(), "Pass a copy.");
}

RowNumbers::RowNumbers(const std::string& where, nb::handle rows, int64_t capacity, bool written) {
  const Array array(where, "rows", rows, Type::int64, false);
  array.expect(where, {{"n", -1}});
  rows_.resize(static_cast<size_t>(array.shape(0)));
  const int64_t* from = array.data<const int64_t>();
  for (int64_t i = 0; i < count(); ++i) rows_[static_cast<size_t>(i)] = from[i * array.stride(0)];
  if (count() <= kAtOnce) check(where, capacity, written);
  else without_gil([&] { check(where, capacity, written); });
}

void RowNumbers::check(const std::string& where, int64_t capacity, bool written) const {
  const auto text = [&](int64_t i) {
    return "rows[" + std::to_string(i) + "] is " + std::to_string(rows_[static_cast<size_t>(i)]);
  };
  if (const int64_t i = first_outside(data(), count(), capacity); i >= 0) {
    refuse_input(where, text(i) + "; there are " + std::to_string(capacity) + " rows",
                 "Pass numbers from 0 on that are below that.");
  }
  if (const int64_t i = written ? first_repeated(data(), count()) : -1; i >= 0) {
    refuse_input(where, text(i) + ", which is there twice", "Write a row once in a call.");
  }
}

// An array [capacity, units] whose rows are named by numbers.
Array packed_rows(const std::string& where, nb::handle packed, bool written) {
  Array array(where, "packed", packed, Type::float32, written);
  array.expect(where, {{"capacity", -1}, {"units", -1}});
  if (written) array.expect_rows(where);
  else array.expect_last_dense(where);
  return array;
}

void expect_row(const std::string& where, const Array& packed, int64_t row) {
  if (row >= 0 && row < packed.shape(0)) return;
  refuse_input(where,
               "the row is " + std::to_string(row) + "; there are " +
                   std::to_string(packed.shape(0)) + " rows",
               "Pass a number from 0 on that is below that.");
}

bool has_nan(const Array& values) {
  const float* from = values.data<const float>();
  bool found = false;
  for (int64_t i = 0; i < values.shape(1); ++i) {
    const float value = from[i * values.stride(1)];
    found |= value != value;
  }
  return found;
}

}  // namespace

nb::object gather_rows(nb::handle packed, nb::handle rows, nb::object out) {
  static const std::string where = "gather";
  const Array from = packed_rows(where, packed, false);
  const RowNumbers numbers(where, rows, from.shape(0), false);
  const int64_t count = numbers.count(), size = from.shape(1);
  const auto copy = [&](Vectors<float> to) {
    if (count == 0) return;
    compute(kWorth * count * size, [&](Executor& executor) {
      gather(from.vectors<const float>(), size, numbers.data(), count, to, executor);
    });
  };
  if (out.is_none()) {
    const NewArray made(count, size);
    copy({made.data, size, 1});
    return made.object;
  }
  const Array to(where, "out", out, Type::float32, true);
  to.expect(where, {{"n", count}, {"units", size}});
  to.expect_rows(where);
  refuse_shared(where, to, from);
  copy(to.vectors<float>());
  return out;
}

void scatter_rows(nb::handle packed, nb::handle rows, nb::handle values) {
  static const std::string where = "scatter";
  const Array to = packed_rows(where, packed, true);
  const RowNumbers numbers(where, rows, to.shape(0), true);
  const int64_t count = numbers.count(), size = to.shape(1);
  const Array from(where, "values", values, Type::float32, false);
  from.expect(where, {{"n", count}, {"units", size}});
  from.expect_last_dense(where);
  refuse_shared(where, from, to);
  if (count == 0) return;
  compute(kWorth * count * size, [&](Executor& executor) {
    scatter(to.vectors<float>(), size, numbers.data(), count, from.vectors<const float>(),
            executor);
  });
}

nb::list read_row(nb::list packed, int64_t row) {
  static const std::string where = "read_row";
  nb::list out;
  for (nb::handle one : packed) {
    const Array from = packed_rows(where, one, false);
    expect_row(where, from, row);
    NewArray made(1, from.shape(1));
    std::copy_n(from.data<const float>() + row * from.stride(0), from.shape(1), made.data);
    out.append(std::move(made.object));
  }
  return out;
}

int64_t write_row(nb::list packed, int64_t row, nb::list values) {
  static const std::string where = "write_row";
  const size_t count = packed.size();
  if (values.size() != count) {
    refuse_input(where,
                 "there are " + std::to_string(values.size()) + " values for " +
                     std::to_string(count) + " packed arrays",
                 "Pass one array of values for each.");
  }
  std::vector<std::pair<Array, Array>> pairs;
  pairs.reserve(count);
  int64_t with_nan = -1;
  for (size_t i = 0; i < count; ++i) {
    pairs.emplace_back(packed_rows(where, packed[i], true),
                       Array(where, "values", values[i], Type::float32, false));
    const auto& [to, from] = pairs.back();
    expect_row(where, to, row);
    from.expect(where, {{"row", 1}, {"units", to.shape(1)}});
    refuse_shared(where, from, to);
    if (with_nan < 0 && has_nan(from)) with_nan = static_cast<int64_t>(i);
  }
  if (with_nan >= 0) return with_nan;
  for (const auto& [to, from] : pairs) {
    float* target = to.data<float>() + row * to.stride(0);
    for (int64_t i = 0; i < to.shape(1); ++i) {
      target[i] = from.data<const float>()[i * from.stride(1)];
    }
  }
  return -1;
}

}  // namespace seqstate

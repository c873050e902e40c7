#include "rows.h"

#include "../kernels/rows.h"
#include "cell.h"
#include "errors.h"

namespace nb = nanobind;

namespace seqstate {

namespace {

// A number that is copied counts as so many operations.
constexpr int64_t kWorth = 16;

// So many rows are checked in some microseconds.
constexpr int64_t kAtOnce = 4096;

void refuse_shared(const std::string& where, const Array& a, const Array& b) {
  if (!a.overlaps(b)) return;
  refuse_input(where, std::string(a.name()) + " shares memory with " + b.name(), "Pass a copy.");
}

}  // namespace

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

Array packed_rows(const std::string& where, const char* name, nb::handle object, bool written) {
  Array array(where, name, object, Type::float32, written);
  array.expect(where, {{"capacity", -1}, {"units", -1}});
  if (written) array.expect_rows(where);
  else array.expect_last_dense(where);
  return array;
}

nb::object gather_rows(nb::handle packed, nb::handle rows, nb::object out) {
  static const std::string where = "gather";
  const Array from = packed_rows(where, "packed", packed, false);
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
  const Array to = packed_rows(where, "packed", packed, true);
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

}  // namespace seqstate

#include "dense.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "arguments.h"
#include "cell.h"
#include "errors.h"

namespace nb = nanobind;

namespace seqstate {

namespace {

const std::string kWhere = "native Dense";

// Numbers of an elementwise function that are about a microsecond's work.
constexpr int64_t kAtOnce = 8192;

void refuse_shared(const Array& out, const Array& x) {
  if (!out.overlaps(x)) return;
  refuse_input(kWhere, "out shares memory with x", "Pass an array of its own for the result.");
}

}  // namespace

PackedDense::PackedDense(nb::handle kernel, nb::handle bias, const char* activation,
                         const std::optional<std::string>& build)
    : kernels_(chosen_build(build)) {
  const Array matrix(kWhere, "kernel", kernel, Type::float32, false);
  matrix.expect(kWhere, {{"features", -1}, {"units", -1}});
  matrix.expect_dense(kWhere);
  dense_ = {matrix.shape(0), matrix.shape(1), activation_of(activation), nullptr};
  if (dense_.features < 1 || dense_.units < 1) {
    refuse_input(kWhere, "the kernel has no features or no units", "Pass at least one of each.");
  }
  Array more;
  if (!bias.is_none()) {
    more = Array(kWhere, "bias", bias, Type::float32, false);
    more.expect(kWhere, {{"units", dense_.units}});
    more.expect_dense(kWhere);
  }
  constexpr size_t kLine = 64;
  const auto bytes = static_cast<size_t>(kernels_.dense_floats(dense_)) * sizeof(float);
  memory_.reset(static_cast<float*>(std::aligned_alloc(kLine, (bytes + kLine - 1) / kLine * kLine)));
  if (memory_ == nullptr) throw std::bad_alloc();
  kernels_.pack_dense(dense_, matrix.data<float>(), more.data<float>(), memory_.get());
  dense_.packed = memory_.get();
}

Array PackedDense::input(nb::handle x) const {
  Array array(kWhere, "x", x, Type::float32, false);
  array.expect(kWhere, {{"rows", -1}, {"features", dense_.features}});
  return array;
}

DenseRun PackedDense::checked(const Array& x, const Array& out) const {
  out.expect(kWhere, {{"rows", x.shape(0)}, {"units", dense_.units}});
  out.expect_rows(kWhere);
  refuse_shared(out, x);
  return {x.shape(0), x.vectors<const float>(), out.vectors<float>()};
}

void PackedDense::compute(const DenseRun& run) const {
  if (run.rows == 0) return;
  seqstate::compute(2 * run.rows * dense_.features * dense_.units,
                    [&](Executor& executor) { kernels_.dense(dense_, run, executor); });
}

nb::object PackedDense::run(nb::handle x, nb::object out) const {
  const Array from = input(x);
  if (!out.is_none()) {
    compute(checked(from, Array(kWhere, "out", out, Type::float32, true)));
    return out;
  }
  const NewArray made(from.shape(0), dense_.units);
  compute({from.shape(0), from.vectors<const float>(), {made.data, dense_.units, 1}});
  return made.object;
}

Prepared prepare_dense(nb::object dense, nb::handle x, nb::handle out) {
  const auto& packed = nb::cast<const PackedDense&>(dense);
  Array from = packed.input(x);
  Array to(kWhere, "out", out, Type::float32, true);
  const DenseRun run = packed.checked(from, to);
  return Prepared([&packed, run, dense = std::move(dense), from = std::move(from),
                   to = std::move(to)] { packed.compute(run); });
}

void activate(const char* function, nb::handle x, nb::handle out,
              const std::optional<std::string>& build) {
  const Kernels& kernels = chosen_build(build);
  const std::string where = "native activate";
  const bool exponential = std::strcmp(function, "exp") == 0;
  const Activation activation = exponential ? Activation::linear : activation_of(function);
  const Array from(where, "x", x, Type::float32, false);
  const Array to(where, "out", out, Type::float32, true);
  to.expect_like(where, from);
  from.expect_dense(where);
  to.expect_dense(where);
  if (to.data<float>() != from.data<float>() && to.overlaps(from)) {
    refuse_input(where, "out is a part of the memory of x", "Pass x itself, or a new array.");
  }
  const int64_t count = from.size();
  auto body = [&] {
    if (exponential) kernels.exponential(from.data<float>(), to.data<float>(), count);
    else kernels.activate(activation, from.data<float>(), to.data<float>(), count);
  };
  if (count <= kAtOnce) body();
  else without_gil(body);
}

bool all_finite(nb::handle x) {
  static const std::string where = "native finite";
  const Array array(where, "x", x, Type::float32, false);
  array.expect(where, {{"count", -1}});
  const float* from = array.data<float>();
  const int64_t count = array.size(), stride = array.stride(0);
  bool found = true;
  auto body = [&] {
    for (int64_t i = 0; i < count; ++i) {
      found &= std::abs(from[i * stride]) <= std::numeric_limits<float>::max();
    }
  };
  if (count <= kAtOnce) body();
  else without_gil(body);
  return found;
}

}  // namespace seqstate

#include "cell.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

#include "../kernels/alone.h"
#include "../kernels/pool.h"
#include "arguments.h"
#include "errors.h"

namespace nb = nanobind;

namespace seqstate {

namespace {

// About a microsecond: less than it takes to wake a thread.
constexpr int64_t kAtOnce = int64_t{1} << 16;

}  // namespace

int64_t work_of(const Run& run) { return run.step_work() * run.time; }

void compute(int64_t work, void (*body)(Executor&, void*), void* context) {
  if (work <= kAtOnce) {
    Alone alone;
    body(alone, context);
    return;
  }
  Pool& threads = pool();
  without_gil([&] { body(threads, context); });
}

void without_gil(void (*body)(void*), void* context) {
  PyThreadState* const state = PyEval_SaveThread();
  std::exception_ptr error;
  try {
    body(context);
  } catch (...) {
    error = std::current_exception();
  }
#ifdef __GLIBCXX__
  // Python ends a thread that comes back too late by unwinding it, which aborts the process at
  // the first function that lets no exception through.
  try {
    PyEval_RestoreThread(state);
  } catch (abi::__forced_unwind&) {
    for (;;) ::pause();
  }
#else
  PyEval_RestoreThread(state);
#endif
  if (error) std::rethrow_exception(error);
}

PackedCell::PackedCell(const char* kind, const char* activation,
                       const char* recurrent_activation, bool reset_after, nb::dict weights,
                       const std::optional<std::string>& build)
    : kernels_(chosen_build(build)),
      cell_(cell_of(kind, activation, recurrent_activation, reset_after)),
      where_(where_of(cell_)) {
  ByName given(where_, "the weights", std::move(weights));
  const WeightArrays arrays(where_, given, cell_);
  given.nothing_left();
  weights_ = {keep(arrays.kernel), keep(arrays.recurrent_kernel), keep(arrays.bias),
              keep(arrays.recurrent_bias)};
  packed_ = kernels_.pack(cell_, weights_);
}

const float* PackedCell::keep(const Array& array) {
  if (!array.given()) return nullptr;
  const auto size = static_cast<size_t>(array.size());
  memory_.push_back(std::make_unique_for_overwrite<float[]>(size));
  std::copy_n(array.data<float>(), size, memory_.back().get());
  return memory_.back().get();
}

void PackedCell::run(nb::dict inputs, nb::dict results, bool go_backwards) const {
  const RunArguments arguments(cell_, &weights_, go_backwards, std::move(inputs),
                               std::move(results));
  compute(arguments.run());
}

void PackedCell::compute(const Run& run) const {
  if (run.batch == 0) return;
  seqstate::compute(work_of(run), [&](Executor& executor) { forward(run, executor); });
}

Prepared prepare_cell(nb::object cell, nb::dict inputs, nb::dict results, bool go_backwards) {
  const auto& packed = nb::cast<const PackedCell&>(cell);
  const auto arguments = std::make_shared<const RunArguments>(
      packed.cell(), &packed.weights(), go_backwards, std::move(inputs), std::move(results));
  return Prepared([&packed, cell = std::move(cell), arguments] {
    packed.compute(arguments->run());
  });
}

void PackedCell::expect_states(nb::handle c) const {
  const bool one = states_of(cell_.kind) == 1;
  if (c.is_none() == one) return;
  refuse_argument(where_, one ? "there is no state \"c\"" : "the state \"c\" is missing",
                  "Pass one array for each state.");
}

nb::tuple PackedCell::step(nb::handle x, nb::handle h, nb::handle c) const {
  expect_states(c);
  const Array input(where_, "x", x, Type::float32, false);
  input.expect(where_, {{"batch", -1}, {"features", cell_.features}});
  Run run{};
  run.cell = cell_;
  run.weights = weights_;
  run.batch = input.shape(0);
  run.time = 1;
  run.x = {input.data<const float>(), input.stride(0), 0, input.stride(1)};
  const int64_t units = cell_.units;
  const nb::handle given[kMaxStates] = {h, c};
  Array states[kMaxStates];
  nb::object made[kMaxStates];
  for (int i = 0; i < states_of(cell_.kind); ++i) {
    states[i] = Array(where_, kStates[i], given[i], Type::float32, false);
    states[i].expect(where_, {{"batch", run.batch}, {"units", units}});
    run.initial[i] = states[i].vectors<const float>();
    NewArray next(run.batch, units);
    run.last[i] = {next.data, units, 1};
    made[i] = std::move(next.object);
  }
  compute(run);
  return states_of(cell_.kind) == 1 ? nb::make_tuple(made[0]) : nb::make_tuple(made[0], made[1]);
}

Stepper::Stepper(nb::object cell, nb::object h, nb::object c)
    : cell_(std::move(cell)),
      packed_(nb::cast<const PackedCell&>(cell_)),
      h_(h),
      where_(where_of(packed_.cell())) {
  run_.cell = packed_.cell();
  run_.weights = packed_.weights();
  run_.time = 1;
  const int states = states_of(run_.cell.kind);
  packed_.expect_states(c);
  const int64_t units = run_.cell.units;
  const nb::handle given[kMaxStates] = {h, c};
  for (int i = 0; i < states; ++i) {
    states_[i] = Array(where_, kStates[i], given[i], Type::float32, true);
    states_[i].expect(where_, {{"batch", i == 0 ? -1 : run_.batch}, {"units", units}});
    states_[i].expect_dense(where_);
    run_.batch = states_[0].shape(0);
  }
  if (states == 2 && states_[0].overlaps(states_[1])) {
    refuse_input(where_, "the states h and c share memory", "Pass an array of its own for each.");
  }
  next_.resize(static_cast<size_t>(states * run_.batch * units));
  for (int i = 0; i < states; ++i) {
    run_.initial[i] = {states_[i].data<const float>(), units, 1};
    run_.last[i] = {next_.data() + i * run_.batch * units, units, 1};
  }
  work_ = work_of(run_);
}

nb::object Stepper::step(nb::handle x) {
  const Array array(where_, "x", x, Type::float32, false);
  array.expect(where_, {{"batch", run_.batch}, {"features", run_.cell.features}});
  if (run_.batch == 0) return h_;
  run_.x = {array.data<const float>(), array.stride(0), 0, array.stride(1)};
  compute(work_, [this](Executor& executor) { packed_.forward(run_, executor); });
  for (int i = 0; i < states_of(run_.cell.kind); ++i) {
    std::memcpy(states_[i].data<float>(), run_.last[i].data,
                sizeof(float) * static_cast<size_t>(run_.batch * run_.cell.units));
  }
  return h_;
}

}  // namespace seqstate

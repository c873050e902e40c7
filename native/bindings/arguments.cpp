#include "arguments.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "errors.h"

namespace nb = nanobind;

namespace seqstate {

namespace {

template <size_t Count>
int index_of(const char* where, const char* const (&names)[Count], const char* name) {
  std::string all;
  for (size_t i = 0; i < Count; ++i) {
    if (std::strcmp(names[i], name) == 0) return static_cast<int>(i);
    all += (i ? ", \"" : "\"") + std::string(names[i]) + "\"";
  }
  refuse_argument(where, "\"" + std::string(name) + "\" is not known to the native kernels",
                  "There are " + all + ".");
}

constinit const Name kX("x"), kKernel("kernel"), kRecurrentKernel("recurrent_kernel");
constinit const Name kBias("bias"), kRecurrentBias("recurrent_bias");
constinit const Name kMask("mask"), kResetMask("reset_mask"), kKept("kept");
constinit const Name kInputDropout("input_dropout"), kRecurrentDropout("recurrent_dropout");
// Of each state.
constinit const Name kInitial[] = {Name("initial_h"), Name("initial_c")};
constinit const Name kFresh[] = {Name("fresh_h"), Name("fresh_c")};
constinit const Name kLast[] = {Name("last_h"), Name("last_c")};
constinit const Name kEvery[] = {Name("states_h"), Name("states_c")};

bool has_recurrent_bias(const Cell& cell) { return cell.kind == Kind::gru && cell.reset_after; }

}  // namespace

Activation activation_of(const char* name) {
  return static_cast<Activation>(index_of("activation", kActivations, name));
}

Cell cell_of(const char* kind, const char* activation, const char* recurrent_activation,
             bool reset_after) {
  Cell cell{};
  cell.kind = static_cast<Kind>(index_of("kind", kKinds, kind));
  cell.activation = activation_of(activation);
  cell.recurrent_activation = static_cast<Activation>(
      index_of("recurrent_activation", kActivations, recurrent_activation));
  cell.reset_after = reset_after;
  return cell;
}

std::string where_of(const Cell& cell) {
  return std::string("native ") + kKinds[static_cast<int>(cell.kind)];
}

Array ByName::take(const Name& name, Type type, bool writable) {
  PyObject* value = PyDict_GetItemWithError(values_.ptr(), name.key());
  if (value == nullptr) {
    if (PyErr_Occurred() != nullptr) nb::raise_python_error();
    return {};
  }
  names_[taken_++] = &name;
  return Array(where_, name.text(), value, type, writable);
}

Array ByName::need(const Name& name) {
  Array array = take(name);
  if (!array.given()) {
    refuse_input(where_, std::string(title_) + " lack \"" + name.text() + "\"", "Pass it.");
  }
  return array;
}

void ByName::nothing_left() const {
  if (PyDict_Size(values_.ptr()) == taken_) return;
  for (const auto& [key, value] : values_) {
    const nb::str text(key);
    bool known = false;
    for (int64_t i = 0; i < taken_; ++i) {
      known = known || std::strcmp(names_[i]->text(), text.c_str()) == 0;
    }
    if (!known) {
      refuse_input(where_, std::string(title_) + " hold \"" + text.c_str() + "\", which has no use",
                   "Leave it out.");
    }
  }
}

WeightArrays::WeightArrays(const std::string& where, ByName& given, Cell& cell)
    : kernel(given.need(kKernel)),
      recurrent_kernel(given.need(kRecurrentKernel)),
      bias(given.take(kBias)) {
  const int blocks = blocks_of(cell.kind);
  kernel.expect(where, {{"features", -1}, {"blocks * units", -1}});
  recurrent_kernel.expect(where, {{"units", -1}, {"blocks * units", -1}});
  cell.features = kernel.shape(0);
  cell.units = recurrent_kernel.shape(0);
  const Axis columns{"blocks * units", blocks * cell.units};
  kernel.expect(where, {{"features", -1}, columns});
  recurrent_kernel.expect(where, {{"units", -1}, columns});
  if (cell.features < 1 || cell.units < 1) {
    refuse_input(where, "the kernel has no features or no units", "Pass at least one of each.");
  }
  if (bias.given()) bias.expect(where, {columns});
  if (has_recurrent_bias(cell)) {
    recurrent_bias = given.take(kRecurrentBias);
    if (recurrent_bias.given()) recurrent_bias.expect(where, {columns});
  }
  for (const Array* array : {&kernel, &recurrent_kernel, &bias, &recurrent_bias}) {
    array->expect_dense(where);
  }
}

Weights WeightArrays::pointers() const {
  return {kernel.data<float>(), recurrent_kernel.data<float>(), bias.data<float>(),
          recurrent_bias.data<float>()};
}

RunArguments::RunArguments(Cell cell, const Weights* weights, bool go_backwards, nb::dict inputs)
    : where_(where_of(cell)) {
  read_.reserve(2 * kMaxNames);
  written_.reserve(kMaxNames);
  ByName given(where_, "the inputs", std::move(inputs));
  if (weights != nullptr) {
    run_.weights = *weights;
  } else {
    WeightArrays arrays(where_, given, cell);
    run_.weights = arrays.pointers();
    for (Array* array : {&arrays.kernel, &arrays.recurrent_kernel, &arrays.bias,
                         &arrays.recurrent_bias}) {
      reads(std::move(*array));
    }
  }
  run_.cell = cell;
  run_.go_backwards = go_backwards;
  read_inputs(given);
  given.nothing_left();
}

RunArguments::RunArguments(Cell cell, const Weights* weights, bool go_backwards, nb::dict inputs,
                           nb::dict results)
    : RunArguments(cell, weights, go_backwards, std::move(inputs)) {
  read_results(std::move(results));
}

void RunArguments::read_inputs(ByName& given) {
  const Array& x = reads(given.need(kX));
  x.expect(where_, {{"batch", -1}, {"time", -1}, {"features", run_.cell.features}});
  run_.x = x.sequences<const float>();
  run_.batch = x.shape(0);
  run_.time = x.shape(1);
  if (run_.time < 1) refuse_input(where_, "x has no time step", "Pass at least one.");
  const Axis batch{"batch", run_.batch}, time{"time", run_.time};
  const Axis features{"features", run_.cell.features}, units{"units", run_.cell.units};
  for (int i = 0; i < states_of(run_.cell.kind); ++i) {
    for (const auto& [name, into] : {std::pair{&kInitial[i], &run_.initial[i]},
                                     std::pair{&kFresh[i], &run_.fresh[i]}}) {
      const Array& state = reads(given.take(*name));
      if (!state.given()) continue;
      state.expect(where_, {batch, units});
      *into = state.vectors<const float>();
    }
  }
  for (const auto& [name, into] : {std::pair{&kMask, &run_.mask},
                                   std::pair{&kResetMask, &run_.reset_mask}}) {
    const Array& mask = reads(given.take(*name, Type::boolean));
    if (!mask.given()) continue;
    mask.expect(where_, {batch, time});
    *into = {mask.data<const uint8_t>(), mask.stride(0), mask.stride(1), 1};
  }
  read_dropout(given, kInputDropout, features, run_.input_dropout);
  read_dropout(given, kRecurrentDropout, units, run_.recurrent_dropout);
}

void RunArguments::read_dropout(ByName& given, const Name& name, Axis size, Dropout& into) {
  const Array& mask = reads(given.take(name));
  if (!mask.given()) return;
  const int blocks = blocks_of(run_.cell.kind);
  const bool one = mask.rank() > 0 && mask.shape(0) == 1;
  mask.expect(where_, {{"1 or blocks", one ? 1 : blocks}, {"batch", run_.batch}, size});
  mask.expect_dense(where_);
  into = {mask.data<const float>(), one ? 1 : blocks};
}

void RunArguments::read_results(nb::dict results) {
  ByName wanted(where_, "the results", std::move(results));
  const Axis batch{"batch", run_.batch}, time{"time", run_.time}, units{"units", run_.cell.units};
  for (int i = 0; i < states_of(run_.cell.kind); ++i) {
    const Array& last = writes(wanted.take(kLast[i], Type::float32, true));
    if (last.given()) {
      last.expect(where_, {batch, units});
      run_.last[i] = last.vectors<float>();
    }
    const Array& states = writes(wanted.take(kEvery[i], Type::float32, true));
    if (states.given()) {
      states.expect(where_, {batch, time, units});
      run_.states[i] = states.sequences<float>();
    }
  }
  const int count = run_.cell.kept();
  const Array& kept = writes(count > 0 ? wanted.take(kKept, Type::float32, true) : Array());
  if (kept.given()) {
    kept.expect(where_, {time, batch, {"kept", count}, units});
    for (int i = 0; i < count; ++i) run_.kept[i] = kept.sequences_at(i);
  }
  wanted.nothing_left();
  for (const Array& array : written_) array.expect_rows(where_);
}

const Array& RunArguments::reads(Array&& array) {
  static const Array none;
  return array.given() ? read_.emplace_back(std::move(array)) : none;
}

const Array& RunArguments::writes(Array&& array) {
  static const Array none;
  if (!array.given()) return none;
  refuse_shared(array, read_, "");
  refuse_shared(array, written_, "");
  return written_.emplace_back(std::move(array));
}

void RunArguments::refuse_shared(const Array& written, const std::vector<Array>& others,
                                 const char* of) const {
  for (const Array& other : others) {
    if (!written.overlaps(other)) continue;
    refuse_input(where_, std::string(written.name()) + " shares memory with " + other.name() + of,
                 "Pass results that share no memory with anything else in the call.");
  }
}

void RunArguments::expect_apart(const RunArguments& other) const {
  for (const Array& written : written_) {
    refuse_shared(written, other.read_, " of another run");
    refuse_shared(written, other.written_, " of another run");
  }
  for (const Array& written : other.written_) {
    other.refuse_shared(written, read_, " of another run");
  }
}

GradientArguments::GradientArguments(Cell cell, bool go_backwards, nb::dict inputs,
                                     nb::dict results, nb::dict cotangents, nb::dict gradients)
    : forward_(cell, nullptr, go_backwards, std::move(inputs)) {
  read_results(std::move(results));
  read_cotangents(std::move(cotangents));
  gradient_.run = forward_.run_;
  read_gradients(std::move(gradients));
}

void GradientArguments::read_results(nb::dict results) {
  const std::string& where = forward_.where_;
  Run& run = forward_.run_;
  ByName given(where, "the results", std::move(results));
  const Axis batch{"batch", run.batch}, time{"time", run.time}, units{"units", run.cell.units};
  for (int i = 0; i < states_of(run.cell.kind); ++i) {
    const Array& states = forward_.reads(given.need(kEvery[i]));
    states.expect(where, {batch, time, units});
    states.expect_rows(where);
    run.states[i] = states.sequences<float>();
  }
  if (const int count = run.cell.kept()) {
    const Array& kept = forward_.reads(given.need(kKept));
    kept.expect(where, {time, batch, {"kept", count}, units});
    kept.expect_rows(where);
    for (int i = 0; i < count; ++i) run.kept[i] = kept.sequences_at(i);
  }
  given.nothing_left();
}

void GradientArguments::read_cotangents(nb::dict cotangents) {
  const std::string& where = forward_.where_;
  const Run& run = forward_.run_;
  ByName given(where, "the cotangents", std::move(cotangents));
  const Axis batch{"batch", run.batch}, time{"time", run.time}, units{"units", run.cell.units};
  for (int i = 0; i < states_of(run.cell.kind); ++i) {
    const Array& last = forward_.reads(given.take(kLast[i]));
    if (last.given()) {
      last.expect(where, {batch, units});
      gradient_.d_last[i] = last.vectors<const float>();
    }
    const Array& states = forward_.reads(given.take(kEvery[i]));
    if (states.given()) {
      states.expect(where, {batch, time, units});
      gradient_.d_states[i] = states.sequences<const float>();
    }
  }
  const int count = run.cell.kept();
  const Array& kept = forward_.reads(count > 0 ? given.take(kKept) : Array());
  if (kept.given()) {
    kept.expect(where, {time, batch, {"kept", count}, units});
    for (int i = 0; i < gates_of(run.cell.kind); ++i) {
      const Sequences<float> gate = kept.sequences_at(i);
      gradient_.d_gates[i] = {gate.data, gate.row, gate.step, gate.unit};
    }
  }
  given.nothing_left();
}

void GradientArguments::read_gradients(nb::dict gradients) {
  const std::string& where = forward_.where_;
  const Run& run = forward_.run_;
  ByName wanted(where, "the gradients", std::move(gradients));
  const Axis batch{"batch", run.batch}, time{"time", run.time}, units{"units", run.cell.units};
  const Axis features{"features", run.cell.features};
  const Axis columns{"blocks * units", blocks_of(run.cell.kind) * run.cell.units};
  const Array& x = forward_.writes(wanted.take(kX, Type::float32, true));
  if (x.given()) {
    x.expect(where, {batch, time, features});
    gradient_.d_x = x.sequences<float>();
  }
  for (int i = 0; i < states_of(run.cell.kind); ++i) {
    for (const auto& [name, into] : {std::pair{&kInitial[i], &gradient_.d_initial[i]},
                                     std::pair{&kFresh[i], &gradient_.d_fresh[i]}}) {
      const Array& state = forward_.writes(wanted.take(*name, Type::float32, true));
      if (!state.given()) continue;
      state.expect(where, {batch, units});
      *into = state.vectors<float>();
    }
  }
  gradient_.d_kernel = dense(wanted, kKernel, {features, columns});
  gradient_.d_recurrent_kernel = dense(wanted, kRecurrentKernel, {units, columns});
  gradient_.d_bias = dense(wanted, kBias, {columns});
  if (has_recurrent_bias(run.cell)) {
    gradient_.d_recurrent_bias = dense(wanted, kRecurrentBias, {columns});
  }
  wanted.nothing_left();
  for (const Array& array : forward_.written_) array.expect_rows(where);
}

float* GradientArguments::dense(ByName& given, const Name& name,
                                std::initializer_list<Axis> axes) {
  const Array& array = forward_.writes(given.take(name, Type::float32, true));
  if (!array.given()) return nullptr;
  array.expect(forward_.where_, axes);
  array.expect_dense(forward_.where_);
  return array.data<float>();
}

void without_rows(const Gradient& gradient) {
  const Cell& cell = gradient.run.cell;
  const int64_t columns = blocks_of(cell.kind) * cell.units;
  for (const auto& [data, rows] : {std::pair{gradient.d_kernel, cell.features},
                                   std::pair{gradient.d_recurrent_kernel, cell.units},
                                   std::pair{gradient.d_bias, int64_t{1}},
                                   std::pair{gradient.d_recurrent_bias, int64_t{1}}}) {
    if (data != nullptr) std::fill_n(data, rows * columns, 0.0f);
  }
}

}  // namespace seqstate

// seqstate._native: the kernels for Python. native.py and call.py say what the arrays are.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "../kernels/api.h"
#include "../kernels/pool.h"
#include "../kernels/side_by_side.h"
#include "arguments.h"
#include "array.h"
#include "cell.h"
#include "dense.h"
#include "errors.h"
#include "prepared.h"
#include "rows.h"
#ifdef SEQSTATE_XLA
#include "xla.h"
#endif

namespace nb = nanobind;
using namespace nb::literals;

namespace seqstate {

namespace {

using BuildName = std::optional<std::string>;

// All of a kind of call, `passes` times the work of their runs, at once.
template <class Call>
void compute_all(const Kernels& kernels, const std::vector<const Call*>& asked, int64_t passes,
                 void (*all)(const Kernels&, const std::vector<const Call*>&, Executor&)) {
  std::vector<const Call*> with_rows;
  int64_t work = 0;
  for (const Call* one : asked) {
    const Run& run = run_in(*one);
    if (run.batch == 0) {
      without_rows(*one);
      continue;
    }
    with_rows.push_back(one);
    work += passes * work_of(run);
  }
  compute(work, [&](Executor& executor) { all(kernels, with_rows, executor); });
}

void compute_runs(const Kernels& kernels, const std::vector<const Run*>& asked) {
  compute_all(kernels, asked, 1, &forward_all);
}

void compute_gradients(const Kernels& kernels, const std::vector<const Gradient*>& asked) {
  compute_all(kernels, asked, 3, &gradient_all);
}

void forward(const char* kind, const char* activation, const char* recurrent_activation,
             bool reset_after, bool go_backwards, nb::dict inputs, nb::dict results,
             const BuildName& build) {
  const Kernels& kernels = chosen_build(build);
  const RunArguments arguments(
      cell_of(kind, activation, recurrent_activation, reset_after), nullptr, go_backwards,
      std::move(inputs), std::move(results));
  compute_runs(kernels, {&arguments.run()});
}

void gradient(const char* kind, const char* activation, const char* recurrent_activation,
              bool reset_after, bool go_backwards, nb::dict inputs, nb::dict results,
              nb::dict cotangents, nb::dict gradients, const BuildName& build) {
  const Kernels& kernels = chosen_build(build);
  const GradientArguments arguments(
      cell_of(kind, activation, recurrent_activation, reset_after), go_backwards,
      std::move(inputs), std::move(results), std::move(cotangents), std::move(gradients));
  compute_gradients(kernels, {&arguments.gradient()});
}

// What `forward` takes, and what `gradient` takes.
using ForwardCall = std::tuple<std::string, std::string, std::string, bool, bool, nb::dict,
                               nb::dict>;
using GradientCall = std::tuple<std::string, std::string, std::string, bool, bool, nb::dict,
                                nb::dict, nb::dict, nb::dict>;

template <class Call>
Cell cell_in(const Call& call) {
  return cell_of(std::get<0>(call).c_str(), std::get<1>(call).c_str(),
                 std::get<2>(call).c_str(), std::get<3>(call));
}

template <class Arguments>
void expect_apart(const std::vector<Arguments>& all) {
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j) all[j].expect_apart(all[i]);
  }
}

void forward_calls(const std::vector<ForwardCall>& calls, const BuildName& build) {
  const Kernels& kernels = chosen_build(build);
  std::vector<RunArguments> arguments;
  arguments.reserve(calls.size());
  for (const ForwardCall& call : calls) {
    arguments.emplace_back(cell_in(call), nullptr, std::get<4>(call), std::get<5>(call),
                           std::get<6>(call));
  }
  expect_apart(arguments);
  std::vector<const Run*> asked;
  for (const RunArguments& one : arguments) asked.push_back(&one.run());
  compute_runs(kernels, asked);
}

void gradient_calls(const std::vector<GradientCall>& calls, const BuildName& build) {
  const Kernels& kernels = chosen_build(build);
  std::vector<GradientArguments> arguments;
  arguments.reserve(calls.size());
  for (const GradientCall& call : calls) {
    arguments.emplace_back(cell_in(call), std::get<4>(call), std::get<5>(call), std::get<6>(call),
                           std::get<7>(call), std::get<8>(call));
  }
  expect_apart(arguments);
  std::vector<const Gradient*> asked;
  for (const GradientArguments& one : arguments) asked.push_back(&one.gradient());
  compute_gradients(kernels, asked);
}

double peak(int threads, double seconds, const BuildName& build) {
  const Kernels& kernels = chosen_build(build);
  if (threads < 1 || threads > kMaxThreads || !(seconds > 0 && seconds <= 60)) {
    refuse_argument("peak", "the number of threads or seconds is out of range",
                    "Pass at least one thread, and up to 60 seconds.");
  }
  std::vector<double> reached(static_cast<size_t>(threads));
  without_gil([&] {
    std::vector<std::thread> others;
    for (size_t i = 1; i < reached.size(); ++i) {
      others.emplace_back([&, i] { reached[i] = kernels.peak(seconds); });
    }
    reached[0] = kernels.peak(seconds);
    for (std::thread& other : others) other.join();
  });
  double total = 0;
  for (const double each : reached) total += each;
  return total;
}

nb::tuple names_of_builds() {
  nb::list names;
  for (const char* const* name = builds(); *name != nullptr; ++name) names.append(*name);
  return nb::tuple(names);
}

// What the kernels take for granted of each cell, for the test that compares it with cells.py.
nb::dict facts() {
  nb::dict kinds;
  for (const char* kind : kKinds) {
    Cell cell = cell_of(kind, "tanh", "sigmoid", false);
    nb::dict of;
    nb::list states;
    for (int i = 0; i < states_of(cell.kind); ++i) states.append(kStates[i]);
    of["states"] = nb::tuple(states);
    of["gates"] = gates_of(cell.kind);
    of["blocks"] = blocks_of(cell.kind);
    of["kept"] = cell.kept();
    cell.reset_after = true;
    of["kept_reset_after"] = cell.kept();
    kinds[kind] = of;
  }
  nb::list activations;
  for (const char* activation : kActivations) activations.append(activation);
  nb::dict all;
  all["kinds"] = kinds;
  all["activations"] = nb::tuple(activations);
  return all;
}

}  // namespace

}  // namespace seqstate

NB_MODULE(_native, module) {
  // A model that is still held when the process ends is nobody's mistake.
  nb::set_leak_warnings(false);
  using namespace seqstate;
  load_numpy();
  translate_errors();
  const auto build = [] { return "build"_a.none() = nb::none(); };

  module.def("forward", &forward, "kind"_a, "activation"_a, "recurrent_activation"_a,
             "reset_after"_a, "go_backwards"_a, "inputs"_a, "results"_a, build());
  module.def("gradient", &gradient, "kind"_a, "activation"_a, "recurrent_activation"_a,
             "reset_after"_a, "go_backwards"_a, "inputs"_a, "results"_a, "cotangents"_a,
             "gradients"_a, build());
  module.def("forward_all", &forward_calls, "calls"_a, build());
  module.def("gradient_all", &gradient_calls, "calls"_a, build());

  module.def("build_name", [] { return chosen_build({}).name; });
  module.def("builds", &names_of_builds);
  module.def("runs_here", &runs_here, "name"_a);
  module.def("lanes", [](const BuildName& name) { return chosen_build(name).lanes; }, build());
  module.def("fused", [](const BuildName& name) { return chosen_build(name).fused; }, build());
  module.def("threads", [] { return pool().threads(); });
  module.def("set_threads", &set_threads, "threads"_a);
  module.def("peak", &peak, "threads"_a, "seconds"_a, build());
  module.def("facts", &facts);

  nb::class_<PackedCell>(module, "Cell")
      .def(nb::init<const char*, const char*, const char*, bool, nb::dict, const BuildName&>(),
           "kind"_a, "activation"_a, "recurrent_activation"_a, "reset_after"_a, "weights"_a,
           build())
      .def("run", &PackedCell::run, "inputs"_a, "results"_a, "go_backwards"_a = false)
      .def("prepare", &prepare_cell, "inputs"_a, "results"_a, "go_backwards"_a = false)
      .def("step", &PackedCell::step, "x"_a, "h"_a, "c"_a.none() = nb::none());
  nb::class_<Stepper>(module, "Stepper")
      .def(nb::init<nb::object, nb::object, nb::object>(), "cell"_a, "h"_a,
           "c"_a.none() = nb::none())
      .def("step", &Stepper::step, "x"_a);

  nb::class_<Prepared>(module, "Prepared").def("__call__", &Prepared::operator());
  nb::class_<PackedDense>(module, "Dense")
      .def(nb::init<nb::handle, nb::handle, const char*, const BuildName&>(), "kernel"_a,
           "bias"_a.none() = nb::none(), "activation"_a = "linear", build())
      .def("__call__", &PackedDense::run, "x"_a, "out"_a.none() = nb::none())
      .def("prepare", &prepare_dense, "x"_a, "out"_a)
      .def_prop_ro("features", &PackedDense::features)
      .def_prop_ro("units", &PackedDense::units);
  module.def("activate", &activate, "function"_a, "x"_a, "out"_a, build());
  module.def("finite", &all_finite, "x"_a);
  module.def("gather", &gather_rows, "packed"_a, "rows"_a, "out"_a.none() = nb::none());
  module.def("scatter", &scatter_rows, "packed"_a, "rows"_a, "values"_a);
  module.def("read_row", &read_row, "packed"_a, "row"_a);
  module.def("write_row", &write_row, "packed"_a, "row"_a, "values"_a);

#ifdef SEQSTATE_XLA
  register_xla(module);
#endif
}

#include "xla.h"

#include <exception>
#include <string>
#include <vector>

#include "../kernels/api.h"
#include "../kernels/pool.h"
#include "../kernels/side_by_side.h"
#include "arguments.h"
#include "xla_arrays.h"
#include "xla_executor.h"

namespace seqstate {

namespace {

// The static part of a call.
struct Spec {
  int32_t kind, activation, recurrent_activation, reset_after, go_backwards, given, wanted;
};

template <class T>
Vectors<T> vectors(T* data, int64_t size) {
  return {data, size, 1};
}

template <class T>
Sequences<T> sequences(T* data, int64_t time, int64_t size) {
  return {data, time * size, size, 1};
}

constexpr const char* kInitial[] = {"initial_h", "initial_c"};
constexpr const char* kFresh[] = {"fresh_h", "fresh_c"};
constexpr const char* kLast[] = {"last_h", "last_c"};
constexpr const char* kStates[] = {"states_h", "states_c"};

// Everything that both handlers read: the inputs of call.py. Sizes follow from x and from
// recurrent_kernel; all else must agree with them.
Run inputs_of(const Spec& spec, Arrays& arrays) {
  arrays.begin(spec.given, spec.wanted);
  Run run{};
  if (spec.kind < 0 || spec.kind > 2 || spec.activation < 0 || spec.activation > 4 ||
      spec.recurrent_activation < 0 || spec.recurrent_activation > 4) {
    arrays.refuse("a kind or an activation that these kernels do not have");
    return run;
  }
  const Shape x = arrays.shape(0), recurrent = arrays.shape(2);
  if (x.size() != 3 || recurrent.size() != 2 || (spec.given & 7) != 7) {
    arrays.refuse("x must be [batch, time, features], recurrent_kernel [units, blocks * units]");
    return run;
  }
  // The bits of initial_c and fresh_c.
  constexpr int32_t kSecond = 1 << 6 | 1 << 8;
  if ((spec.given & kSecond) != 0 && spec.kind != static_cast<int32_t>(Kind::lstm)) {
    arrays.refuse("this cell has no state c");
    return run;
  }
  const int64_t batch = x[0], time = x[1], features = x[2], units = recurrent[0];
  if (time < 1 || features < 1 || units < 1) {
    arrays.refuse("x has shape " + text(x.begin(), 3) + "; expected no axis but batch of size 0");
    return run;
  }
  run.cell = {static_cast<Kind>(spec.kind),
              spec.reset_after != 0,
              static_cast<Activation>(spec.activation),
              static_cast<Activation>(spec.recurrent_activation),
              features,
              units};
  const int blocks = blocks_of(run.cell.kind);
  const int64_t width = blocks * units;
  run.batch = batch;
  run.time = time;
  run.go_backwards = spec.go_backwards != 0;
  run.x = sequences(arrays.in("x", {batch, time, features}), time, features);
  run.weights.kernel = arrays.in("kernel", {features, width});
  run.weights.recurrent_kernel = arrays.in("recurrent_kernel", {units, width});
  run.weights.bias = arrays.in("bias", {width});
  run.weights.recurrent_bias = arrays.in("recurrent_bias", {width});
  for (int i = 0; i < kMaxStates; ++i) {
    run.initial[i] = vectors(arrays.in(kInitial[i], {batch, units}), units);
  }
  for (int i = 0; i < kMaxStates; ++i) {
    run.fresh[i] = vectors(arrays.in(kFresh[i], {batch, units}), units);
  }
  run.mask = sequences(arrays.in<uint8_t>("mask", {batch, time}), time, 1);
  run.reset_mask = sequences(arrays.in<uint8_t>("reset_mask", {batch, time}), time, 1);
  run.input_dropout = arrays.dropout("input_dropout", blocks, batch, features);
  run.recurrent_dropout = arrays.dropout("recurrent_dropout", blocks, batch, units);
  return run;
}

// The first `count` parts of `kept`, [time, batch, kept, units].
template <class T>
void split_kept(T* kept, int count, const Run& run, Sequences<T>* parts) {
  if (kept == nullptr) return;
  const int64_t units = run.cell.units, row = run.cell.kept() * units;
  for (int i = 0; i < count; ++i) parts[i] = {kept + i * units, row, run.batch * row, 1};
}

void read_results(Arrays& arrays, Run& run) {
  const int64_t batch = run.batch, time = run.time, units = run.cell.units;
  for (int i = 0; i < kMaxStates; ++i) {
    run.last[i] = vectors(arrays.out(kLast[i], {batch, units}), units);
  }
  for (int i = 0; i < kMaxStates; ++i) {
    run.states[i] = sequences(arrays.out(kStates[i], {batch, time, units}), time, units);
  }
  const int kept = run.cell.kept();
  split_kept(arrays.out("kept", {time, batch, kept, units}), kept, run, run.kept);
}

// What the run wrote. The gradient reads it and writes none of it.
void read_record(Arrays& arrays, Run& run) {
  const int64_t batch = run.batch, time = run.time, units = run.cell.units;
  for (int i = 0; i < kMaxStates; ++i) {
    auto* data = const_cast<float*>(arrays.in(kStates[i], {batch, time, units}));
    run.states[i] = sequences(data, time, units);
    if (i < states_of(run.cell.kind) && data == nullptr && batch > 0) {
      arrays.refuse("the gradient needs the states of the run");
    }
  }
  const int kept = run.cell.kept();
  auto* data = const_cast<float*>(arrays.in("kept", {time, batch, kept, units}));
  if (kept > 0 && data == nullptr && batch > 0) {
    arrays.refuse("the gradient needs what the run kept");
  }
  split_kept(data, kept, run, run.kept);
}

void read_cotangents(Arrays& arrays, Gradient& gradient) {
  const Run& run = gradient.run;
  const int64_t batch = run.batch, time = run.time, units = run.cell.units;
  for (int i = 0; i < kMaxStates; ++i) {
    gradient.d_last[i] = vectors(arrays.in("the cotangent of last", {batch, units}), units);
  }
  for (int i = 0; i < kMaxStates; ++i) {
    gradient.d_states[i] =
        sequences(arrays.in("the cotangent of states", {batch, time, units}), time, units);
  }
  const float* gates = arrays.in("the cotangent of kept", {time, batch, run.cell.kept(), units});
  split_kept(gates, gates_of(run.cell.kind), run, gradient.d_gates);
}

void read_gradients(Arrays& arrays, Gradient& gradient) {
  const Run& run = gradient.run;
  const int64_t batch = run.batch, features = run.cell.features, units = run.cell.units;
  const int64_t width = blocks_of(run.cell.kind) * units;
  gradient.d_x =
      sequences(arrays.out("d_x", {batch, run.time, features}), run.time, features);
  gradient.d_kernel = arrays.out("d_kernel", {features, width});
  gradient.d_recurrent_kernel = arrays.out("d_recurrent_kernel", {units, width});
  gradient.d_bias = arrays.out("d_bias", {width});
  gradient.d_recurrent_bias = arrays.out("d_recurrent_bias", {width});
  for (int i = 0; i < kMaxStates; ++i) {
    gradient.d_initial[i] = vectors(arrays.out("d_initial", {batch, units}), units);
  }
  for (int i = 0; i < kMaxStates; ++i) {
    gradient.d_fresh[i] = vectors(arrays.out("d_fresh", {batch, units}), units);
  }
}

Run run_of(const Spec& spec, Arrays& arrays) {
  Run run = inputs_of(spec, arrays);
  read_results(arrays, run);
  return run;
}

Gradient gradient_of(const Spec& spec, Arrays& arrays) {
  Gradient gradient{};
  gradient.run = inputs_of(spec, arrays);
  read_record(arrays, gradient.run);
  read_cotangents(arrays, gradient);
  read_gradients(arrays, gradient);
  return gradient;
}

// Run the kernels on XLA's threads, but on no more than this library was told to use.
template <class Compute>
ffi::Error on_threads_of(const ffi::ThreadPool& threads, Compute&& compute) {
  try {
    const Kernels* build = kernels();
    if (build == nullptr) {
      return ffi::Error(ffi::ErrorCode::kFailedPrecondition,
                        "seqstate: this machine runs no build of the kernels that SEQSTATE_ISA "
                        "allows");
    }
    XlaExecutor executor(threads, pool().threads());
    compute(*build, executor);
    return ffi::Error::Success();
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string("seqstate: ") + error.what());
  }
}

// The calls that `specs` describe, read and computed at once.
template <class Call>
ffi::Error compute_all(const ffi::ThreadPool& threads, Arrays& arrays,
                       const std::vector<Spec>& specs, Call (*read)(const Spec&, Arrays&),
                       void (*all)(const Kernels&, const std::vector<const Call*>&, Executor&)) {
  std::vector<Call> calls;
  for (const Spec& spec : specs) calls.push_back(read(spec, arrays));
  if (ffi::Error error = arrays.error(); error.failure()) return error;
  std::vector<const Call*> with_rows;
  for (const Call& call : calls) {
    if (run_in(call).batch > 0) with_rows.push_back(&call);
    else without_rows(call);
  }
  if (with_rows.empty()) return ffi::Error::Success();
  return on_threads_of(threads, [&](const Kernels& build, Executor& executor) {
    all(build, with_rows, executor);
  });
}

ffi::Error forward(ffi::ThreadPool threads, ffi::RemainingArgs args, ffi::RemainingRets rets,
                   int32_t kind, int32_t activation, int32_t recurrent_activation,
                   int32_t reset_after, int32_t go_backwards, int32_t given, int32_t wanted) {
  const Spec spec{kind, activation, recurrent_activation, reset_after, go_backwards, given, wanted};
  Arrays arrays(args, rets);
  return compute_all(threads, arrays, {spec}, &run_of, &forward_all);
}

ffi::Error gradient(ffi::ThreadPool threads, ffi::RemainingArgs args, ffi::RemainingRets rets,
                    int32_t kind, int32_t activation, int32_t recurrent_activation,
                    int32_t reset_after, int32_t go_backwards, int32_t given, int32_t wanted) {
  const Spec spec{kind, activation, recurrent_activation, reset_after, go_backwards, given, wanted};
  Arrays arrays(args, rets);
  return compute_all(threads, arrays, {spec}, &gradient_of, &gradient_all);
}

// Several runs in one call: the numbers of each Spec, one after the other.

std::vector<Spec> specs_of(ffi::Span<const int32_t> numbers, Arrays& arrays) {
  constexpr size_t kEach = sizeof(Spec) / sizeof(int32_t);
  std::vector<Spec> specs;
  if (numbers.size() % kEach != 0) {
    arrays.refuse("got " + std::to_string(numbers.size()) + " numbers; expected " +
                  std::to_string(kEach) + " for each run");
    return specs;
  }
  for (const int32_t* n = numbers.begin(); n != numbers.end(); n += kEach) {
    specs.push_back({n[0], n[1], n[2], n[3], n[4], n[5], n[6]});
  }
  return specs;
}

ffi::Error forward_several(ffi::ThreadPool threads, ffi::RemainingArgs args,
                           ffi::RemainingRets rets, ffi::Span<const int32_t> numbers) {
  Arrays arrays(args, rets);
  return compute_all(threads, arrays, specs_of(numbers, arrays), &run_of, &forward_all);
}

ffi::Error gradient_several(ffi::ThreadPool threads, ffi::RemainingArgs args,
                            ffi::RemainingRets rets, ffi::Span<const int32_t> numbers) {
  Arrays arrays(args, rets);
  return compute_all(threads, arrays, specs_of(numbers, arrays), &gradient_of, &gradient_all);
}

auto binding_of_several() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .RemainingArgs()
      .RemainingRets()
      .Attr<ffi::Span<const int32_t>>("numbers");
}

XLA_FFI_DEFINE_HANDLER(run_forward_all, forward_several, binding_of_several());
XLA_FFI_DEFINE_HANDLER(run_gradient_all, gradient_several, binding_of_several());

auto binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .RemainingArgs()
      .RemainingRets()
      .Attr<int32_t>("kind")
      .Attr<int32_t>("activation")
      .Attr<int32_t>("recurrent_activation")
      .Attr<int32_t>("reset_after")
      .Attr<int32_t>("go_backwards")
      .Attr<int32_t>("given")
      .Attr<int32_t>("wanted");
}

XLA_FFI_DEFINE_HANDLER(run_forward, forward, binding());
XLA_FFI_DEFINE_HANDLER(run_gradient, gradient, binding());

}  // namespace

void register_xla(nanobind::module_& module) {
  module.def("xla_targets", [] {
    nanobind::dict targets;
    targets["seqstate_forward"] = nanobind::capsule(reinterpret_cast<void*>(run_forward));
    targets["seqstate_gradient"] = nanobind::capsule(reinterpret_cast<void*>(run_gradient));
    targets["seqstate_forward_all"] = nanobind::capsule(reinterpret_cast<void*>(run_forward_all));
    targets["seqstate_gradient_all"] = nanobind::capsule(reinterpret_cast<void*>(run_gradient_all));
    return targets;
  });
  module.attr("xla_api") = nanobind::make_tuple(XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR);
}

}  // namespace seqstate

// All kernels for one instruction set: this file is compiled once for each, with SEQSTATE_BUILD
// set to the build's name and the compiler's flags to its instructions.
//
// Nothing in here may be shared with another build, or the linker could hand a processor code
// that it can't run: everything lies in the build's own namespace.
#include <cstdlib>
#include <new>

#include "api.h"
#include "dense_calls.h"
#include "forward.h"
#include "gradient.h"
#include "peak.h"

#define SEQSTATE_STRING_OF(name) #name
#define SEQSTATE_STRING(name) SEQSTATE_STRING_OF(name)

namespace seqstate {

class Packed {
 public:
  Cell cell;
  float* memory;
};

namespace SEQSTATE_BUILD {
namespace {

// Call f with the layout of a cell.
template <class F>
void with_layout(const Cell& cell, F&& f) {
  switch (cell.kind) {
    case Kind::lstm: return f(LstmLayout{});
    case Kind::simple_rnn: return f(SimpleLayout{});
    case Kind::gru:
      if (cell.reset_after) f(GruAfterLayout{});
      else f(GruBeforeLayout{});
  }
}

void forward(const Run& run, const Packed* packed, Executor& threads) {
  with_layout(run.cell, [&](auto layout) {
    using Layout = decltype(layout);
    if (packed != nullptr) {
      Forward<Layout> loop(run, panels_at<Layout>(packed->memory, run.cell));
      loop(threads);
    } else {
      Scratch scratch;
      float* memory = scratch.floats(packed_floats<Layout>(run.cell));
      Forward<Layout> loop(run, pack_cell<Layout>(memory, run.cell, run.weights));
      loop(threads);
    }
  });
}

void gradient(const Gradient& wanted, Executor& threads) {
  with_layout(wanted.run.cell, [&](auto layout) {
    Vjp<decltype(layout)> vjp(wanted);
    vjp(threads);
  });
}

Packed* pack(const Cell& cell, const Weights& weights) {
  Packed* packed = nullptr;
  with_layout(cell, [&](auto layout) {
    using Layout = decltype(layout);
    const int64_t bytes = packed_floats<Layout>(cell) * static_cast<int64_t>(sizeof(float));
    void* memory = std::aligned_alloc(64, ceil_div(bytes, 64) * 64);
    if (memory == nullptr) throw std::bad_alloc();
    packed = new Packed{cell, static_cast<float*>(memory)};
    pack_cell<Layout>(packed->memory, cell, weights);
  });
  return packed;
}

void release(Packed* packed) {
  if (packed == nullptr) return;
  std::free(packed->memory);
  delete packed;
}

}  // namespace

const Kernels& table() {
  static constexpr Kernels kernels = {SEQSTATE_STRING(SEQSTATE_BUILD), L, V::fused, forward,
                                      gradient, pack, release, dense_floats, pack_dense, dense,
                                      activate_all, exponential_all, peak};
  return kernels;
}

}  // namespace SEQSTATE_BUILD
}  // namespace seqstate

// The gradient of a run: back through the steps, in chunks, and the weight gradients of each.
#pragma once

#include "executor.h"
#include "gradient_step.h"
#include "pace.h"
#include "team.h"
#include "weight_gradients.h"

namespace seqstate::SEQSTATE_BUILD {

constexpr int64_t kSharedGradient = 30000;

template <class Layout>
class Vjp {
 public:
  explicit Vjp(const Gradient& wanted)
      : run_(wanted.run),
        cotangents_(scratch_, wanted),
        step_(scratch_, wanted, cotangents_),
        weights_(scratch_, wanted),
        has_input_(wanted.d_x.data != nullptr) {}

  void operator()(Executor& executor) {
    // Read once: somebody may change it meanwhile.
    const int all = executor.threads();
    const int64_t step = run_.step_work();
    const int threads = step * run_.time < kSharedGradient ? 1 : all;
    if (has_input_) input_items_ = threads == 1 ? 1 : 4 * threads;
    if (weights_.any()) weight_items_ = weights_.items(threads);
    const Cuts<Layout> cuts(run_);
    if (threads > 1 && run_.batch < 2 * threads && shares_steps<Layout>(run_, step_.panels())) {
      together(executor, threads, cuts, Pace::of<Vjp>(step));
    } else {
      apart(executor, threads, cuts);
    }
    cotangents_.finish();
    weights_.finish();
  }

 private:
  // Rows to threads. While the steps of a chunk are taken, the chunk before it is added up: so
  // there is always something to do for a thread that is done with its rows.
  void apart(Executor& executor, int threads, const Cuts<Layout>& cuts) {
    const int64_t ahead = threads > 1 ? 1 : 0;
    const ChunkArrays<Layout> first(scratch_, run_, cuts.entries());
    const ChunkArrays<Layout> second =
        ahead > 0 ? ChunkArrays<Layout>(scratch_, run_, cuts.entries()) : first;
    float* rows = scratch_.floats(threads * step_.row_floats());
    const int64_t chunks = cuts.chunks();
    for (int64_t n = 0; n < chunks + ahead; ++n) {
      const ChunkArrays<Layout>& arrays = n % 2 == 0 ? first : second;
      const ChunkArrays<Layout>& others = n % 2 == 0 ? second : first;
      const Chunk now = cuts.chunk(n), before = cuts.chunk(n - ahead);
      const int64_t parts = n < chunks ? least(threads, now.rows) : 0;
      const int64_t items = n >= ahead ? input_items_ + weight_items_ : 0;
      each(executor, threads, parts + items, [&](int64_t i) {
        if (i >= parts) return add_up(others, before, i - parts);
        step_.back(arrays, now, i * now.rows / parts, (i + 1) * now.rows / parts,
                   rows + i * step_.row_floats());
      });
    }
  }

  // Few rows: the units to threads.
  void together(Executor& executor, int most_threads, const Cuts<Layout>& cuts, Pace& pace) {
    const ChunkArrays<Layout> arrays(scratch_, run_, cuts.entries());
    float* row = scratch_.floats(step_.row_floats());
    const int64_t panels = step_.panels();
    for (int64_t n = 0; n < cuts.chunks(); ++n) {
      const Chunk now = cuts.chunk(n);
      const bool shares = pace.shares();
      const int threads = shares ? most_threads : 1;
      const int parts = static_cast<int>(least(least(threads, panels), Team::kMost));
      const Stopwatch watch;
      step_.fill(arrays, now, 0, now.rows, row);
      Team team(parts, now.steps() + 1);
      parallel(executor, parts, [&](int64_t member) {
        team.work(static_cast<int>(member), [&](int64_t i, int part) {
          step_.turn(arrays, now, i, part * panels / parts, (part + 1) * panels / parts);
        });
      });
      each(executor, threads, input_items_ + weight_items_,
           [&](int64_t i) { add_up(arrays, now, i); });
      pace.took(shares, watch.seconds() / static_cast<double>(now.steps()));
    }
  }

  // body(item), on one thread or on more.
  template <class Body>
  static void each(Executor& executor, int threads, int64_t count, const Body& body) {
    if (count > 1 && threads > 1) parallel(executor, count, body);
    else for (int64_t i = 0; i < count; ++i) body(i);
  }

  // What a chunk adds to the gradients of the input and of the weights, in items that can be done
  // in any order.
  void add_up(const ChunkArrays<Layout>& arrays, const Chunk& at, int64_t item) const {
    const int64_t entries = at.entries(), items = input_items_;
    if (item >= items) return weights_.add(arrays, entries, item - items, weight_items_);
    step_.input_gradient(arrays, at, item * entries / items, (item + 1) * entries / items);
  }

  const Run& run_;
  Scratch scratch_;
  const Cotangents<Layout> cotangents_;
  const GradientStep<Layout> step_;
  const WeightGradients<Layout> weights_;
  const bool has_input_;
  int64_t input_items_ = 0, weight_items_ = 0;
};

}  // namespace seqstate::SEQSTATE_BUILD

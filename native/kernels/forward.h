// A run: the time loop over all rows of a batch.
#pragma once

#include <atomic>

#include "executor.h"
#include "forward_step.h"
#include "pace.h"
#include "relay.h"
#include "scratch.h"
#include "team.h"

namespace seqstate::SEQSTATE_BUILD {

// Work (products and sums) of one step below which a second thread costs more than it saves.
constexpr int64_t kSharedStep = 8192;
constexpr int64_t kSharedRun = 100000;
constexpr int64_t kRowsOfBlock = 32;
// Where blocks of rows are handed from thread to thread.
constexpr int64_t kStagesOfThread = 16;
constexpr int64_t kWorkOfStage = 500000;
constexpr int64_t kSmallWeights = 512 * 1024 / 4;
// Steps whose input is multiplied ahead at a time, where threads share the steps.
constexpr int64_t kAhead = 256;

template <class Layout>
class Forward {
 public:
  Forward(const Run& run, const Panels& packed)
      : run_(run),
        step_(run, packed),
        units_(run.cell.units),
        features_(run.cell.features),
        weights_(step_.panels * packed.stride) {}

  void operator()(Executor& threads) {
    const int64_t step = run_.step_work();
    const int64_t most = step * run_.time < kSharedRun ? 1 : threads.threads();
    if (most > 1 && run_.batch < 2 * most && shares_steps<Layout>(run_, step_.panels) &&
        step >= kSharedStep) {
      together(threads, static_cast<int>(least(least(most, step_.panels), Team::kMost)), step);
    } else {
      apart(threads, most, step * run_.time);
    }
  }

 private:
  static constexpr bool kBefore = std::is_same_v<Layout, GruBeforeLayout>;
  static constexpr bool kLstm = std::is_same_v<Layout, LstmLayout>;
  static constexpr int S = Layout::sums;

  // How the batch is cut into blocks of rows: few enough that what a step reads and writes of each
  // row stays at hand, unless large weights should serve many rows; full tiles; and for several
  // threads at least two blocks each, where there are so many rows.
  int64_t rows_of_block(int64_t threads) const {
    constexpr int64_t tile = tile_rows(S);
    int64_t rows = ceil_div(run_.batch, threads == 1 ? 1 : 2 * threads);
    if (rows < tile) rows = least(tile, ceil_div(run_.batch, threads));
    else rows = ceil_div(rows, tile) * tile;
    return weights_ <= kSmallWeights ? least(rows, most(1, kRowsOfBlock / tile) * tile) : rows;
  }

  // Rows to threads: the blocks of rows go through the steps on their own.
  void apart(Executor& threads, int64_t count, int64_t work) {
    const int64_t size = rows_of_block(count), blocks = ceil_div(run_.batch, size);
    const int64_t stages = count == 1 ? 1 : stages_of(blocks, count, work);
    if (stages > 1) handed_over(threads, least(count, blocks), size, blocks, stages);
    else whole_blocks(threads, least(count, blocks), size, blocks);
  }

  // A few blocks, each taken through its next stage by whichever thread is free.
  void handed_over(Executor& threads, int64_t members, int64_t size, int64_t blocks,
                   int64_t stages) {
    Scratch scratch;
    Rows* rows = reinterpret_cast<Rows*>(scratch.bytes(blocks * sizeof(Rows)));
    for (int64_t b = 0; b < blocks; ++b) {
      rows[b] = make(scratch, least(size, run_.batch - b * size));
      rows[b].first = b * size;
    }
    Relay relay(scratch, blocks, stages);
    in_parallel(threads, members, [&](int64_t) {
      relay.work([&](int64_t block, int64_t stage) {
        const Rows& r = rows[block];
        if (stage == 0) begin(r);
        take(r, stage * run_.time / stages, (stage + 1) * run_.time / stages);
        if (stage == stages - 1) end(r);
      });
    });
  }

  // As many blocks as there may be, each taken through all steps by one thread, which needs working
  // memory for one block only.
  void whole_blocks(Executor& threads, int64_t members, int64_t size, int64_t blocks) {
    Scratch scratch;
    Rows* rows = reinterpret_cast<Rows*>(scratch.bytes(members * sizeof(Rows)));
    for (int64_t i = 0; i < members; ++i) rows[i] = make(scratch, least(size, run_.batch));
    std::atomic<int64_t> next{0};
    in_parallel(threads, members, [&](int64_t member) {
      Rows r = rows[member];
      for (int64_t b; (b = next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
        r.first = b * size;
        r.count = least(size, run_.batch - r.first);
        begin(r);
        take(r, 0, run_.time);
        end(r);
      }
    });
  }

  template <class Body>
  static void in_parallel(Executor& threads, int64_t members, const Body& body) {
    if (members == 1) body(0);
    else parallel(threads, members, body);
  }

  void take(const Rows& r, int64_t from, int64_t to) const {
    for (int64_t s = from; s < to; ++s) {
      step_.prepare(r, s);
      step_.compute(r, s, 0, step_.panels);
    }
  }

  // So many that no thread waits long for another at the end, and none is too short.
  int64_t stages_of(int64_t blocks, int64_t threads, int64_t work) const {
    const int64_t wanted = least(ceil_div(kStagesOfThread * threads, blocks),
                                 work / (blocks * kWorkOfStage));
    return most(1, least(run_.time, wanted));
  }

  // Units to threads, for few rows: each thread's share of the weights stays in its cache.
  void together(Executor& threads, int most_parts, int64_t work) {
    Pace& pace = Pace::of<Forward>(work);
    Scratch scratch;
    const Rows r = with_state(scratch, run_.batch);
    const int64_t panels = step_.panels, row = panels * S * L;
    const int64_t steps = least(run_.time, kAhead);
    float* ahead = scratch.floats(steps * run_.batch * row);
    const int64_t width = features_ * operands(run_.input_dropout);
    const bool copies = !reads_in_place(run_);
    float* inputs = copies ? scratch.floats(steps * run_.batch * width) : nullptr;
    // Each part has its own sums.
    const int64_t floats = step_.sums_of(run_.batch);
    float* sums = scratch.floats(most_parts * floats);
    begin(r);
    for (int64_t from = 0; from < run_.time; from += steps) {
      const int64_t count = least(steps, run_.time - from);
      const bool shares = pace.shares();
      const int parts = shares ? most_parts : 1;
      const Stopwatch watch;
      if (copies) {
        for (int64_t i = 0; i < count * run_.batch; ++i) {
          copy_input(inputs + i * width, run_, i % run_.batch, from + i / run_.batch,
                     Many::by_block);
        }
      }
      // First the input's share of all steps, then the steps.
      Team team(parts, count + 1);
      const auto body = [&](int64_t member) {
        team.work(static_cast<int>(member), [&](int64_t turn, int part) {
          const int64_t first = part * panels / parts, end = (part + 1) * panels / parts;
          if (turn == 0) return multiply_ahead(ahead, inputs, from, count, first, end);
          const int64_t s = turn - 1;
          Rows mine = r;
          mine.ahead = ahead + s * run_.batch * row;
          mine.sums = sums + part * floats;
          step_.compute(mine, from + s, first, end);
        });
      };
      parallel(threads, parts, body);
      pace.took(shares, watch.seconds() / static_cast<double>(count));
    }
    end(r);
  }

  void multiply_ahead(float* ahead, const float* inputs, int64_t from, int64_t count,
                      int64_t first_panel, int64_t end_panel) {
    const int64_t row = step_.panels * S * L, batch = run_.batch;
    for (int64_t p = first_panel; p < end_panel; ++p) {
      if (inputs != nullptr) {
        const bool each = run_.input_dropout.count > 1;
        const int64_t width = features_ * operands(run_.input_dropout);
        in_tiles<tile_rows(S)>(count * batch, [&](auto m, int64_t i) {
          step_.template multiply_ahead<m()>({inputs + i * width, width, each}, p,
                                             ahead + i * row + p * S * L, row);
        });
        continue;
      }
      const int64_t step = run_.go_backwards ? -run_.x.step : run_.x.step;
      for (int64_t b = 0; b < batch; ++b) {
        in_tiles<tile_rows(S)>(count, [&](auto m, int64_t s) {
          const float* x = at(run_.x, b, time_of(run_, from + s));
          step_.template multiply_ahead<m()>({x, step, false}, p,
                                             ahead + (s * batch + b) * row + p * S * L,
                                             batch * row);
        });
      }
    }
  }

  // What so many rows carry from step to step.
  Rows with_state(Scratch& scratch, int64_t count) const {
    Rows r{};
    r.count = count;
    for (float*& h : r.h) h = scratch.floats(count * step_.width);
    r.c = kLstm ? scratch.floats(count * step_.width) : nullptr;
    return r;
  }

  // With all that a step needs, for a block of up to so many rows.
  Rows make(Scratch& scratch, int64_t count) const {
    const int64_t width = step_.width;
    Rows r = with_state(scratch, count);
    r.x = step_.copies ? scratch.floats(count * step_.inputs) : nullptr;
    r.dropped = run_.recurrent_dropout.count == 0
                    ? nullptr
                    : scratch.floats(count * units_ * operands(run_.recurrent_dropout));
    r.sums = scratch.floats(most(step_.sums_of(count), step_.sums_of(1)));
    if constexpr (kBefore) {
      r.update = scratch.floats(count * width);
      r.candidate = scratch.floats(count * width);
      r.reset_h = scratch.floats(count * width);
    }
    return r;
  }

  void begin(const Rows& r) const {
    for (int i = 0; i < states_of(run_.cell.kind); ++i) {
      for (int64_t m = 0; m < r.count; ++m) {
        float* to = step_.carried(r, i, 0) + m * step_.width;
        copy_row(to, at(run_.initial[i], r.first + m), run_.initial[i].unit, units_);
        copy_row(to + units_, nullptr, 1, step_.width - units_);
      }
    }
  }

  void end(const Rows& r) const {
    for (int i = 0; i < states_of(run_.cell.kind); ++i) {
      if (run_.last[i].data == nullptr) continue;
      for (int64_t m = 0; m < r.count; ++m) {
        copy_row(at(run_.last[i], r.first + m),
                 step_.carried(r, i, run_.time) + m * step_.width, 1, units_);
      }
    }
  }

  const Run& run_;
  const ForwardStep<Layout> step_;
  const int64_t units_, features_, weights_;
};

}  // namespace seqstate::SEQSTATE_BUILD

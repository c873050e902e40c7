// Tests of the kernels, made for the sanitizers: every array has exactly its size, and every
// result is wanted. Prints what failed and returns 1, or prints nothing and returns 0. The values
// are compared with the equations in tests/kernels/.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <tuple>
#include <vector>

#include "../kernels/alone.h"
#include "../kernels/api.h"
#include "../kernels/pool.h"
#include "../kernels/rows.h"
#include "../kernels/side_by_side.h"

namespace {

using namespace seqstate;
using Floats = std::vector<float>;

int failures = 0;

struct Shape {
  int64_t batch, time, features, units;
};

// One row, one step, sizes that are no multiple of a vector, more rows than a tile has, rows that
// many threads share, with panels of weights that are cut, and a row that is left after the others
// went by threes.
constexpr Shape kShapes[] = {{1, 1, 1, 1},   {1, 9, 8, 17},  {2, 3, 3, 50},    {5, 4, 1, 3},
                             {19, 6, 7, 33}, {1, 5, 3, 129}, {8, 2, 64, 170}, {10, 1, 3, 170}};

std::mt19937 random_bits(0);

Floats random_floats(int64_t count) {
  std::normal_distribution<float> normal(0.0f, 0.5f);
  Floats out(static_cast<size_t>(count));
  for (float& value : out) value = normal(random_bits);
  return out;
}

std::vector<uint8_t> random_mask(int64_t count) {
  std::vector<uint8_t> out(static_cast<size_t>(count));
  for (uint8_t& value : out) value = random_bits() % 3 != 0;
  return out;
}

// A whole call, forward and gradient, with memory of its own for all that it reads and writes.
struct Call {
  Call(Cell cell, Shape shape, bool everything) {
    const auto [batch, time, features, units] = shape;
    cell.features = features;
    cell.units = units;
    const int blocks = blocks_of(cell.kind);
    const int64_t columns = blocks * units;
    gates = gates_of(cell.kind);
    states = states_of(cell.kind);
    Run& run = gradient.run;
    run.cell = cell;
    run.batch = batch;
    run.time = time;
    run.weights = {given(features * columns), given(units * columns), given(columns), nullptr};
    const bool two_biases = cell.kind == Kind::gru && cell.reset_after;
    if (two_biases) run.weights.recurrent_bias = given(columns);
    run.x = {given(batch * time * features), time * features, features, 1};
    run.go_backwards = everything;
    if (everything) {
      run.mask = {bytes(batch * time), time, 1};
      run.reset_mask = {bytes(batch * time), time, 1};
      run.input_dropout = {given(blocks * batch * features), blocks};
      run.recurrent_dropout = {given(batch * units), 1};
    }
    for (int i = 0; i < states; ++i) {
      run.initial[i] = {given(batch * units), units, 1};
      if (everything) run.fresh[i] = {given(batch * units), units, 1};
      run.states[i] = {wanted(batch * time * units), time * units, units, 1};
      run.last[i] = {wanted(batch * units), units, 1};
      gradient.d_states[i] = {given(batch * time * units), time * units, units, 1};
      gradient.d_last[i] = {given(batch * units), units, 1};
      gradient.d_initial[i] = {wanted(batch * units), units, 1};
      if (everything) gradient.d_fresh[i] = {wanted(batch * units), units, 1};
    }
    // One array of [time, batch, kept, units], as the bindings pass it.
    if (const int64_t row = cell.kept() * units; row > 0) {
      float* kept = wanted(time * batch * row);
      const float* d_kept = given(time * batch * row);
      for (int i = 0; i < cell.kept(); ++i) run.kept[i] = {kept + i * units, row, batch * row, 1};
      for (int i = 0; i < gates; ++i) {
        gradient.d_gates[i] = {d_kept + i * units, row, batch * row, 1};
      }
    }
    gradient.d_x = {wanted(batch * time * features), time * features, features, 1};
    gradient.d_kernel = wanted(features * columns);
    gradient.d_recurrent_kernel = wanted(units * columns);
    gradient.d_bias = wanted(columns);
    if (two_biases) gradient.d_recurrent_bias = wanted(columns);
  }

  const float* given(int64_t count) { return read.emplace_back(random_floats(count)).data(); }
  const uint8_t* bytes(int64_t count) { return masks.emplace_back(random_mask(count)).data(); }
  // Starts as what no result is, so that an element which nobody writes is found.
  float* wanted(int64_t count) {
    return written.emplace_back(static_cast<size_t>(count), std::nanf("")).data();
  }

  // Runs it and gives a copy of all that it wrote.
  std::vector<Floats> operator()(const Kernels& kernels, Executor& executor) {
    for (Floats& result : written) result.assign(result.size(), std::nanf(""));
    Packed* packed = kernels.pack(gradient.run.cell, gradient.run.weights);
    kernels.forward(gradient.run, packed, executor);
    kernels.release(packed);
    kernels.gradient(gradient, executor);
    return written;
  }

  int gates, states;
  Gradient gradient{};
  // Moving the vectors leaves their elements where they are.
  std::vector<Floats> read, written;
  std::vector<std::vector<uint8_t>> masks;
};

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void check(const Kernels& kernels, const Cell& cell, const Shape& shape, bool everything) {
  const auto failed = [&](const char* what, size_t result) {
    std::fprintf(stderr, "%s, kind %d, B%d T%d F%d U%d%s: %s (result %zu)\n", kernels.name,
                 static_cast<int>(cell.kind), static_cast<int>(shape.batch),
                 static_cast<int>(shape.time), static_cast<int>(shape.features),
                 static_cast<int>(shape.units), everything ? ", everything" : "", what, result);
    ++failures;
  };
  Call call(cell, shape, everything);
  Alone alone;
  Pool two(2), eight(8);
  const std::vector<Floats> first = call(kernels, alone);
  const std::vector<Floats> again = call(kernels, alone);
  const std::vector<Floats> shared = call(kernels, two);
  const std::vector<Floats> crowded = call(kernels, eight);
  for (size_t i = 0; i < first.size(); ++i) {
    for (const float value : first[i]) {
      if (!std::isfinite(value)) {
        failed("not all of it was written", i);
        break;
      }
    }
    if (!same_bits(first[i], again[i])) failed("a second run gave other bits", i);
    if (!same_bits(first[i], shared[i])) failed("two threads gave other bits", i);
    if (!same_bits(first[i], crowded[i])) failed("eight threads gave other bits", i);
  }
}

// Two callers at once, both on the one pool of the process.
void two_callers(const Kernels& kernels) {
  const Cell cell{Kind::lstm, false, Activation::tanh, Activation::sigmoid, 0, 0};
  Call mine(cell, {19, 6, 7, 33}, true), theirs(cell, {1, 9, 8, 17}, false);
  Alone alone;
  const std::vector<Floats> expected_mine = mine(kernels, alone);
  const std::vector<Floats> expected_theirs = theirs(kernels, alone);
  bool same = true;
  std::thread other([&] {
    for (int i = 0; i < 20; ++i) same = same && theirs(kernels, pool()) == expected_theirs;
  });
  bool mine_same = true;
  for (int i = 0; i < 20; ++i) mine_same = mine_same && mine(kernels, pool()) == expected_mine;
  other.join();
  if (!same || !mine_same) {
    std::fprintf(stderr, "%s: two callers at once gave other numbers\n", kernels.name);
    ++failures;
  }
}

// Two runs in one call, each on a thread of its own.
void two_at_once(const Kernels& kernels, Kind kind) {
  const Cell cell{kind, true, Activation::tanh, Activation::sigmoid, 0, 0};
  constexpr Shape kShape{3, 60, 8, 40};
  Call one(cell, kShape, false), other(cell, kShape, true);
  Alone alone;
  Pool two(2);
  const std::vector<Floats> expected = one(kernels, alone), others = other(kernels, alone);
  for (int i = 0; i < 10; ++i) {
    for (Call* call : {&one, &other}) {
      for (Floats& result : call->written) result.assign(result.size(), std::nanf(""));
    }
    forward_all(kernels, {&one.gradient.run, &other.gradient.run}, two);
    gradient_all(kernels, {&one.gradient, &other.gradient}, two);
    for (const auto& [call, alike] : {std::pair{&one, &expected}, std::pair{&other, &others}}) {
      for (size_t k = 0; k < alike->size(); ++k) {
        if (same_bits(call->written[k], (*alike)[k])) continue;
        std::fprintf(stderr, "%s: two at once gave other bits (result %zu)\n", kernels.name, k);
        ++failures;
      }
    }
  }
}

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};

// A dense layer on one thread and on some, in one call and row by row, its x by column too.
void check_dense(const Kernels& kernels, int64_t rows, int64_t features, int64_t units) {
  const Floats kernel = random_floats(features * units), bias = random_floats(units);
  const Floats x = random_floats(rows * features);
  Floats turned(x.size());
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t k = 0; k < features; ++k) turned[k * rows + m] = x[m * features + k];
  }
  for (const Activation activation : {Activation::linear, Activation::tanh}) {
    Dense dense{features, units, activation, nullptr};
    const auto bytes = static_cast<size_t>(kernels.dense_floats(dense)) * sizeof(float);
    const std::unique_ptr<float, Free> memory(
        static_cast<float*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
    kernels.pack_dense(dense, kernel.data(), bias.data(), memory.get());
    dense.packed = memory.get();
    const auto run = [&](Vectors<const float> from, Executor& executor) {
      Floats out(static_cast<size_t>(rows * units), std::nanf(""));
      kernels.dense(dense, {rows, from, {out.data(), units, 1}}, executor);
      return out;
    };
    Alone alone;
    Pool four(4);
    const Floats first = run({x.data(), features, 1}, alone);
    Floats one_by_one(first.size());
    for (int64_t m = 0; m < rows; ++m) {
      kernels.dense(dense, {1, {x.data() + m * features, features, 1},
                            {one_by_one.data() + m * units, units, 1}}, alone);
    }
    const bool finite = std::all_of(first.begin(), first.end(), [](float v) {
      return std::isfinite(v);
    });
    if (!finite || !same_bits(first, run({x.data(), features, 1}, four)) ||
        !same_bits(first, run({turned.data(), 1, rows}, four)) || !same_bits(first, one_by_one)) {
      std::fprintf(stderr, "%s: a dense layer of %d rows, %d features, %d units\n", kernels.name,
                   static_cast<int>(rows), static_cast<int>(features), static_cast<int>(units));
      ++failures;
    }
  }
}

// Functions of numbers that end where their memory does, in place too.
void check_functions(const Kernels& kernels) {
  for (int64_t count = 1; count < 75; ++count) {
    const Floats x = random_floats(count);
    for (int i = 0; i <= static_cast<int>(Activation::hard_sigmoid) + 1; ++i) {
      const auto apply = [&](const float* from, float* to, int64_t some) {
        if (i <= static_cast<int>(Activation::hard_sigmoid)) {
          kernels.activate(static_cast<Activation>(i), from, to, some);
        } else {
          kernels.exponential(from, to, some);
        }
      };
      Floats out(x.size()), one_by_one(x.size()), in_place = x;
      apply(x.data(), out.data(), count);
      apply(in_place.data(), in_place.data(), count);
      for (int64_t k = 0; k < count; ++k) apply(x.data() + k, one_by_one.data() + k, 1);
      if (same_bits(out, one_by_one) && same_bits(out, in_place)) continue;
      std::fprintf(stderr, "%s: function %d of %d numbers\n", kernels.name, i,
                   static_cast<int>(count));
      ++failures;
    }
  }
}

// Rows of a packed array, read and written by number on one thread and on some, beside loops.
void check_rows(int64_t count, int64_t units) {
  const int64_t capacity = 2 * count + 1;
  std::vector<int64_t> rows(static_cast<size_t>(capacity));
  std::iota(rows.begin(), rows.end(), 0);
  std::shuffle(rows.begin(), rows.end(), random_bits);
  rows.resize(static_cast<size_t>(count));
  const Floats packed = random_floats(capacity * units), values = random_floats(count * units);
  Floats read, written = packed;
  for (int64_t m = 0; m < count; ++m) {
    const auto row = packed.begin() + rows[m] * units;
    read.insert(read.end(), row, row + units);
    std::copy_n(values.begin() + m * units, units, written.begin() + rows[m] * units);
  }
  Alone alone;
  Pool three(3);
  bool same = true;
  for (Executor* executor : {static_cast<Executor*>(&alone), static_cast<Executor*>(&three)}) {
    Floats out(read.size(), std::nanf("")), changed = packed;
    gather({packed.data(), units, 1}, units, rows.data(), count, {out.data(), units, 1}, *executor);
    scatter({changed.data(), units, 1}, units, rows.data(), count, {values.data(), units, 1},
            *executor);
    same = same && same_bits(out, read) && same_bits(changed, written);
  }
  same = same && first_repeated(rows.data(), count) == -1 &&
         first_outside(rows.data(), count, capacity) == -1;
  rows.push_back(rows.front());
  same = same && first_repeated(rows.data(), count + 1) == count;
  rows.back() = capacity;
  same = same && first_outside(rows.data(), count + 1, capacity) == count;
  if (same) return;
  std::fprintf(stderr, "%d rows of %d numbers by number\n", static_cast<int>(count),
               static_cast<int>(units));
  ++failures;
}

}  // namespace

int main() {
  int ran = 0;
  set_threads(2);
  for (const auto& [count, units] : {std::pair{1, 17}, {100, 33}, {300, 64}, {701, 40}}) {
    check_rows(count, units);
  }
  for (const char* const* name = builds(); *name != nullptr; ++name) {
    const Kernels* found = kernels(*name);
    if (found == nullptr) continue;
    ++ran;
    for (const Kind kind : {Kind::simple_rnn, Kind::gru, Kind::lstm}) {
      for (const bool reset_after : {false, true}) {
        if (reset_after && kind != Kind::gru) continue;
        for (const auto& [activation, recurrent] :
             {std::pair{Activation::tanh, Activation::sigmoid},
              std::pair{Activation::relu, Activation::hard_sigmoid}}) {
          for (const Shape& shape : kShapes) {
            for (const bool everything : {false, true}) {
              check(*found, {kind, reset_after, activation, recurrent, 0, 0}, shape, everything);
            }
          }
        }
      }
    }
    for (const auto& [rows, features, units] :
         {std::tuple{1, 1, 1}, {2, 3, 17}, {1, 9, 300}, {13, 40, 50}, {3, 2000, 9},
          {100, 5, 33}, {300, 90, 70}, {1, 1300, 1200}}) {
      check_dense(*found, rows, features, units);
    }
    check_functions(*found);
    two_callers(*found);
    for (const Kind kind : {Kind::simple_rnn, Kind::gru, Kind::lstm}) two_at_once(*found, kind);
  }
  if (ran == 0) {
    std::fprintf(stderr, "no build runs here\n");
    return 1;
  }
  return failures != 0;
}

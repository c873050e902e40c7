#include "rows.h"

#include <bit>
#include <cstring>

#include "scratch.h"

namespace seqstate {

namespace {

// Rows that are on their way from memory while one is copied.
constexpr int64_t kAhead = 12;
// Of a row the first lines are fetched: with them the processor goes on by itself.
constexpr int64_t kFetched = 512;
// Floats below which a second thread costs more than it saves.
constexpr int64_t kShared = 16 * 1024;
constexpr int64_t kRowsOfPart = 64;

template <int write>
void fetch(const float* row, int64_t bytes) {
  const char* at = reinterpret_cast<const char*>(row);
  const int64_t end = bytes < kFetched ? bytes : kFetched;
  for (int64_t i = 0; i < end; i += 64) __builtin_prefetch(at + i, write);
}

void copy(float* to, const float* from, int64_t bytes) {
  // A size that is known here is copied in place.
  if (bytes == 128) std::memcpy(to, from, 128);
  else if (bytes == 256) std::memcpy(to, from, 256);
  else std::memcpy(to, from, static_cast<size_t>(bytes));
}

// body(first, end), for parts of the rows.
template <class Body>
void in_parts(int64_t size, int64_t count, Executor& threads, const Body& body) {
  const int64_t parts = count / kRowsOfPart;
  if (size * count < kShared || parts < 2 || threads.threads() == 1) return body(0, count);
  parallel(threads, parts, [&](int64_t i) { body(i * count / parts, (i + 1) * count / parts); });
}

}  // namespace

int64_t first_outside(const int64_t* rows, int64_t count, int64_t capacity) {
  for (int64_t i = 0; i < count; ++i) {
    if (rows[i] < 0 || rows[i] >= capacity) return i;
  }
  return -1;
}

int64_t first_repeated(const int64_t* rows, int64_t count) {
  constexpr int64_t kFew = 8;
  if (count <= kFew) {
    for (int64_t i = 1; i < count; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        if (rows[i] == rows[j]) return i;
      }
    }
    return -1;
  }
  // A table with open addressing, at most half full.
  Scratch scratch;
  const auto slots = static_cast<int64_t>(std::bit_ceil(2 * static_cast<uint64_t>(count)));
  const int shift = std::countl_zero(static_cast<uint64_t>(slots)) + 1;
  auto* table = reinterpret_cast<int64_t*>(scratch.floats(2 * slots));
  std::memset(table, 0xff, static_cast<size_t>(slots) * sizeof(int64_t));
  for (int64_t i = 0; i < count; ++i) {
    uint64_t slot = static_cast<uint64_t>(rows[i]) * 0x9e3779b97f4a7c15u >> shift;
    while (table[slot] != -1) {
      if (table[slot] == rows[i]) return i;
      slot = (slot + 1) & static_cast<uint64_t>(slots - 1);
    }
    table[slot] = rows[i];
  }
  return -1;
}

void gather(Vectors<const float> packed, int64_t size, const int64_t* rows, int64_t count,
            Vectors<float> out, Executor& threads) {
  const int64_t bytes = size * static_cast<int64_t>(sizeof(float));
  in_parts(size, count, threads, [&](int64_t first, int64_t end) {
    for (int64_t m = first; m < end; ++m) {
      if (m + kAhead < end) fetch<0>(packed.data + rows[m + kAhead] * packed.row, bytes);
      copy(out.data + m * out.row, packed.data + rows[m] * packed.row, bytes);
    }
  });
}

void scatter(Vectors<float> packed, int64_t size, const int64_t* rows, int64_t count,
             Vectors<const float> values, Executor& threads) {
  const int64_t bytes = size * static_cast<int64_t>(sizeof(float));
  in_parts(size, count, threads, [&](int64_t first, int64_t end) {
    for (int64_t m = first; m < end; ++m) {
      if (m + kAhead < end) fetch<1>(packed.data + rows[m + kAhead] * packed.row, bytes);
      copy(packed.data + rows[m] * packed.row, values.data + m * values.row, bytes);
    }
  });
}

}  // namespace seqstate

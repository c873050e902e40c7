#include "kept_memory.h"

#include <cstdlib>
#include <deque>
#include <mutex>
#include <new>

namespace seqstate {
namespace {

// Before each block lies its size, in as many bytes as keep the block aligned.
constexpr size_t kAlign = 64;
// More than this is not kept.
constexpr size_t kMost = size_t{1} << 24;

struct Kept {
  std::mutex lock;
  std::deque<char*> blocks;  // from the one that was given first
  size_t bytes = 0;
};

// Never destroyed: Python may give the last blocks when the process ends.
Kept& kept() {
  static Kept& kept = *new Kept;
  return kept;
}

size_t& size_of(char* start) { return *reinterpret_cast<size_t*>(start); }

}  // namespace

void* take_block(size_t bytes) {
  const size_t size = (bytes + kAlign - 1) / kAlign * kAlign + kAlign;
  Kept& all = kept();
  {
    const std::lock_guard<std::mutex> guard(all.lock);
    // The last one that was given is the likeliest to be in the cache.
    for (size_t i = all.blocks.size(); i-- > 0;) {
      char* start = all.blocks[i];
      if (size_of(start) != size) continue;
      all.blocks.erase(all.blocks.begin() + static_cast<std::ptrdiff_t>(i));
      all.bytes -= size;
      return start + kAlign;
    }
  }
  char* start = static_cast<char*>(std::aligned_alloc(kAlign, size));
  if (start == nullptr) throw std::bad_alloc();
  size_of(start) = size;
  return start + kAlign;
}

void give_block(void* block) noexcept {
  char* start = static_cast<char*>(block) - kAlign;
  const size_t size = size_of(start);
  Kept& all = kept();
  const std::lock_guard<std::mutex> guard(all.lock);
  if (size > kMost) {  // it would push out all others, and then itself
    std::free(start);
    return;
  }
  try {
    all.blocks.push_back(start);
  } catch (const std::bad_alloc&) {
    std::free(start);
    return;
  }
  all.bytes += size;
  while (all.bytes > kMost) {
    char* oldest = all.blocks.front();
    all.blocks.pop_front();
    all.bytes -= size_of(oldest);
    std::free(oldest);
  }
}

}  // namespace seqstate

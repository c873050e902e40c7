#include "scratch.h"

#include <cstdlib>
#include <new>
#include <vector>

namespace seqstate {
namespace {

constexpr int64_t kAlign = 64;
constexpr int64_t kSmallest = int64_t{1} << 18;
// More than this is given back when the outermost scope ends.
constexpr int64_t kKept = int64_t{1} << 25;

struct Block {
  char* data;
  int64_t size;
};

struct Memory {
  std::vector<Block> blocks;
  int block = 0;      // the one in use
  int64_t used = 0;   // of that one
  int depth = 0;

  ~Memory() { keep(0); }

  void keep(int64_t size) {
    int64_t total = 0;
    for (const Block& b : blocks) total += b.size;
    while (!blocks.empty() && total > size) {
      total -= blocks.back().size;
      std::free(blocks.back().data);
      blocks.pop_back();
    }
  }

  char* take(int64_t size) {
    size = (size + kAlign - 1) / kAlign * kAlign;
    while (block < static_cast<int>(blocks.size()) && used + size > blocks[block].size) {
      ++block;
      used = 0;
    }
    if (block == static_cast<int>(blocks.size())) {
      const int64_t wanted = size > kSmallest ? size : kSmallest;
      void* data = std::aligned_alloc(kAlign, wanted);
      if (data == nullptr) throw std::bad_alloc();
      blocks.push_back({static_cast<char*>(data), wanted});
      used = 0;
    }
    char* taken = blocks[block].data + used;
    used += size;
    return taken;
  }
};

thread_local Memory memory;

}  // namespace

Scratch::Scratch() : block_(memory.block), used_(memory.used) { ++memory.depth; }

Scratch::~Scratch() {
  memory.block = block_;
  memory.used = used_;
  if (--memory.depth == 0) memory.keep(kKept);
}

float* Scratch::floats(int64_t count) {
  return reinterpret_cast<float*>(memory.take(count * static_cast<int64_t>(sizeof(float))));
}

}  // namespace seqstate

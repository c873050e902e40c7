// Memory of large results that Python has let go of, kept for the next ones: a process that makes
// results of one size again and again would otherwise get fresh pages from the system each time,
// and spend as long on them as on the numbers.
#pragma once

#include <cstddef>

namespace seqstate {

// Results below this size come from the memory of Python.
constexpr size_t kLargeResult = size_t{1} << 16;

// A block of `bytes`, not set, aligned to 64 bytes. Throws std::bad_alloc.
void* take_block(size_t bytes);

// Gives back what `take_block` gave.
void give_block(void* block) noexcept;

}  // namespace seqstate

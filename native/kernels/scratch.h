// Working memory that a thread keeps from call to call.
#pragma once

#include <cstdint>

namespace seqstate {

// Memory for the time of a scope. Scopes of a thread are nested; what a scope took may be used by
// other threads until it ends.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // `count` floats, not set, aligned to 64 bytes. Throws std::bad_alloc.
  float* floats(int64_t count);
  uint8_t* bytes(int64_t count) { return reinterpret_cast<uint8_t*>(floats((count + 3) / 4)); }

 private:
  int block_;
  int64_t used_;
};

}  // namespace seqstate

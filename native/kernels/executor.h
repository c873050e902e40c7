// How the kernels ask for threads: whoever calls them brings the pool.
#pragma once

#include <cstdint>

namespace seqstate {

class Executor {
 public:
  // How many threads may work at once, the caller's included; at least 1.
  virtual int threads() const = 0;

  // Run task(context, 0) ... task(context, count - 1), each once, and return when all are done.
  // The caller takes part. Items are begun in order, each by whichever thread is free: an item
  // may wait for one with a smaller index, never for a larger one. Tasks do not throw.
  virtual void run(int64_t count, void (*task)(void* context, int64_t item), void* context) = 0;

 protected:
  ~Executor() = default;
};

// body(item), for each item.
template <class Body>
void parallel(Executor& executor, int64_t count, const Body& body) {
  const auto task = [](void* context, int64_t item) {
    (*static_cast<const Body*>(context))(item);
  };
  executor.run(count, task, const_cast<Body*>(&body));
}

}  // namespace seqstate

// A call whose arrays are checked once, for calls on the same arrays again and again.
#pragma once

#include <functional>
#include <utility>

namespace seqstate {

class Prepared {
 public:
  // What `body` needs must be held by it.
  explicit Prepared(std::function<void()> body) : body_(std::move(body)) {}
  void operator()() const { body_(); }

 private:
  std::function<void()> body_;
};

}  // namespace seqstate

// The buffers that XLA hands to a call, taken one after the other and checked.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "../kernels/api.h"
#include "xla/ffi/api/ffi.h"

namespace seqstate {

namespace ffi = xla::ffi;
using Shape = ffi::Span<const int64_t>;

inline std::string text(const int64_t* sizes, size_t rank) {
  std::string out = "(";
  for (size_t i = 0; i < rank; ++i) out += (i ? ", " : "") + std::to_string(sizes[i]);
  return out + (rank == 1 ? ",)" : ")");
}

template <class T>
constexpr ffi::DataType dtype_of = ffi::DataType::F32;
template <>
constexpr ffi::DataType dtype_of<uint8_t> = ffi::DataType::PRED;

// The operands and results of a call, of one run after the other. The bits of `given` and `wanted`
// say which of those in the order of call.py are there; they are taken in that order. What does
// not fit is remembered, the first such thing only, and everything after it is null.
class Arrays {
 public:
  Arrays(ffi::RemainingArgs args, ffi::RemainingRets rets) : args_(args), rets_(rets) {}

  // What is taken next belongs to a run of its own.
  void begin(int32_t given, int32_t wanted) {
    given_ = given;
    wanted_ = wanted;
    input_bit_ = result_bit_ = 0;
    first_ = operand_;
  }

  template <class T = float>
  const T* in(const char* name, std::initializer_list<int64_t> shape) {
    if (!next(given_, input_bit_)) return nullptr;
    auto buffer = args_.get<ffi::AnyBuffer>(operand_++);
    if (!buffer.has_value()) return missing(name);
    return static_cast<const T*>(checked(name, *buffer, dtype_of<T>, shape));
  }

  // One mask for all blocks or one for each.
  Dropout dropout(const char* name, int blocks, int64_t batch, int64_t size) {
    const bool here = (given_ >> input_bit_ & 1) != 0;
    const Shape found = here ? shape(operand_ - first_) : Shape();
    const int count = found.size() == 3 && found[0] == 1 ? 1 : blocks;
    const float* data = in(name, {count, batch, size});
    return {data, data == nullptr ? 0 : count};
  }

  float* out(const char* name, std::initializer_list<int64_t> shape) {
    if (!next(wanted_, result_bit_)) return nullptr;
    auto buffer = rets_.get<ffi::AnyBuffer>(result_++);
    if (!buffer.has_value()) return missing(name);
    return static_cast<float*>(checked(name, **buffer, ffi::DataType::F32, shape));
  }

  // Of an operand of this run.
  Shape shape(size_t operand) const {
    auto buffer = args_.get<ffi::AnyBuffer>(first_ + operand);
    return buffer.has_value() ? buffer->dimensions() : Shape();
  }

  void refuse(std::string what) {
    if (error_.empty()) error_ = "seqstate: " + std::move(what);
  }

  ffi::Error error() {
    if (operand_ != args_.size() || result_ != rets_.size()) {
      refuse("got " + std::to_string(args_.size()) + " operands and " +
             std::to_string(rets_.size()) + " results; expected " + std::to_string(operand_) +
             " and " + std::to_string(result_));
    }
    return error_.empty() ? ffi::Error::Success() : ffi::Error::InvalidArgument(error_);
  }

 private:
  static bool next(int32_t bits, int& bit) { return (bits >> bit++ & 1) != 0; }

  std::nullptr_t missing(const char* name) {
    refuse(std::string(name) + " is missing");
    return nullptr;
  }

  void* checked(const char* name, const ffi::AnyBuffer& buffer, ffi::DataType dtype,
                std::initializer_list<int64_t> expected) {
    const Shape found = buffer.dimensions();
    if (!std::equal(found.begin(), found.end(), expected.begin(), expected.end())) {
      refuse(std::string(name) + " has shape " + text(found.begin(), found.size()) +
             "; expected " + text(expected.begin(), expected.size()));
    } else if (buffer.element_type() != dtype) {
      refuse(std::string(name) + " has another dtype than " +
             (dtype == ffi::DataType::F32 ? "float32" : "bool"));
    } else if (buffer.untyped_data() == nullptr && buffer.element_count() > 0) {
      refuse(std::string(name) + " has no data");
    }
    return error_.empty() ? buffer.untyped_data() : nullptr;
  }

  ffi::RemainingArgs args_;
  ffi::RemainingRets rets_;
  int32_t given_ = 0, wanted_ = 0;
  int input_bit_ = 0, result_bit_ = 0;
  size_t first_ = 0, operand_ = 0, result_ = 0;
  std::string error_;
};

}  // namespace seqstate

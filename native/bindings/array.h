// One array that Python handed over: where it lies, and whether it is what was expected.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "../kernels/api.h"

namespace seqstate {

constexpr int kMaxRank = 4;

enum class Type { float32, boolean, int64 };

// Once, before the first array.
void load_numpy();

// A new NumPy array [rows, columns] of float32, its values not set, and where they lie.
struct NewArray {
  NewArray(int64_t rows, int64_t columns);

  nanobind::object object;
  float* data;
};

// A size that an axis must have; with -1 any size will do.
struct Axis {
  const char* name;
  int64_t size;
};

// An array in this machine's memory. It is read from a NumPy array, from anything else that speaks
// DLPack or the buffer protocol, or from a tuple (address, dtype, shape, strides) with the strides
// in elements, whose memory the caller keeps alive. An array that is not given has no data.
class Array {
 public:
  Array() = default;
  // Throws Refused, naming `where` and `name`, unless it is an array of `type`.
  Array(const std::string& where, const char* name, nanobind::handle object, Type type,
        bool writable);

  bool given() const { return given_; }
  int rank() const { return rank_; }
  int64_t shape(int axis) const { return shape_[axis]; }
  int64_t stride(int axis) const { return stride_[axis]; }
  int64_t size() const;
  const char* name() const { return name_; }

  // Each throws Refused unless it holds.
  void expect(const std::string& where, std::initializer_list<Axis> axes) const;
  void expect_dense(const std::string& where) const;
  void expect_last_dense(const std::string& where) const;
  void expect_like(const std::string& where, const Array& other) const;
  // As a result: the last axis dense, and no element in two places.
  void expect_rows(const std::string& where) const;

  bool overlaps(const Array& other) const;

  template <class T>
  T* data() const { return static_cast<T*>(data_); }
  template <class T>
  Vectors<T> vectors() const { return {data<T>(), stride_[0], stride_[1]}; }
  template <class T>
  Sequences<T> sequences() const { return {data<T>(), stride_[0], stride_[1], stride_[2]}; }
  // The sequences at `index` of the third of the axes [time, batch, count, size].
  Sequences<float> sequences_at(int64_t index) const {
    return {data<float>() + index * stride_[2], stride_[1], stride_[0], stride_[3]};
  }

 private:
  // NumPy's arrays are read from their struct: 5 ns where DLPack takes 300.
  bool read_numpy(const std::string& where, PyObject* object, Type type, bool writable);
  void read_tuple(const std::string& where, nanobind::handle object, Type type);
  void read_object(const std::string& where, nanobind::handle object, Type type, bool writable);
  std::string shape_text() const;
  int64_t bytes() const { return type_ == Type::float32 ? 4 : type_ == Type::int64 ? 8 : 1; }

  const char* name_ = "";
  bool given_ = false;
  void* data_ = nullptr;
  Type type_ = Type::float32;
  int rank_ = 0;
  int64_t shape_[kMaxRank] = {0, 0, 0, 0};
  int64_t stride_[kMaxRank] = {0, 0, 0, 0};
  nanobind::object owner_;
  nanobind::ndarray<nanobind::ro> exported_;
};

}  // namespace seqstate

#include "array.h"

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/ndarrayobject.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "errors.h"
#include "kept_memory.h"

namespace nb = nanobind;

namespace seqstate {

namespace {

PyTypeObject* numpy_array = nullptr;

const char* name_of(Type type) {
  return type == Type::float32 ? "float32" : type == Type::int64 ? "int64" : "bool";
}

int number_of(Type type) {
  return type == Type::float32 ? NPY_FLOAT32 : type == Type::int64 ? NPY_INT64 : NPY_BOOL;
}

std::string name_of(nb::dlpack::dtype dtype) {
  using Code = nb::dlpack::dtype_code;
  const std::string bits = std::to_string(dtype.bits);
  if (dtype.lanes != 1) return "vectors of " + bits + " bits";
  switch (static_cast<Code>(dtype.code)) {
    case Code::Int: return "int" + bits;
    case Code::UInt: return "uint" + bits;
    case Code::Float: return "float" + bits;
    case Code::Bfloat: return "bfloat" + bits;
    case Code::Complex: return "complex" + bits;
    case Code::Bool: return "bool";
    default: return "another type of " + bits + " bits";
  }
}

nb::dlpack::dtype dtype_of(Type type) {
  return type == Type::float32 ? nb::dtype<float>()
         : type == Type::int64 ? nb::dtype<int64_t>()
                               : nb::dtype<bool>();
}

[[noreturn]] void refuse_read_only(const std::string& where, const char* name) {
  refuse_input(where, std::string(name) + " is read-only", "Pass an array that can be written.");
}

}  // namespace

void load_numpy() {
  if (PyArray_ImportNumPyAPI() < 0) nb::raise_python_error();
  numpy_array = &PyArray_Type;
}

NewArray::NewArray(int64_t rows, int64_t columns) {
  npy_intp shape[2] = {static_cast<npy_intp>(rows), static_cast<npy_intp>(columns)};
  const size_t bytes = sizeof(float) * static_cast<size_t>(rows) * static_cast<size_t>(columns);
  void* block = bytes < kLargeResult ? nullptr : take_block(bytes);
  nb::object owner;
  if (block != nullptr) owner = nb::capsule(block, [](void* p) noexcept { give_block(p); });
  object = nb::steal(block == nullptr
                         ? PyArray_SimpleNew(2, shape, NPY_FLOAT32)
                         : PyArray_SimpleNewFromData(2, shape, NPY_FLOAT32, block));
  if (!object.is_valid()) nb::raise_python_error();
  auto* array = reinterpret_cast<PyArrayObject*>(object.ptr());
  if (block != nullptr && PyArray_SetBaseObject(array, owner.release().ptr()) < 0) {
    nb::raise_python_error();
  }
  data = static_cast<float*>(PyArray_DATA(array));
}

Array::Array(const std::string& where, const char* name, nb::handle object, Type type,
             bool writable)
    : name_(name), given_(true), type_(type) {
  if (PyTuple_CheckExact(object.ptr())) {
    read_tuple(where, object, type);
  } else if (!read_numpy(where, object.ptr(), type, writable)) {
    read_object(where, object, type, writable);
  }
  // Of one element no stride is ever used; kernels may rely on 1 in the last axis.
  if (rank_ > 0 && shape_[rank_ - 1] == 1) stride_[rank_ - 1] = 1;
  // A null pointer would mean "not given" from here on.
  if (data_ == nullptr && size() > 0) {
    refuse_input(where, std::string(name) + " has no memory (a null pointer)",
                 "Pass an array that holds values; tensors on the device \"meta\" hold none.");
  }
  if (reinterpret_cast<uintptr_t>(data_) % static_cast<uintptr_t>(bytes()) != 0) {
    refuse_input(where, std::string(name) + " is not aligned to " + name_of(type),
                 "Pass a copy of it.");
  }
}

bool Array::read_numpy(const std::string& where, PyObject* object, Type type, bool writable) {
  if (Py_TYPE(object) != numpy_array) return false;
  const auto* array = reinterpret_cast<const PyArrayObject*>(object);
  const int64_t size = bytes();
  bool plain = PyArray_TYPE(array) == number_of(type) &&
               PyArray_ISNOTSWAPPED(array) && PyArray_NDIM(array) <= kMaxRank;
  for (int i = 0; plain && i < PyArray_NDIM(array); ++i) {
    plain = PyArray_STRIDE(array, i) % size == 0;
  }
  if (!plain) return false;  // the slow way finds the words for what is wrong with it
  if (writable && !PyArray_ISWRITEABLE(array)) refuse_read_only(where, name_);
  rank_ = PyArray_NDIM(array);
  for (int i = 0; i < rank_; ++i) {
    shape_[i] = PyArray_DIM(array, i);
    stride_[i] = PyArray_STRIDE(array, i) / size;
  }
  data_ = PyArray_DATA(const_cast<PyArrayObject*>(array));
  owner_ = nb::borrow(object);
  return true;
}

void Array::read_object(const std::string& where, nb::handle object, Type type, bool writable) {
  bool read;
  if (writable) {
    nb::ndarray<> found;
    read = nb::try_cast(object, found, false);
    if (read) exported_ = nb::ndarray<nb::ro>(found);
  } else {
    read = nb::try_cast(object, exported_, false);
  }
  if (!read) {
    nb::ndarray<nb::ro> readable;
    if (writable && nb::try_cast(object, readable, false)) {
      refuse_read_only(where, name_);
    }
    refuse_input(where,
                 std::string(name_) + " is a " + Py_TYPE(object.ptr())->tp_name +
                     " that is no array in memory",
                 "Pass a NumPy array, or a tensor on the CPU that is detached and holds values.");
  }
  if (exported_.device_type() != nb::device::cpu::value) {
    refuse_input(where, std::string(name_) + " lies on another device than the CPU", "Copy it to the CPU.");
  }
  if (exported_.dtype() != dtype_of(type)) {
    refuse_input(where,
                 std::string(name_) + " has dtype " + name_of(exported_.dtype()) + "; expected " +
                     name_of(type),
                 "Cast it.");
  }
  if (exported_.ndim() > kMaxRank) {
    refuse_input(where, std::string(name_) + " has " + std::to_string(exported_.ndim()) + " axes",
                 "No array here has more than 4.");
  }
  rank_ = static_cast<int>(exported_.ndim());
  for (int i = 0; i < rank_; ++i) {
    shape_[i] = static_cast<int64_t>(exported_.shape(static_cast<size_t>(i)));
    stride_[i] = exported_.stride(static_cast<size_t>(i));
  }
  data_ = const_cast<void*>(exported_.data());
}

void Array::read_tuple(const std::string& where, nb::handle object, Type type) {
  const std::string name = name_;
  const std::string todo = "Pass (address, dtype, shape, strides), the strides in elements.";
  const auto part = [object](Py_ssize_t i) {
    return nb::handle(PyTuple_GetItem(object.ptr(), i));
  };
  uint64_t address = 0;
  const char* dtype = nullptr;
  if (PyTuple_Size(object.ptr()) != 4 || !nb::try_cast(part(0), address, false) ||
      !nb::try_cast(part(1), dtype, false) || !PySequence_Check(part(2).ptr()) ||
      !PySequence_Check(part(3).ptr())) {
    refuse_input(where, name + " is a tuple, but not of an address, a dtype, a shape and strides",
                 todo);
  }
  if (std::strcmp(dtype, name_of(type)) != 0) {
    refuse_input(where, name + " has dtype " + dtype + "; expected " + name_of(type), "Cast it.");
  }
  const size_t rank = nb::len(part(2));
  if (rank != nb::len(part(3)) || rank > kMaxRank) {
    refuse_input(where,
                 name + " has a shape of " + std::to_string(rank) + " axes and " +
                     std::to_string(nb::len(part(3))) + " strides",
                 todo);
  }
  rank_ = static_cast<int>(rank);
  for (size_t i = 0; i < rank; ++i) {
    if (!nb::try_cast(nb::object(part(2)[i]), shape_[i], false) ||
        !nb::try_cast(nb::object(part(3)[i]), stride_[i], false) || shape_[i] < 0) {
      refuse_input(where, name + " has a shape or strides that are no integers", todo);
    }
  }
  data_ = reinterpret_cast<void*>(address);
}

int64_t Array::size() const {
  int64_t out = 1;
  for (int i = 0; i < rank_; ++i) out *= shape_[i];
  return out;
}

std::string Array::shape_text() const {
  std::string out = "(";
  for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string(shape_[i]);
  return out + (rank_ == 1 ? ",)" : ")");
}

void Array::expect(const std::string& where, std::initializer_list<Axis> axes) const {
  bool fits = rank_ == static_cast<int>(axes.size());
  int i = 0;
  for (const Axis& axis : axes) {
    fits = fits && (axis.size == -1 || shape_[i] == axis.size);
    ++i;
  }
  if (fits) return;
  std::string names, sizes;
  for (const Axis& axis : axes) {
    names += (names.empty() ? "" : ", ") + std::string(axis.name);
    sizes += (sizes.empty() ? "" : ", ") + (axis.size == -1 ? "any" : std::to_string(axis.size));
  }
  refuse_input(where,
               std::string(name_) + " has shape " + shape_text() + "; expected (" + sizes +
                   (axes.size() == 1 ? ",)" : ")") + ", [" + names + "]",
               "The other arrays of the call and the cell set these sizes.");
}

void Array::expect_dense(const std::string& where) const {
  int64_t dense = 1;
  for (int i = rank_ - 1; i >= 0; --i) {
    if (shape_[i] > 1 && stride_[i] != dense && size() > 0) {
      refuse_input(where, std::string(name_) + " is not contiguous", "Pass a contiguous copy.");
    }
    dense *= shape_[i];
  }
}

void Array::expect_last_dense(const std::string& where) const {
  if (size() == 0 || stride_[rank_ - 1] == 1) return;
  refuse_input(where, "the last axis of " + std::string(name_) + " is not contiguous",
               "Pass a contiguous copy.");
}

void Array::expect_like(const std::string& where, const Array& other) const {
  if (rank_ == other.rank_ && std::equal(shape_, shape_ + rank_, other.shape_)) return;
  refuse_input(where,
               std::string(name_) + " has shape " + shape_text() + "; expected that of " +
                   other.name_ + ", " + other.shape_text(),
               "Pass arrays of one shape.");
}

void Array::expect_rows(const std::string& where) const {
  if (!given_ || size() == 0) return;
  bool fits = shape_[rank_ - 1] == 1 || stride_[rank_ - 1] == 1;
  // From the nearest neighbours to the farthest, each stride must step over all that lies nearer.
  bool seen[kMaxRank] = {};
  int64_t nearer = shape_[rank_ - 1];
  for (int round = 0; round < rank_ - 1; ++round) {
    int next = -1;
    for (int i = 0; i < rank_ - 1; ++i) {
      if (!seen[i] && (next == -1 || stride_[i] < stride_[next])) next = i;
    }
    seen[next] = true;
    if (shape_[next] == 1) continue;
    fits = fits && stride_[next] >= nearer;
    nearer = stride_[next] * (shape_[next] - 1) + nearer;
  }
  if (!fits) {
    refuse_input(where,
                 std::string(name_) + " can't take results: its last axis is not contiguous, or "
                                      "some of its elements share their memory",
                 "Pass a new array.");
  }
}

bool Array::overlaps(const Array& other) const {
  if (!given_ || !other.given_ || size() == 0 || other.size() == 0) return false;
  const auto ends = [](const Array& a) {
    int64_t low = 0, high = 0;
    for (int i = 0; i < a.rank_; ++i) {
      const int64_t reach = a.stride_[i] * (a.shape_[i] - 1);
      (reach < 0 ? low : high) += reach;
    }
    const auto start = reinterpret_cast<intptr_t>(a.data_);
    return std::pair<intptr_t, intptr_t>(start + low * a.bytes(), start + (high + 1) * a.bytes());
  };
  const auto [low, high] = ends(*this);
  const auto [other_low, other_high] = ends(other);
  return low < other_high && other_low < high;
}

}  // namespace seqstate

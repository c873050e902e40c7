// The arrays of a call by name, as call.py states them, checked and made a Run or a Gradient.
#pragma once

#include <nanobind/nanobind.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "../kernels/api.h"
#include "array.h"

namespace seqstate {

// The names in the order of their enumerations.
inline constexpr const char* kKinds[] = {"SimpleRNN", "GRU", "LSTM"};
inline constexpr const char* kActivations[] = {"linear", "tanh", "sigmoid", "relu",
                                               "hard_sigmoid"};
inline constexpr const char* kStates[kMaxStates] = {"h", "c"};
// More than a dict of call.py ever has.
constexpr int kMaxNames = 16;

// The cell of these names, its sizes not yet set.
Cell cell_of(const char* kind, const char* activation, const char* recurrent_activation,
             bool reset_after);
Activation activation_of(const char* name);
// Where errors of a call say that they happened.
std::string where_of(const Cell& cell);

// A name of an array, also as the string that Python's dicts are asked with.
class Name {
 public:
  constexpr explicit Name(const char* text) : text_(text) {}
  const char* text() const { return text_; }
  PyObject* key() const {
    if (key_ == nullptr) key_ = PyUnicode_InternFromString(text_);
    return key_;
  }

 private:
  const char* text_;
  mutable PyObject* key_ = nullptr;
};

// Arrays in a dict; all of them must be taken.
class ByName {
 public:
  ByName(const std::string& where, const char* title, nanobind::dict values)
      : where_(where), title_(title), values_(std::move(values)) {}

  // The array of this name, or one that is not given.
  Array take(const Name& name, Type type = Type::float32, bool writable = false);
  // The same, refused where it is not there.
  Array need(const Name& name);
  void nothing_left() const;

 private:
  const std::string& where_;
  const char* title_;
  nanobind::dict values_;
  int64_t taken_ = 0;
  const Name* names_[kMaxNames];
};

// The weights of a cell. They set its sizes.
struct WeightArrays {
  WeightArrays(const std::string& where, ByName& given, Cell& cell);

  Weights pointers() const;

  Array kernel, recurrent_kernel, bias, recurrent_bias;
};

// What a run reads and writes. The arrays are held as long as this is.
class RunArguments {
 public:
  // `weights` are read from `inputs` unless they are given.
  RunArguments(Cell cell, const Weights* weights, bool go_backwards, nanobind::dict inputs,
               nanobind::dict results);

  const Run& run() const { return run_; }
  // Throws Refused where one of the two writes what the other one reads or writes.
  void expect_apart(const RunArguments& other) const;

 private:
  friend class GradientArguments;
  RunArguments(Cell cell, const Weights* weights, bool go_backwards, nanobind::dict inputs);

  void read_inputs(ByName& given);
  void read_dropout(ByName& given, const Name& name, Axis size, Dropout& into);
  void read_results(nanobind::dict results);
  // Keeps an array alive. What is written is refused where it shares memory with what was read or
  // written before, so all reads come first. What they give holds until the next call.
  const Array& reads(Array&& array);
  const Array& writes(Array&& array);
  void refuse_shared(const Array& written, const std::vector<Array>& others,
                     const char* of) const;

  std::string where_;
  Run run_{};
  std::vector<Array> read_, written_;
};

class GradientArguments {
 public:
  GradientArguments(Cell cell, bool go_backwards, nanobind::dict inputs, nanobind::dict results,
                    nanobind::dict cotangents, nanobind::dict gradients);

  const Gradient& gradient() const { return gradient_; }
  void expect_apart(const GradientArguments& other) const {
    forward_.expect_apart(other.forward_);
  }

 private:
  void read_results(nanobind::dict results);
  void read_cotangents(nanobind::dict cotangents);
  void read_gradients(nanobind::dict gradients);
  float* dense(ByName& given, const Name& name, std::initializer_list<Axis> axes);

  RunArguments forward_;
  Gradient gradient_{};
};

// The run of a call, or the run that a gradient is of.
inline const Run& run_in(const Run& run) { return run; }
inline const Run& run_in(const Gradient& gradient) { return gradient.run; }

// What is to be done for a call without rows: nothing, or the gradients of the weights are zero.
inline void without_rows(const Run&) {}
void without_rows(const Gradient& gradient);

}  // namespace seqstate

// What is refused, and how Python hears of it.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "../kernels/api.h"

namespace seqstate {

// Becomes the Python error `seqstate.errors.<type>`, with the message in its usual parts.
class Refused final : public std::exception {
 public:
  Refused(const char* type, std::string where, std::string what, std::string todo)
      : type(type), where(std::move(where)), what_(std::move(what)), todo(std::move(todo)) {}
  const char* what() const noexcept override { return what_.c_str(); }

  const char* const type;
  const std::string where;

 private:
  std::string what_;

 public:
  const std::string todo;
};

[[noreturn]] void refuse_argument(const std::string& where, const std::string& what,
                                  const std::string& todo);
[[noreturn]] void refuse_input(const std::string& where, const std::string& what,
                               const std::string& todo);

// The build of this name, or without one that for this machine; an error if there is none.
const Kernels& chosen_build(const std::optional<std::string>& name);

// Makes Python errors of what this module throws.
void translate_errors();

}  // namespace seqstate

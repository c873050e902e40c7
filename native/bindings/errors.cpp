#include "errors.h"

#include <nanobind/nanobind.h>

#include <cstdlib>
#include <new>
#include <stdexcept>

namespace nb = nanobind;

namespace seqstate {

namespace {

std::string names_of_builds(bool only_here) {
  std::string out;
  for (const char* const* name = builds(); *name != nullptr; ++name) {
    if (only_here && !runs_here(*name)) continue;
    out += (out.empty() ? "\"" : ", \"") + std::string(*name) + "\"";
  }
  return out;
}

}  // namespace

void refuse_argument(const std::string& where, const std::string& what, const std::string& todo) {
  throw Refused("ArgumentError", where, what, todo);
}

void refuse_input(const std::string& where, const std::string& what, const std::string& todo) {
  throw Refused("InputError", where, what, todo);
}

const Kernels& chosen_build(const std::optional<std::string>& name) {
  const Kernels* found = name ? kernels(name->c_str()) : kernels();
  if (found != nullptr) return *found;
  const char* variable = std::getenv("SEQSTATE_ISA");
  const std::string wanted = name ? *name : variable != nullptr ? variable : "";
  bool exists = false;
  for (const char* const* build = builds(); *build != nullptr; ++build) {
    exists = exists || wanted == *build;
  }
  refuse_argument(name ? "build" : "SEQSTATE_ISA",
                  "\"" + wanted + "\" " +
                      (exists ? "can't run on this machine" : "is not a build of the kernels") +
                      "; there are " + names_of_builds(false),
                  "Use one that runs here: " + names_of_builds(true) + ".");
}

void translate_errors() {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Refused& e) {
      const nb::module_ errors = nb::module_::import_("seqstate.errors");
      const nb::object text = errors.attr("message")(e.where.c_str(), e.what(), e.todo.c_str());
      PyErr_SetObject(errors.attr(e.type).ptr(), text.ptr());
    } catch (const std::invalid_argument& e) {
      // The settings of the pool: their text is whole.
      const nb::module_ errors = nb::module_::import_("seqstate.errors");
      PyErr_SetString(errors.attr("ArgumentError").ptr(), e.what());
    }
  });
}

}  // namespace seqstate

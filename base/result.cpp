#include "base/result.hpp"

#include <system_error>

namespace procd {

std::string SysError::message() const {
    std::string text = operation;
    if (!subject.empty()) text += " " + subject;
    if (error != 0) text += ": " + std::generic_category().message(error);
    return text;
}

}  // namespace procd

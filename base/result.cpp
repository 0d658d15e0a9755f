#include "base/result.hpp"

#include <cerrno>
#include <system_error>

namespace procd {

std::string SysError::message() const {
    std::string text = operation;
    if (!subject.empty()) text += " " + subject;
    if (error != 0) text += ": " + std::generic_category().message(error);
    return text;
}

bool SysError::is_shortage() const {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == ENOSPC;
}

}  // namespace procd

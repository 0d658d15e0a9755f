#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "daemon/core/owner.hpp"
#include "daemon/core/process.hpp"
#include "daemon/core/saved.hpp"

// What the core knows, as JSON text, and back: one object a process, one an owner. The names in it are those
// of the structs; what is 0, false or empty is left out. Members that are not known are ignored, so that an
// older procd reads what a newer one wrote as far as it goes.
namespace procd::state {

std::string text_of(const core::Process& process);
std::string text_of(const core::Owner& owner);

// Why a record cannot be used: "process.life.phase: expected one of …".
struct Unreadable {
    std::string why;
};
std::variant<core::Process, Unreadable> process_from(std::string_view text);
std::variant<core::Owner, Unreadable> owner_from(std::string_view text);

}  // namespace procd::state

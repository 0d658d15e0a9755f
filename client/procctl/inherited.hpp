#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/procctl/failure.hpp"
#include "client/procctl/options.hpp"
#include "proto/messages.hpp"

// What a process that procctl starts takes over from procctl's own caller.
namespace procctl {

// The environment ("K=V" each) of the new process; none: procd gives its default one. Pure.
// Of the caller's, eight variables stay behind that speak of the caller itself and would mislead a child. A
// "K" among the changes takes the caller's value.
std::optional<std::vector<std::string>> environment_for(const std::vector<std::string>& own,
                                                        const std::vector<std::string>& changes, bool clean);

// The environment of procctl, without entries that are no "K=V".
std::vector<std::string> own_environment();
// $NAME, where it is set and not empty.
std::optional<std::string> variable(const char* name);
// Made absolute by the working directory, which may be gone.
Outcome<std::string> absolute_path(const std::optional<std::string>& path);
procd::proto::ResourceLimits own_limits();
procd::proto::Umask own_umask();

}  // namespace procctl

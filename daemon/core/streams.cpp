#include "daemon/core/streams.hpp"

#include "daemon/core/owner.hpp"

namespace procd::core {
namespace {

std::string place(const LaunchSpec& spec, std::size_t stream) {
    const StreamTarget& target = spec.stdio[stream];
    if (std::holds_alternative<ToStdout>(target)) return place(spec, 1);
    if (const auto& session = spec.streams_of[stream])
        return "the streams of session " + session_text(*session);
    if (const auto* file = std::get_if<ToFile>(&target)) return "the file " + file->path;
    if (std::holds_alternative<ToDescriptor>(target)) return "a descriptor of its starter's";
    if (std::holds_alternative<ToOwners>(target)) return "the streams of its owning process";
    if (std::holds_alternative<ToNull>(target)) return "/dev/null";
    if (spec.log.via == LogVia::journal) return "the journal";
    return std::holds_alternative<ToOwnLog>(target) ? "a log of its own" : "its log";
}

}  // namespace

std::string output_text(const LaunchSpec& spec) {
    const std::string out = place(spec, 1), err = place(spec, 2);
    if (out == err) return "stdout and stderr go to " + out;
    return "stdout goes to " + out + ", stderr to " + err;
}

}  // namespace procd::core

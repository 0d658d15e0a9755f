#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "proto/messages.hpp"

// How processes are shown to people. Pure: text in, text out; everything that comes from elsewhere is
// escaped.
namespace procctl {

// `procd`, `session s7`, `bash[4100]`, `process 3`, `connection`; with ` (was session s7)` where it was
// handed over.
std::string owner_text(const procd::proto::OwnerObject& owner);
// `0.4s`, `12s`, `3m05s`, `4h12m`, `9d03h`.
std::string duration_text(double seconds);
// `exited 1`, `killed by SIGTERM, wanted by its owner`, …
std::string result_text(const procd::proto::ResultObject& result);

// `foo: pid 4242; daemon of procd: ends when procd stops`
std::string launched_text(const procd::proto::ProcessObject& process);
// `12 (foo), pid 4242: sleep 100`
std::string mention(const procd::proto::ProcessObject& process);

// `key: value` lines.
std::string details(const procd::proto::ProcessObject& process);

struct TableStyle {
    bool colour = false;
    std::optional<std::size_t> columns;  // of the terminal; none: whole lines
};
std::string table(const std::vector<procd::proto::ProcessObject>& processes, const TableStyle& style);

// Leaves those that have not ended, and of the others the newest `kept`. Returns how many are left out.
std::size_t keep_newest_ended(std::vector<procd::proto::ProcessObject>& processes, std::size_t kept);

std::string event_line(const procd::proto::EventParams& event);

}  // namespace procctl

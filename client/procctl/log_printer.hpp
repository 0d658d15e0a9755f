#pragma once

#include <cstdint>
#include <string_view>

#include "client/procctl/context.hpp"

namespace procctl {

// A log on stdout, as it comes: its bytes as they are, or with --json an object for each part. What happened
// to it is said on stderr.
class LogPrinter {
  public:
    explicit LogPrinter(Context& context) : context_(context) {}

    // False: stdout takes no more.
    bool print(std::string_view text, std::uint64_t dropped, bool truncated);
    // The end of it. Returns the status.
    int finish(int status, const std::vector<std::string>& remarks);

  private:
    Context& context_;
    std::uint64_t dropped_ = 0;
    bool within_line_ = false;
};

// Whether whoever read stdout has gone: a poll of it said so.
bool reader_gone(short events);

}  // namespace procctl

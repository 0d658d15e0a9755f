#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

#include "base/log_files.hpp"
#include "base/result.hpp"

namespace procd::sys {

// One log being read, on a thread of its own: a file may be where reading takes long or for ever (a dead
// NFS), and that must hold nobody else. Whoever reads takes a chunk when there is room for it: there is never
// more than one under way.
class LogStream {
  public:
    struct Plan {
        std::string path;
        std::optional<uid_t> owner;  // whose it must be
        std::optional<std::uint64_t> lines;
        bool follow = false;
        bool locate = false;  // only find out which file it is
        // Chunk::next of an earlier stream, instead of `lines`.
        std::optional<LogFiles::Place> from = std::nullopt;
    };
    struct Chunk {
        std::string bytes;
        std::uint64_t dropped = 0;
        bool truncated = false;
        LogFiles::Place next;  // behind it
    };
    struct End {
        std::optional<SysError> error;
        bool interrupted = false, removed = false;
        dev_t device = 0;
        ino_t inode = 0;
    };
    // Called on the thread, under a lock that the destructor takes: must not wait for anything. on_end: once,
    // the last; again after a moment where it throws.
    struct Handlers {
        std::function<void(Chunk)> on_chunk;
        std::function<void(End)> on_end;
    };

    // Null: no thread or no descriptor is to be had.
    // kept: let go when the thread has ended, which may be long after this.
    static std::unique_ptr<LogStream> start(Plan plan, Handlers handlers,
                                            std::shared_ptr<const void> kept = nullptr);
    // No handler is called any more. The thread and what it holds go as soon as it is out of its system call.
    ~LogStream();
    LogStream(const LogStream&) = delete;
    LogStream& operator=(const LogStream&) = delete;

    // The chunk was taken: the next one may come.
    void take_more();
    // Nobody writes any more: what is there now is all.
    void complete();

  private:
    struct State;
    explicit LogStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
};

}  // namespace procd::sys

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <asio/io_context.hpp>

#include "daemon/core/supervisor.hpp"
#include "daemon/loop/alarm.hpp"
#include "daemon/loop/readiness.hpp"
#include "daemon/state/journal_text.hpp"
#include "daemon/sys/state_file.hpp"

namespace procd::loop {

// Everything that the core knows, written down as it changes, so that a procd that starts after this one was
// killed goes on with it. Where it cannot be written (a full disk), procd works all the same: that is said
// once, and tried until it works.
class Journal {
  public:
    // path: of the file; empty: nothing is written down.
    Journal(asio::io_context& io, std::string path);
    ~Journal();

    // Once, with everything there is by now.
    void begin(core::Supervisor& core, state::Header header);
    // What has changed, before anybody acts on it or is told of it.
    void write();

  private:
    Result<void> write_all();
    void take(sys::StateFile file);
    void compact_later();
    void watch_place();
    std::string changes_text(const core::Changes& changes) const;
    void failed(const SysError& error);
    void note_unwritten();
    void try_again();
    void compact();
    void compacted(Result<sys::StateFile> made, std::uint64_t end, std::uint64_t of);

    asio::io_context& io_;
    const std::string path_;
    core::Supervisor* core_ = nullptr;  // from begin() on
    state::Header header_;
    std::optional<sys::StateFile> file_;
    std::uint64_t files_ = 0;       // how many there were
    std::uint64_t compact_at_ = 0;  // the size from which on it is worth it
    bool behind_ = false;           // what has changed lately is not written down
    core::Changes unwritten_;
    std::unique_ptr<Readiness> place_;  // tells when the file is removed
    Alarm again_;
    std::thread compacting_;
    bool compacts_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace procd::loop

#include "daemon/loop/journal.hpp"

#include <chrono>
#include <utility>

#include "daemon/loop/guard.hpp"
#include "daemon/loop/log.hpp"

namespace procd::loop {
namespace {

constexpr auto k_again = std::chrono::seconds(1);
constexpr std::uint64_t k_slack = std::uint64_t{1} << 20;  // bytes of old lines that are never worth the work

void merge(core::Changes& into, core::Changes&& from) {
    into.processes.merge(from.processes);
    into.owners.merge(from.owners);
    into.numbers = into.numbers || from.numbers;
}

}  // namespace

Journal::Journal(asio::io_context& io, std::string path) : io_(io), path_(std::move(path)), again_(io) {}

Journal::~Journal() {
    *alive_ = false;
    if (compacting_.joinable()) compacting_.join();
}

void Journal::begin(core::Supervisor& core, state::Header header) {
    core_ = &core;
    header_ = std::move(header);
    if (path_.empty()) return;
    if (const auto written = write_all(); !written) failed(written.error());
}

void Journal::write() {
    if (!core_ || !core_->has_changes()) return;
    core::Changes changes = core_->take_changes();
    if (path_.empty()) return;
    if (behind_) {
        merge(unwritten_, std::move(changes));
        return note_unwritten();
    }
    if (const auto written = file_->append(changes_text(changes)); !written) {
        merge(unwritten_, std::move(changes));
        return failed(written.error());
    }
    if (file_->size() > compact_at_) compact();
}

// One that somebody has removed would be of use to nobody.
void Journal::watch_place() {
    place_.reset();
    UniqueFd watch = file_->watch();
    if (!watch) return;
    place_ = std::make_unique<Readiness>(io_, std::move(watch));
    place_->on_readable([this] {
        if (!behind_ && !file_->in_place()) {
            log_warning("the journal " + path_ + " was removed: it is written again");
            if (const auto written = write_all(); !written) return failed(written.error());
        }
        watch_place();
    });
}

void Journal::take(sys::StateFile file) {
    file_ = std::move(file);
    watch_place();
    compact_later();
}

void Journal::compact_later() {
    compact_at_ = file_->size() * 2 + k_slack;
}

Result<void> Journal::write_all() {
    auto file = sys::StateFile::begin(path_, ".new");
    if (!file) return file.error();
    std::string text =
        state::header_line(header_) + state::numbers_line(core_->next_id(), core_->next_session());
    for (const auto& [key, owner] : core_->owners())
        if (owner.constructions > 0) text += state::owner_line(owner);
    for (const auto& [id, process] : core_->processes()) text += state::process_line(process);
    if (auto written = file->append(text); !written) return written;
    if (auto committed = file->commit(); !committed) return committed;
    ++files_;
    take(std::move(*file));
    (void)core_->take_changes();
    unwritten_ = {};
    return {};
}

std::string Journal::changes_text(const core::Changes& changes) const {
    std::string text;
    if (changes.numbers) text += state::numbers_line(core_->next_id(), core_->next_session());
    for (const core::OwnerKey& key : changes.owners) {
        const core::Owner* owner = core_->find_owner(key);
        text += owner ? state::owner_line(*owner) : state::forgotten(state::key_of(key));
    }
    for (const core::ProcessId id : changes.processes) {
        const core::Process* process = core_->find(id);
        text += process ? state::process_line(*process) : state::forgotten(state::key_of(id));
    }
    return text;
}

// ---- where it cannot be written --------------------------------------------------------------------------

void Journal::failed(const SysError& error) {
    if (!std::exchange(behind_, true))
        log_warning(
            "the journal cannot be written (" + error.message() +
            "): should procd be killed now, the next one would not know of what has happened since; it is "
            "tried until it works");
    note_unwritten();
    again_.set(std::chrono::steady_clock::now() + k_again, [this] { try_again(); });
}

// No number is given out twice, written down or not.
void Journal::note_unwritten() {
    if (!file_) return;
    const core::ProcessId id = core_->next_id() - 1;
    const core::SessionId session = core_->next_session() - 1;
    if (id == header_.unwritten && session == header_.unwritten_session) return;
    header_.unwritten = id;
    header_.unwritten_session = session;
    (void)file_->overwrite(state::header_line(header_));
}

void Journal::try_again() {
    Result<void> written;
    if (file_ && file_->in_place()) {
        written = file_->append(changes_text(unwritten_));
        if (written) unwritten_ = {};
    } else {
        written = write_all();
    }
    if (!written) return failed(written.error());
    behind_ = false;
    log_info("the journal is written again");
}

// ---- old lines -------------------------------------------------------------------------------------------

// On a thread of its own: many records take their time. What is written meanwhile is added behind.
void Journal::compact() {
    if (compacts_) return;
    auto old = file_->duplicate();
    if (!old) return;
    if (compacting_.joinable()) compacting_.join();
    compacts_ = true;
    const auto source = std::make_shared<sys::StateFile>(std::move(*old));
    compacting_ = std::thread([this, alive = alive_, source, path = path_, of = files_] {
        const std::uint64_t end = source->size();
        auto made = std::make_shared<Result<sys::StateFile>>(SysError{"compact", path, ENOMEM});
        guarded([&] {
            auto text = source->read(0, end);
            auto file = text ? sys::StateFile::begin(path, ".compact") : Result<sys::StateFile>(text.error());
            if (file) {
                auto written = file->append(state::compacted(*text));
                if (!written) file = written.error();
            }
            *made = std::move(file);
        });
        guarded([&] {
            later(io_, [this, alive, made, end, of] {
                if (*alive) compacted(std::move(*made), end, of);
            });
        });
    });
}

void Journal::compacted(Result<sys::StateFile> made, std::uint64_t end, std::uint64_t of) {
    compacts_ = false;
    if (of != files_) return;  // written anew meanwhile
    const auto finish = [&]() -> Result<void> {
        if (!made) return made.error();
        auto newer = file_->read(end, file_->size());
        if (!newer) return newer.error();
        if (auto written = made->append(*newer); !written) return written;
        // The header may have been written over meanwhile.
        if (auto written = made->overwrite(state::header_line(header_)); !written) return written;
        return made->commit();
    };
    // The old one is as good; it is tried again when it has grown once more.
    if (!finish()) return compact_later();
    take(std::move(*made));
}

}  // namespace procd::loop

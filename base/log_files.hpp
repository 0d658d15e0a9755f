#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/log_index.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd {

// For people, about a log that was read.
constexpr const char* k_log_interrupted =
    "procd was ended while it cut this log: some of it may be missing, or be there twice";
constexpr const char* k_log_removed = "the log was removed, or is another file by now";

// The files of one log, open for reading: they and their index are taken together under the index's sequence
// lock, so that what is read is right while procd cuts the log. Every place is an offset in the stream.
//
// Nothing that is found by name is trusted: no symbolic link is followed in the last part of a path, what is
// no regular file is refused, and so is another user's where `owner` says whose it must be.
class LogFiles {
  public:
    // Errors: ENOENT and EACCES as open(2) has them, ELOOP for a symbolic link, EINVAL for what is no regular
    // file, EPERM where it is another user's.
    // given_up: whether nobody wants to know any more, asked wherever much is read or waited for; what was
    // asked for then fails (ECANCELED).
    static Result<LogFiles> open(const std::string& path, std::optional<uid_t> owner = std::nullopt,
                                 std::function<bool()> given_up = nullptr);

    // What is kept of the stream.
    struct Extent {
        std::uint64_t first = 0, end = 0;
    };
    Result<Extent> extent();

    struct Bytes {
        std::uint64_t begin = 0;  // of the first one
        std::size_t size = 0;
    };
    // Bytes from `offset` on, not always as many as there are. They begin later where those at `offset` are
    // gone. Size 0: no more for now. Means nothing where the log was truncated since `offset` was one.
    Result<Bytes> read(std::uint64_t offset, std::span<char> buffer);

    // How often its writer was seen to truncate it, here or by procd: once each, whoever is the first. Then
    // no offset of before leads anywhere, and what is written since begins at `origin`.
    std::uint64_t truncations() const { return truncations_; }
    std::uint64_t origin() const { return index_.origin + shift_; }
    // A byte of the stream as another reader of the log finds it. One of another generation is gone.
    struct Place {
        std::uint64_t generation = 0, offset = 0;
    };
    Place place_of(std::uint64_t offset) const {
        return {said_.generation + (ahead_ ? 1 : 0), offset - std::min(offset, shift_)};
    }
    int fd() const { return file_.get(); }
    const std::string& path() const { return path_; }
    dev_t device() const { return device_; }
    ino_t inode() const { return inode_; }
    // Whether its path still leads to this file.
    bool in_place() const;
    // procd was ended while it cut this log, and the cut was never finished: some bytes may be missing, or be
    // there twice.
    bool interrupted() const { return interrupted_; }

  private:
    // A cut takes milliseconds. One that is not finished by then, and whose index nobody holds, was given up
    // by a procd that has died.
    static constexpr auto k_patience = std::chrono::seconds(1);
    // An index that does not come to rest for so long is not procd's work.
    static constexpr auto k_most_patience = std::chrono::seconds(30);
    static constexpr auto k_pause = std::chrono::milliseconds(1);
    static constexpr std::size_t k_most_pieces = 100;

    struct Piece {
        std::size_t number;
        std::uint64_t begin, end;
    };

    LogFiles(std::string path, std::optional<uid_t> owner, std::function<bool()> given_up)
        : path_(std::move(path)), owner_(owner), given_up_(std::move(given_up)) {}
    Result<UniqueFd> open_file(const std::string& name) const;
    Result<std::optional<LogIndex>> look_at_index();
    Result<LogIndex> index_at_rest();
    bool given_up() const { return given_up_ && given_up_(); }
    SysError canceled() const;
    bool lay_out_pieces();
    Result<Bytes> read_piece(std::uint64_t offset, std::span<char> buffer);
    Result<Bytes> read_file(std::uint64_t offset, std::span<char> buffer);
    Result<std::uint64_t> size() const;
    void take(const LogIndex& index);
    Result<bool> still_says(const LogIndex& index);
    void take_for_truncated(std::uint64_t size);
    // look(end of the stream) with the files as the index says, again until nothing was changed meanwhile.
    // reached: the stream has had so much at least, if it was not truncated.
    template <class Value, class Look>
    Result<Value> settled(std::optional<std::uint64_t> reached, Look look);

    std::string path_, name_;  // name_: the last part of it
    std::optional<uid_t> owner_;
    std::function<bool()> given_up_;
    UniqueFd directory_, file_, index_file_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    LogIndex said_;  // by procd
    LogIndex
        index_;  // the one that the following go by: that, or what was seen here before procd has said it
    bool ahead_ = false;     // the latter: the log was truncated since
    std::uint64_t end_ = 0;  // of the stream, as it was seen
    std::uint64_t truncations_ = 0;
    std::uint64_t shift_ = 0;    // of an offset here to that of the index, which begins anew some time later
    std::vector<Piece> pieces_;  // the newest first
    bool laid_out_ = false;
    UniqueFd piece_file_;
    std::size_t piece_open_ = 0;                // its number; 0: none
    std::optional<std::uint64_t> not_awaited_;  // the sequence of a cut that is known to be interrupted
    bool interrupted_ = false;
};

}  // namespace procd

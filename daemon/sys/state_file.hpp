#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// A file that is replaced as a whole and then written at its end, 0600. What has been written is there for
// whoever reads it next, however this process ends; a machine that loses power may lose the last of it.
class StateFile {
  public:
    // Begins "<path><suffix>"; what an earlier one left of that name is removed. At any time one of a name.
    static Result<StateFile> begin(std::string path, const std::string& suffix);

    // All or nothing: of what a full disk took a part only, nothing stays.
    Result<void> append(std::string_view text);
    // Over the beginning, which must be as long at least. A full disk has room for that.
    Result<void> overwrite(std::string_view text);
    // Puts it in the place of the one before.
    Result<void> commit();

    std::uint64_t size() const { return size_; }
    // Whether the path leads to it still.
    bool in_place() const;
    // Readable when it was removed, or something else of it changed than what is in it. Empty: not possible.
    UniqueFd watch() const;
    // From a place on to another, exclusive.
    Result<std::string> read(std::uint64_t from, std::uint64_t to) const;
    // The same file for another thread to read.
    Result<StateFile> duplicate() const;

  private:
    StateFile(std::string path, std::string begun, UniqueFd fd)
        : path_(std::move(path)), begun_(std::move(begun)), fd_(std::move(fd)) {}

    std::string path_;
    std::string begun_;  // its name until it is in place
    UniqueFd fd_;
    std::uint64_t size_ = 0;
};

// The whole text; none: there is no such file. What is not this user's own regular file, or others may write
// to, is refused (EPERM): its words would be believed.
Result<std::optional<std::string>> read_state_file(const std::string& path);
Result<void> rename_file(const std::string& from, const std::string& to);

}  // namespace procd::sys

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// A log, as procd made it.
struct LogFile {
    UniqueFd fd;  // O_WRONLY|O_APPEND
    std::string path;
    uid_t uid = 0;
    gid_t gid = 0;
};

// Which log of a process.
enum class LogKind {
    output,  // "<id>-<escaped name>.log"
    errors,  // of stderr alone: "<id>-<escaped name>.err.log"
};

// A folder in which a log's name was looked up, and the name. Whoever owns the folder may have put anything
// there: the name is never followed as a link, and what it leads to is not believed to be ours.
struct LogPlace {
    UniqueFd folder;  // O_PATH
    std::string name;
};

// The directory of all logs. In root's, each user has a folder of their own, named by the uid, theirs and
// 0700; in anybody else's the logs themselves are. Names of logs end in ".log", and nothing else there does.
class LogDirectory {
  public:
    // Makes it where it is missing: root's is 0711, so that users reach their own folder, else 0700.
    static Result<LogDirectory> open(const std::string& path);

    const std::string& path() const { return path_; }
    // A new file of the user's, 0600. Where one of that name is, or is half left over, it is
    // "<id>-<escaped name>.<n>.log".
    Result<LogFile> create(std::int64_t id, const std::string& name, LogKind kind, uid_t uid,
                           gid_t gid) const;
    // One that was made before, of that user's.
    Result<LogFile> reopen(const std::string& path, uid_t uid) const;
    // The path that create() would have chosen first, if something is there.
    std::optional<std::string> find_first(std::int64_t id, const std::string& name, LogKind kind,
                                          uid_t uid) const;
    // Where the log of this path is by now. ENOENT also for what is not below this directory.
    Result<LogPlace> find(const std::string& path) const;
    // Removes a log with its pieces and its index: the names only, whatever they lead to by now.
    void remove(const std::string& path) const;

  private:
    LogDirectory(std::string path, UniqueFd fd, bool per_user)
        : path_(std::move(path)), fd_(std::move(fd)), per_user_(per_user) {}

    Result<void> make_again() const;
    // The user's folder, or all of it where somebody tidied it away.
    Result<void> make_missing(const std::string& folder, uid_t uid, gid_t gid) const;
    bool is_taken(const std::string& name) const;
    // Below the directory. number: of the try; 0: the first.
    std::string name_of(std::int64_t id, const std::string& name, LogKind kind, uid_t uid, int number) const;

    std::string path_;
    UniqueFd fd_;
    bool per_user_;
};

// A file is named in a folder of somebody else's: this keeps every name in it, and links out of it.
// flags: of openat(2); O_CLOEXEC and O_NOFOLLOW are added.
UniqueFd open_beneath(int folder, const std::string& name, int flags, mode_t mode = 0);

}  // namespace procd::sys

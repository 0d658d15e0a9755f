#include "client/procctl/inherited.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits.h>
#include <string_view>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace procctl {
namespace {

namespace proto = procd::proto;

constexpr std::array<std::string_view, 8> k_not_inherited{"NOTIFY_SOCKET",  "LISTEN_PID",   "LISTEN_FDS",
                                                          "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC",
                                                          "FDSTORE",        "PROCD_SESSION"};
constexpr std::array<std::string_view, 4> k_of_the_user{"HOME", "USER", "LOGNAME", "SHELL"};
constexpr const char* k_default_path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct LimitNumber {
    std::string_view name;
    int number;
};
constexpr std::array<LimitNumber, 16> k_limits{{{"as", RLIMIT_AS},
                                                {"core", RLIMIT_CORE},
                                                {"cpu", RLIMIT_CPU},
                                                {"data", RLIMIT_DATA},
                                                {"fsize", RLIMIT_FSIZE},
                                                {"locks", RLIMIT_LOCKS},
                                                {"memlock", RLIMIT_MEMLOCK},
                                                {"msgqueue", RLIMIT_MSGQUEUE},
                                                {"nice", RLIMIT_NICE},
                                                {"nofile", RLIMIT_NOFILE},
                                                {"nproc", RLIMIT_NPROC},
                                                {"rss", RLIMIT_RSS},
                                                {"rtprio", RLIMIT_RTPRIO},
                                                {"rttime", RLIMIT_RTTIME},
                                                {"sigpending", RLIMIT_SIGPENDING},
                                                {"stack", RLIMIT_STACK}}};

constexpr bool limits_follow_protocol() {
    for (std::size_t i = 0; i < k_limits.size(); ++i)
        if (k_limits[i].name != proto::ResourceLimits::k_names[i]) return false;
    return true;
}
static_assert(limits_follow_protocol(), "the table names the protocol's limits");
static_assert(proto::ResourceLimits::k_unlimited == RLIM_INFINITY);

std::string_view name_of(std::string_view entry) {
    return entry.substr(0, entry.find('='));
}

const std::string* find_entry(const std::vector<std::string>& entries, std::string_view name) {
    for (const std::string& entry : entries)
        if (name_of(entry) == name) return &entry;
    return nullptr;
}

}  // namespace

std::optional<std::vector<std::string>> environment_for(const std::vector<std::string>& own,
                                                        const std::vector<std::string>& changes, bool clean) {
    if (clean && changes.empty()) return std::nullopt;
    std::vector<std::string> entries;
    if (clean) {
        entries.emplace_back(k_default_path);
        for (const std::string_view name : k_of_the_user)
            if (const std::string* entry = find_entry(own, name)) entries.push_back(*entry);
    } else {
        std::copy_if(own.begin(), own.end(), std::back_inserter(entries), [](const std::string& entry) {
            return std::find(k_not_inherited.begin(), k_not_inherited.end(), name_of(entry)) ==
                   k_not_inherited.end();
        });
    }
    for (const std::string& change : changes) {
        const std::string_view name = name_of(change);
        std::erase_if(entries, [&](const std::string& entry) { return name_of(entry) == name; });
        if (change.find('=') != std::string::npos)
            entries.push_back(change);
        else if (const std::string* entry = find_entry(own, name))
            entries.push_back(*entry);
    }
    return entries;
}

std::vector<std::string> own_environment() {
    std::vector<std::string> entries;
    for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
        const char* const equals = std::strchr(*each, '=');
        if (equals != nullptr && equals != *each) entries.emplace_back(*each);
    }
    return entries;
}

std::optional<std::string> variable(const char* name) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
}

Outcome<std::string> absolute_path(const std::optional<std::string>& path) {
    if (path && path->starts_with('/')) return *path;
    std::array<char, PATH_MAX> directory{};
    const char* const cwd = ::getcwd(directory.data(), directory.size());
    // A directory outside of our root is shown as "(unreachable)/…".
    if (cwd == nullptr || *cwd != '/') {
        const std::string why = cwd == nullptr ? std::strerror(errno) : "out of reach";
        return Failure::usage("the working directory is gone (" + why + "); name an absolute one with --cwd");
    }
    if (!path || path->empty()) return std::string(cwd);
    return std::string(cwd) + (std::strcmp(cwd, "/") == 0 ? "" : "/") + *path;
}

proto::ResourceLimits own_limits() {
    proto::ResourceLimits limits;
    for (const LimitNumber& each : k_limits) {
        rlimit limit{};
        if (::getrlimit(static_cast<__rlimit_resource_t>(each.number), &limit) == 0)
            limits.limits.push_back({std::string(each.name), limit.rlim_cur, limit.rlim_max});
    }
    return limits;
}

proto::Umask own_umask() {
    const mode_t mask = ::umask(0);  // there is no way to read it without setting it
    ::umask(mask);
    return proto::Umask{mask & 0777U};
}

}  // namespace procctl

#include "daemon/sys/limits.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <sys/resource.h>

#include "daemon/sys/procfs.hpp"

namespace procd::sys {
namespace {

constexpr std::array k_names = {
    LimitName{"as", RLIMIT_AS},
    LimitName{"core", RLIMIT_CORE},
    LimitName{"cpu", RLIMIT_CPU},
    LimitName{"data", RLIMIT_DATA},
    LimitName{"fsize", RLIMIT_FSIZE},
    LimitName{"locks", RLIMIT_LOCKS},
    LimitName{"memlock", RLIMIT_MEMLOCK},
    LimitName{"msgqueue", RLIMIT_MSGQUEUE},
    LimitName{"nice", RLIMIT_NICE},
    LimitName{"nofile", RLIMIT_NOFILE},
    LimitName{"nproc", RLIMIT_NPROC},
    LimitName{"rss", RLIMIT_RSS},
    LimitName{"rtprio", RLIMIT_RTPRIO},
    LimitName{"rttime", RLIMIT_RTTIME},
    LimitName{"sigpending", RLIMIT_SIGPENDING},
    LimitName{"stack", RLIMIT_STACK},
};

struct Title {
    std::string_view text;
    int resource;
};
constexpr std::array k_titles = {
    Title{"Max cpu time", RLIMIT_CPU},
    Title{"Max file size", RLIMIT_FSIZE},
    Title{"Max data size", RLIMIT_DATA},
    Title{"Max stack size", RLIMIT_STACK},
    Title{"Max core file size", RLIMIT_CORE},
    Title{"Max resident set", RLIMIT_RSS},
    Title{"Max processes", RLIMIT_NPROC},
    Title{"Max open files", RLIMIT_NOFILE},
    Title{"Max locked memory", RLIMIT_MEMLOCK},
    Title{"Max address space", RLIMIT_AS},
    Title{"Max file locks", RLIMIT_LOCKS},
    Title{"Max pending signals", RLIMIT_SIGPENDING},
    Title{"Max msgqueue size", RLIMIT_MSGQUEUE},
    Title{"Max nice priority", RLIMIT_NICE},
    Title{"Max realtime priority", RLIMIT_RTPRIO},
    Title{"Max realtime timeout", RLIMIT_RTTIME},
};
static_assert(k_names.size() == RLIM_NLIMITS && k_titles.size() == RLIM_NLIMITS);

using ResourceKind = decltype(RLIMIT_NOFILE);

// Takes the next word; empty at the end.
std::string_view next_word(std::string_view& text) {
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) return {};
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    return word;
}

bool to_limit(std::string_view word, std::uint64_t& value) {
    if (word == "unlimited") {
        value = RLIM_INFINITY;
        return true;
    }
    return !word.empty() && std::from_chars(word.data(), word.data() + word.size(), value).ec == std::errc{};
}

}  // namespace

std::span<const LimitName> limit_names() {
    return k_names;
}

std::optional<int> resource_named(std::string_view name) {
    for (const LimitName& entry : k_names) {
        if (entry.name == name) return entry.resource;
    }
    return std::nullopt;
}

std::string_view name_of_resource(int resource) {
    for (const LimitName& entry : k_names) {
        if (entry.resource == resource) return entry.name;
    }
    return {};
}

Result<ResourceLimit> raise_nofile() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return SysError{"getrlimit", "nofile", errno};
    const ResourceLimit before{RLIMIT_NOFILE, limit.rlim_cur, limit.rlim_max};
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return SysError{"setrlimit", "nofile", errno};
    return before;
}

Result<std::vector<ResourceLimit>> limits_of(pid_t pid) {
    std::vector<ResourceLimit> limits;
    for (const LimitName& entry : k_names) {
        rlimit limit{};
        if (::prlimit(pid, static_cast<ResourceKind>(entry.resource), nullptr, &limit) != 0) break;
        limits.push_back({entry.resource, limit.rlim_cur, limit.rlim_max});
    }
    if (limits.size() == k_names.size()) return limits;
    const int error = errno;
    const auto text = read_kernel_file("/proc/" + std::to_string(pid) + "/limits");
    if (!text && text.error().is_shortage()) return text.error();
    if (!text) return SysError{"prlimit", std::to_string(pid), error};
    return parse_limits(*text);
}

std::vector<ResourceLimit> parse_limits(std::string_view text) {
    std::vector<ResourceLimit> limits;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        for (const Title& title : k_titles) {
            // "Max open files" would begin "Max open files per…" too: a blank must follow.
            if (line.size() <= title.text.size() || line.substr(0, title.text.size()) != title.text) continue;
            if (line[title.text.size()] != ' ') continue;
            std::string_view rest = line.substr(title.text.size());
            ResourceLimit limit{title.resource, 0, 0};
            if (to_limit(next_word(rest), limit.soft) && to_limit(next_word(rest), limit.hard))
                limits.push_back(limit);
        }
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return limits;
}

}  // namespace procd::sys

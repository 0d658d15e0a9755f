#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "proto/codec.hpp"

// The values that messages are made of. Each spells itself on the wire (codec.hpp: SelfCoded) and describes
// itself
// (`static OrderedJson schema()`, JSON Schema draft 7).
namespace procd::proto {

// argv, env and paths are bytes: a string where they are UTF-8, else {"base64": "…"}. A NUL is refused.
struct Bytes {
    std::string value;

    static Bytes from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
    bool operator==(const Bytes&) const = default;
};

// What a process wrote: a string where it is UTF-8 without a NUL, else {"base64": "…"}.
struct Data {
    std::string value;

    static Data from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
    bool operator==(const Data&) const = default;
};

// A duration: seconds, a number ≥ 0; 0 polls.
struct Seconds {
    double value = 0;

    static Seconds from_json(const Json& json, const Path& path);
    OrderedJson to_json() const { return value; }
    static OrderedJson schema();
    bool operator==(const Seconds&) const = default;
};

// An environment: {"K": "V", …} or ["K=V", …]; kept as "K=V". Sent as an object where every entry is UTF-8
// and no name is there twice, else as an array.
struct Environment {
    std::vector<std::string> entries;

    static Environment from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
    bool operator==(const Environment&) const = default;
};

// "022": octal digits, at most 777.
struct Umask {
    unsigned value = 022;

    static Umask from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
    bool operator==(const Umask&) const = default;
};

// A number of bytes, an integer ≥ 0.
struct ByteCount {
    std::uint64_t value = 0;

    static ByteCount from_json(const Json& json, const Path& path);
    OrderedJson to_json() const { return value; }
    static OrderedJson schema();
    bool operator==(const ByteCount&) const = default;
};

// How many old pieces of a log are kept: 0 to 100.
struct PieceCount {
    static constexpr unsigned k_most = 100;
    unsigned value = 0;

    static PieceCount from_json(const Json& json, const Path& path);
    OrderedJson to_json() const { return value; }
    static OrderedJson schema();
    bool operator==(const PieceCount&) const = default;
};

// {"nofile": [1024, 4096], "core": "unlimited", …}: name → [soft, hard], or one value for both. Names are
// those of setrlimit(2) in lower case, without RLIMIT_.
struct ResourceLimits {
    struct Limit {
        std::string name;
        std::uint64_t soft = 0, hard = 0;  // k_unlimited
        bool operator==(const Limit&) const = default;
    };
    static constexpr std::uint64_t k_unlimited = ~std::uint64_t{0};  // RLIM_INFINITY
    static constexpr std::array<std::string_view, 16> k_names{
        "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
        "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};
    std::vector<Limit> limits;

    static ResourceLimits from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
    bool operator==(const ResourceLimits&) const = default;
};

// 15, "TERM", "SIGTERM", "RTMIN+1"; sent as the number.
struct Signal {
    int number = 0;

    static Signal from_json(const Json& json, const Path& path);
    OrderedJson to_json() const { return number; }
    static OrderedJson schema();
    bool operator==(const Signal&) const = default;
};

// Where a standard stream goes: "null", "log", "stdout" (stderr only), "separate" (stderr only: a log of its
// own), {"fd": i}: the i-th descriptor that came with the request, {"file": path, "append"?: bool}: opened by
// the child, relative to its cwd, as its user.
struct StdioTarget {
    enum class Kind { null, log, as_stdout, separate, fd, file };
    Kind kind = Kind::null;
    std::size_t fd = 0;
    std::string path;
    bool append = false;

    static StdioTarget from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
    bool operator==(const StdioTarget&) const = default;
};

// Whose end decides a process's fate: "connection", "procd", "process" (the enclosing one), {"process": id},
// {"session": "s7"}, {"pid": N}, {"pidfd": i}.
struct OwnerRef {
    enum class Kind { connection, procd, enclosing, process, session, pid, pidfd };
    Kind kind = Kind::connection;
    std::int64_t number = 0;  // process id, pid, or index of the descriptor
    std::string session;

    static OwnerRef from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
    bool operator==(const OwnerRef&) const = default;
};

// Which process: an integer is an id; a string is a name, looked up among the caller's own processes first;
// {"name": "x", "owner": …} looks among that owner's alone.
struct Selector {
    std::optional<std::int64_t> id;
    std::string name;
    std::optional<OwnerRef> owner;

    static Selector from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
    bool operator==(const Selector&) const = default;
};

// "s7".
std::optional<std::int64_t> session_number(std::string_view text);
std::string session_text(std::int64_t number);

bool is_utf8(std::string_view text);

}  // namespace procd::proto

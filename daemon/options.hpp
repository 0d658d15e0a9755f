#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace procd {

struct Options {
    std::string socket;  // -s; empty: systemd's, else the default
    std::string runtime_dir;
    std::string log_dir;
    std::uint64_t log_max = std::uint64_t{16} << 20;  // bytes; 0: no limit
    unsigned log_keep = 1;
    std::string containment = "auto";
    std::string cgroup;             // where groups are made; empty: in procd's own
    double drain = 10, grace = 10;  // seconds
    std::string socket_mode;        // octal; empty: 0660 for root, else 0600
    std::string socket_group;       // empty: procd for root where that group is there
    int ready_fd = -1;
    bool allow_confined = false;
    bool journal = true;
    // For another program of procd's in this process, or about to be one.
    int check_state = -1;      // only say whether this program can go on from that state
    std::string resume_state;  // "STATE,LISTENER,LOCK": descriptors; -1: none
    std::size_t retain = 1000;
    std::size_t max_processes = 4096, max_connections = 1024, max_waits = 8192;
    std::size_t max_descriptors = 4096, max_record_bytes = std::size_t{64} << 20;
};

// The options, or the exit status (--help, --version: 0; a usage error, told on stderr: 2).
std::variant<Options, int> parse_options(int argc, char** argv);
// The words that the next program in this process is started with: all, but for what this one was passed.
std::vector<std::string> command_line(int argc, char** argv);

}  // namespace procd

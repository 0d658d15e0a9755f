#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <unordered_map>
#include <vector>

#include "daemon/sys/containment.hpp"
#include "daemon/sys/procfs.hpp"

namespace procd::sys {

// Living and still the same process (a zombie is not living).
bool is_alive(const ProcessKey& key);

// What a process's environment says of the tree it is of (PROCD_ID), where it names this instance
// (PROCD_SOCKET).
std::optional<TreeId> tagged_tree(pid_t pid, const std::string& socket_path);
// Whether that counts: an environment is what its user made it, so it speaks for that user's trees alone.
bool is_credible(pid_t pid, const TreeMain& main);

// The orphans that procd has adopted as their subreaper, and the tree that each came from. One small file is
// read a refresh; what costs more is done once a process.
class Adopted {
  public:
    // Whose a process is; called when it is first seen. Empty: nobody can tell.
    using Attribute = std::function<std::optional<TreeId>(const ProcessStat&)>;

    // except: children of procd that were not adopted but born to it.
    void refresh(const Attribute& attribute, const std::function<bool(pid_t)>& except);
    // The living ones of a tree.
    std::vector<ProcessKey> of(TreeId tree) const;
    // The living ones whose tree is unknown, or no longer among those that known() names.
    std::vector<ProcessKey> strays(const std::function<bool(TreeId)>& known) const;

  private:
    struct Entry {
        std::uint64_t start_time;
        std::optional<TreeId> tree;
        std::chrono::steady_clock::time_point first_seen;
        bool listed;
    };
    std::unordered_map<pid_t, Entry> entries_;
};

// The processes below these by parentage, that keep() wants; not themselves.
std::vector<ProcessKey> descendants_of(const std::vector<pid_t>& roots,
                                       const std::function<bool(pid_t)>& keep);

}  // namespace procd::sys

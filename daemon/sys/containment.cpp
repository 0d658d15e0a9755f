#include "daemon/sys/containment.hpp"

#include <cerrno>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/sys/cgroup_containment.hpp"
#include "daemon/sys/cgroupfs.hpp"
#include "daemon/sys/subreaper_containment.hpp"
#include "daemon/sys/user_scope.hpp"

namespace procd::sys {
namespace {

Result<std::unique_ptr<Containment>> make_cgroup_containment(const ContainmentConfig& config) {
    const auto base = config.cgroup.empty() ? find_own_group() : find_group(config.cgroup);
    if (!base) return base.error();
    return CgroupContainment::make(*base, config.socket_path, config.former_place);
}

}  // namespace

bool rearm_empty_watch(int watch) {
    char text[256];
    const ssize_t got = ::pread(watch, text, sizeof text, 0);
    // A group that was removed is empty.
    return got > 0 && std::string_view(text, static_cast<std::size_t>(got)).find("populated 1") !=
                          std::string_view::npos;
}

Result<std::unique_ptr<Containment>> make_containment(const std::string& kind,
                                                      const ContainmentConfig& config) {
    if (kind != "auto" && kind != "cgroup" && kind != "subreaper") {
        return SysError{"no such containment:", kind, EINVAL};
    }
    // Orphans come to procd, not to init: under both kinds, that is how what got away is found.
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return SysError{"prctl", "PR_SET_CHILD_SUBREAPER", errno};
    if (kind == "subreaper") return make_subreaper_containment(config, "");

    auto containment = make_cgroup_containment(config);
    // Where procd is it may not make groups; the user's systemd may have a place where it may.
    if (!containment && config.cgroup.empty() && ::geteuid() != 0 && enter_user_scope())
        containment = make_cgroup_containment(config);
    if (containment || kind == "cgroup") return containment;
    return make_subreaper_containment(config, containment.error().message());
}

}  // namespace procd::sys

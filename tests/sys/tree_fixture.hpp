#pragma once

#include <memory>
#include <signal.h>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/sys/containment.hpp"
#include "tests/sys/support.hpp"

namespace support {

// A containment and trees in it, as the loop would have them.
class Trees {
  public:
    explicit Trees(const std::string& kind) : kind_(kind) {
        socket_ = dir_.file("procd.sock");
        procd::sys::ContainmentConfig config{socket_, ""};
        if (kind == "cgroup") {
            group_ = std::make_unique<TempGroup>();
            if (group_->path().empty()) return;
            config.cgroup = group_->path();
        }
        auto made = procd::sys::make_containment(kind, config);
        if (!made) FAIL(made.error().message());
        containment_ = std::move(*made);
    }
    ~Trees() {
        if (!containment_) return;
        children_.clear();
        for (const auto id : ids_) containment_->kill_tree(id);
        CHECK(eventually([this] {
            containment_->kill_strays();
            reap_adopted();
            return containment_->strays().empty();
        }));
        for (const auto id : ids_) containment_->remove(id);
    }

    explicit operator bool() const { return containment_ != nullptr; }
    procd::sys::Containment* operator->() { return containment_.get(); }
    const std::string& base() const { return group_->path(); }
    const std::string& socket() const { return socket_; }

    // Starts a tree. Its stdout is a pipe that line() reads.
    Child& start_tree(procd::sys::TreeId id, const std::vector<std::string>& argv, bool tagged = true) {
        auto group = containment_->open_group(id, "tree");
        if (!group) FAIL(group.error().message());
        procd::sys::LaunchPlan plan = plan_for(argv);
        if (tagged) {
            plan.env.push_back("PROCD_ID=" + std::to_string(id));
            plan.env.push_back("PROCD_SOCKET=" + socket_);
        }
        plan.cgroup_fd = group->get();
        plan.stdio[1] = pipe_.write_end.get();
        children_.push_back(std::make_unique<Child>(start(plan)));
        Child& main = *children_.back();
        containment_->born(id, {main.pid(), main.pidfd(), main.start_time(), ::geteuid()});
        ids_.push_back(id);
        return main;
    }
    std::string line() { return read_line(pipe_.read_end.get()); }
    pid_t line_pid() { return std::stoi(line()); }

    // The main ends by SIGKILL and is reaped.
    void end_main(procd::sys::TreeId id, Child& main) {
        (void)procd::sys::send_signal(main.pidfd(), SIGKILL);
        main.wait();
        containment_->main_reaped(id);
    }
    // Reaps what was adopted until count_rest says so many.
    bool comes_to(procd::sys::TreeId id, std::size_t count) {
        return eventually([&] {
            reap_adopted_but_mains();
            return containment_->count_rest(id) == count;
        });
    }
    void reap_adopted_but_mains();

  private:
    std::string kind_;
    TempDir dir_;
    std::string socket_;
    std::unique_ptr<TempGroup> group_;
    std::unique_ptr<procd::sys::Containment> containment_;
    Pipe pipe_;
    std::vector<std::unique_ptr<Child>> children_;
    std::vector<procd::sys::TreeId> ids_;
};

}  // namespace support

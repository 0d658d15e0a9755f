#pragma once

#include <functional>
#include <map>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>
#include <variant>
#include <vector>

#include "base/unique_fd.hpp"
#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/spawn.hpp"

namespace support {

// A directory of the test's own, removed with what is in it.
class TempDir {
  public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

// A group of the test's own below the cgroup2 mount, removed with the groups in it. path() is empty where
// there is no mount or no right to it: such tests say so and pass.
class TempGroup {
  public:
    TempGroup();
    ~TempGroup();
    TempGroup(const TempGroup&) = delete;
    TempGroup& operator=(const TempGroup&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

// As long as it lives, this process gets no new descriptor (EMFILE).
class OutOfDescriptors {
  public:
    OutOfDescriptors();
    ~OutOfDescriptors();
    OutOfDescriptors(const OutOfDescriptors&) = delete;
    OutOfDescriptors& operator=(const OutOfDescriptors&) = delete;

  private:
    rlim_t before_;
};

struct Pipe {
    Pipe();
    procd::UniqueFd read_end;
    procd::UniqueFd write_end;
};

// A child that is killed and reaped at the end of the test, if it was not before.
class Child {
  public:
    explicit Child(procd::sys::Spawned spawned) : spawned_(std::move(spawned)) {}
    Child(Child&&) = default;
    Child& operator=(Child&&) = default;
    ~Child();
    pid_t pid() const { return spawned_.pid; }
    int pidfd() const { return spawned_.pidfd.get(); }
    std::uint64_t start_time() const { return spawned_.start_time; }
    procd::sys::Exit wait();

  private:
    procd::sys::Spawned spawned_;
};

std::string helper(const std::string& name);
procd::sys::LaunchPlan plan_for(std::vector<std::string> argv);
// Fails the test where it does not start.
Child start(const procd::sys::LaunchPlan& plan);
procd::sys::SpawnError failure_of(const procd::sys::LaunchPlan& plan);
// Starts it with a pipe as stdout, reads that to its end and waits. Adds its exit code to what it says where
// not 0.
std::string output_of(procd::sys::LaunchPlan plan);
// What helper_report says, by key; "env" holds all lines.
std::map<std::string, std::string> report_of(procd::sys::LaunchPlan plan);

std::string read_line(int fd);  // without its newline; fails the test when none comes in time
std::string read_all(int fd);
void write_file(const std::string& path, const std::string& text, mode_t mode = 0644);
// Until it holds, some seconds at most. Whether it holds.
bool eventually(const std::function<bool()>& condition);
bool is_running(pid_t pid);  // there, and no zombie
void reap_adopted();         // all ended children of this process
bool is_root();

}  // namespace support

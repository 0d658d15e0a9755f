#include "tests/sys/support.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/sys/cgroupfs.hpp"
#include "daemon/sys/procfs.hpp"

namespace support {

using namespace procd;
using namespace procd::sys;

namespace {

constexpr std::chrono::seconds k_deadline{20};

std::string cgroup_mount() {
    std::ifstream mountinfo("/proc/self/mountinfo");
    for (std::string line; std::getline(mountinfo, line);) {
        if (line.find(" - cgroup2 ") == std::string::npos) continue;
        std::istringstream words(line);
        std::string id, parent, device, root, point;
        words >> id >> parent >> device >> root >> point;
        return point;
    }
    return "";
}

}  // namespace

TempDir::TempDir() {
    char pattern[] = "/tmp/procd-sys-test-XXXXXX";
    REQUIRE(::mkdtemp(pattern) != nullptr);
    path_ = pattern;
    ::chmod(pattern, 0755);
}

TempDir::~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

TempGroup::TempGroup() {
    static std::atomic<int> count{0};
    const std::string mount = cgroup_mount();
    const std::string path =
        mount + "/procd-sys-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    if (!mount.empty() && ::mkdir(path.c_str(), 0755) == 0) path_ = path;
    if (path_.empty()) MESSAGE("no cgroup2 mount to write in: not tested");
}

TempGroup::~TempGroup() {
    if (path_.empty()) return;
    kill_group(path_, [](pid_t) {});
    CHECK(eventually([this] {
        reap_adopted();
        return remove_group(path_);
    }));
}

OutOfDescriptors::OutOfDescriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    before_ = limit.rlim_cur;
    limit.rlim_cur = 1;  // what is open stays open, and 0 is
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

OutOfDescriptors::~OutOfDescriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = before_;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

Pipe::Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
}

Child::~Child() {
    if (!spawned_.pidfd) return;
    (void)send_signal(spawned_.pidfd.get(), SIGKILL);
    siginfo_t info{};
    ::waitid(P_PIDFD, static_cast<id_t>(spawned_.pidfd.get()), &info, WEXITED);
}

Exit Child::wait() {
    std::optional<Exit> exit;
    pollfd poller{spawned_.pidfd.get(), POLLIN, 0};
    REQUIRE(::poll(&poller, 1, 20000) == 1);
    exit = reap(spawned_.pidfd.get());
    REQUIRE(exit.has_value());
    return *exit;
}

std::string helper(const std::string& name) {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path().string() + "/helper_" + name;
}

LaunchPlan plan_for(std::vector<std::string> argv) {
    LaunchPlan plan;
    plan.argv = std::move(argv);
    plan.env = {"PATH=/usr/bin:/bin"};
    return plan;
}

Child start(const LaunchPlan& plan) {
    LaunchProgress progress;
    auto outcome = spawn(plan, progress);
    if (const auto* error = std::get_if<SpawnError>(&outcome)) {
        FAIL("not started: ", to_text(error->stage), " errno ", error->error, " killed ", error->killed);
    }
    return Child(std::move(std::get<Spawned>(outcome)));
}

SpawnError failure_of(const LaunchPlan& plan) {
    LaunchProgress progress;
    auto outcome = spawn(plan, progress);
    if (auto* spawned = std::get_if<Spawned>(&outcome)) {
        const Child child(std::move(*spawned));
        FAIL("started, and was to fail");
    }
    return std::get<SpawnError>(outcome);
}

std::string output_of(LaunchPlan plan) {
    Pipe pipe;
    plan.stdio[1] = pipe.write_end.get();
    Child child = start(plan);
    pipe.write_end.reset();
    std::string output = read_all(pipe.read_end.get());
    const Exit exit = child.wait();
    if (exit.signaled || exit.code != 0) {
        output += "exit " + std::to_string(exit.signaled ? -exit.signal : exit.code);
    }
    return output;
}

std::map<std::string, std::string> report_of(LaunchPlan plan) {
    std::map<std::string, std::string> report;
    std::istringstream lines(output_of(std::move(plan)));
    for (std::string line; std::getline(lines, line);) {
        const std::size_t colon = line.find(':');
        const std::size_t value = line.find_first_not_of(" \t", colon + 1);
        const std::string text = value == std::string::npos ? "" : line.substr(value);
        std::string& entry = report[line.substr(0, colon)];
        entry += (entry.empty() ? "" : "\n") + text;
    }
    return report;
}

std::string read_line(int fd) {
    std::string line;
    for (;;) {
        pollfd poller{fd, POLLIN, 0};
        REQUIRE(::poll(&poller, 1, 20000) == 1);
        char byte;
        const ssize_t got = ::read(fd, &byte, 1);
        REQUIRE(got == 1);
        if (byte == '\n') return line;
        line += byte;
    }
}

std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    return text;
}

void write_file(const std::string& path, const std::string& text, mode_t mode) {
    {
        std::ofstream file(path);
        file << text;
        REQUIRE(file.good());
    }
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + k_deadline;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

bool is_running(pid_t pid) {
    const auto stat = read_stat(pid);
    return stat && !stat->is_dead();
}

void reap_adopted() {
    for (const pid_t pid : adopted_children()) ::waitpid(pid, nullptr, WNOHANG);
}

bool is_root() {
    if (::geteuid() == 0) return true;
    MESSAGE("not root: not tested");
    return false;
}

}  // namespace support

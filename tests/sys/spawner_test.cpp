#include "daemon/sys/spawner.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fcntl.h>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <signal.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/sys/procfs.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

// A program whose exec hangs for as long as this lives: the kernel makes who opens it wait for the lease's
// holder.
class HangingProgram {
  public:
    HangingProgram() {
        ::signal(SIGIO, SIG_IGN);
        std::filesystem::copy_file("/bin/true", path());
        ::chmod(path().c_str(), 0755);
        file_.reset(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(::fcntl(file_.get(), F_SETLEASE, F_WRLCK) == 0);
    }
    std::string path() const { return dir_.file("program"); }
    void let_go() { file_.reset(); }

  private:
    TempDir dir_;
    UniqueFd file_;
};

// What a Done was told, for another thread to wait for.
class Outcomes {
  public:
    Launch::Done done(const std::string& name) {
        return [this, name](Launch::Outcome outcome) {
            const std::lock_guard guard(lock_);
            order_.push_back(name);
            if (auto* spawned = std::get_if<Spawned>(&outcome)) {
                children_.emplace_back(std::move(*spawned));
                texts_[name] = "started";
            } else {
                const auto& error = std::get<SpawnError>(outcome);
                texts_[name] = std::string(to_text(error.stage)) + (error.killed ? " killed" : " failed");
            }
            change_.notify_all();
        };
    }
    std::string wait_for(const std::string& name) {
        std::unique_lock guard(lock_);
        change_.wait_for(guard, std::chrono::seconds(20), [&] { return texts_.count(name) != 0; });
        return texts_.count(name) != 0 ? texts_[name] : "nothing";
    }
    bool has(const std::string& name) {
        const std::lock_guard guard(lock_);
        return texts_.count(name) != 0;
    }
    std::vector<std::string> order() {
        const std::lock_guard guard(lock_);
        return order_;
    }

  private:
    std::mutex lock_;
    std::condition_variable change_;
    std::vector<std::string> order_;
    std::map<std::string, std::string> texts_;
    std::vector<Child> children_;
};

Launch::Prepare prepare(const std::string& program) {
    return [program]() -> std::variant<LaunchPlan, SpawnError> { return plan_for({program}); };
}

bool hangs(const Launch& launch) {
    return launch.pid() != 0 && launch.stage() == Stage::exec;
}

}  // namespace

TEST_CASE("a job is prepared and started on another thread, and told of once") {
    Outcomes outcomes;
    Spawner spawner;
    const auto good = spawner.submit(0, prepare("/bin/true"), outcomes.done("good"));
    CHECK(outcomes.wait_for("good") == "started");
    CHECK(good->pid() > 0);
    spawner.submit(0, prepare("/nowhere"), outcomes.done("bad"));
    CHECK(outcomes.wait_for("bad") == "exec failed");
    spawner.submit(
        0,
        [] {
            return SpawnError{Stage::prepare, EACCES};
        },
        outcomes.done("refused"));
    CHECK(outcomes.wait_for("refused") == "prepare failed");
    CHECK(good->abandon());  // too late: nothing happens
    CHECK(outcomes.order().size() == 3);
}

TEST_CASE("children that hang before their exec do not delay another user's") {
    HangingProgram program;
    Outcomes outcomes;
    Spawner spawner;
    std::vector<std::shared_ptr<Launch>> hanging;
    for (int i = 0; i < 10; ++i) {
        hanging.push_back(
            spawner.submit(1000, prepare(program.path()), outcomes.done("hanging" + std::to_string(i))));
    }
    const auto before = std::chrono::steady_clock::now();
    spawner.submit(1001, prepare("/bin/true"), outcomes.done("other"));
    CHECK(outcomes.wait_for("other") == "started");
    const auto took = std::chrono::steady_clock::now() - before;
    CHECK(took < std::chrono::seconds(2));
    CHECK_FALSE(outcomes.has("hanging0"));

    SUBCASE("they start when what held them lets go") {
        program.let_go();
        for (int i = 0; i < 10; ++i) CHECK(outcomes.wait_for("hanging" + std::to_string(i)) == "started");
    }
    SUBCASE("they can be abandoned") {
        for (const auto& launch : hanging) CHECK(eventually([&] { return hangs(*launch); }));
        for (const auto& launch : hanging) CHECK(launch->abandon());
        for (int i = 0; i < 10; ++i) CHECK(outcomes.wait_for("hanging" + std::to_string(i)) == "exec killed");
        for (const auto& launch : hanging) CHECK_FALSE(read_stat(launch->pid()));  // reaped
    }
    SUBCASE("the end of the spawner abandons them") {}
}

TEST_CASE("a child stopped before its exec can be abandoned") {
    HangingProgram program;
    Outcomes outcomes;
    Spawner spawner;
    const auto launch = spawner.submit(0, prepare(program.path()), outcomes.done("stopped"));
    REQUIRE(eventually([&] { return hangs(*launch); }));
    ::kill(launch->pid(), SIGSTOP);
    CHECK(eventually([&] {
        const auto stat = read_stat(launch->pid());
        return stat && stat->state == 'T';
    }));
    program.let_go();
    CHECK_FALSE(outcomes.has("stopped"));
    CHECK(launch->abandon());
    CHECK(outcomes.wait_for("stopped") == "exec killed");
}

TEST_CASE("a child ended by its user before its exec is reported as killed there") {
    HangingProgram program;
    Outcomes outcomes;
    Spawner spawner;
    const auto launch = spawner.submit(0, prepare(program.path()), outcomes.done("ended"));
    REQUIRE(eventually([&] { return hangs(*launch); }));
    ::kill(launch->pid(), SIGTERM);
    CHECK(outcomes.wait_for("ended") == "exec killed");
}

TEST_CASE("jobs of one user start in the order submitted") {
    // Started one at a time where one thread serves: here all wait behind a user's full allowance.
    HangingProgram program;
    Outcomes outcomes;
    std::vector<int> prepared;
    std::mutex lock;
    Spawner spawner;
    std::vector<std::shared_ptr<Launch>> hanging;
    for (int i = 0; i < 16; ++i) {
        hanging.push_back(
            spawner.submit(1000, prepare(program.path()), outcomes.done("hanging" + std::to_string(i))));
    }
    for (const auto& launch : hanging) REQUIRE(eventually([&] { return hangs(*launch); }));
    for (int i = 0; i < 20; ++i) {
        spawner.submit(
            1000,
            [&, i]() -> std::variant<LaunchPlan, SpawnError> {
                const std::lock_guard guard(lock);
                prepared.push_back(i);
                return plan_for({"/bin/true"});
            },
            outcomes.done("job" + std::to_string(i)));
    }
    {
        const std::lock_guard guard(lock);
        CHECK(prepared.empty());  // the allowance is used up
    }
    CHECK(hanging.front()->abandon());  // now exactly one thread serves this user
    for (int i = 0; i < 20; ++i) CHECK(outcomes.wait_for("job" + std::to_string(i)) == "started");
    CHECK(prepared.size() == 20);
    CHECK(std::is_sorted(prepared.begin(), prepared.end()));
}

TEST_CASE("a job abandoned while it waits is done at once, though no thread is free for it") {
    HangingProgram program;
    Outcomes outcomes;
    Spawner spawner;
    for (int i = 0; i < 16; ++i) {
        const auto launch =
            spawner.submit(1000, prepare(program.path()), outcomes.done("hanging" + std::to_string(i)));
        REQUIRE(eventually([&] { return hangs(*launch); }));
    }
    const auto waiting = spawner.submit(1000, prepare("/bin/true"), outcomes.done("waiting"));
    CHECK(waiting->abandon());
    CHECK(outcomes.wait_for("waiting") == "prepare killed");
    CHECK(waiting->abandon());
}

TEST_CASE("abandoning at any moment ends in exactly one outcome") {
    Outcomes outcomes;
    std::vector<std::shared_ptr<Launch>> launches;
    {
        Spawner spawner;
        for (int i = 0; i < 200; ++i) {
            launches.push_back(spawner.submit(static_cast<uid_t>(i % 7), prepare("/bin/true"),
                                              outcomes.done(std::to_string(i))));
            if (i % 3 == 0) launches[static_cast<std::size_t>(i / 2)]->abandon();
        }
        for (const auto& launch : launches) CHECK(eventually([&] { return launch->abandon(); }));
        for (int i = 0; i < 200; ++i) CHECK(outcomes.wait_for(std::to_string(i)) != "nothing");
    }
    CHECK(outcomes.order().size() == 200);
}

TEST_CASE("a thread stays while its children live, so that they keep their parent") {
    HangingProgram program;
    Outcomes outcomes;
    Pipe pipe;
    Spawner spawner;
    // Two hang, so that a third thread is made; its child asks to be told of its parent's death.
    spawner.submit(1000, prepare(program.path()), outcomes.done("hanging0"));
    spawner.submit(1000, prepare(program.path()), outcomes.done("hanging1"));
    spawner.submit(
        1001,
        [&pipe]() -> std::variant<LaunchPlan, SpawnError> {
            LaunchPlan plan = plan_for({"setpriv", "--pdeathsig", "TERM", helper("linger")});
            plan.stdio[1] = pipe.write_end.get();
            return plan;
        },
        outcomes.done("child"));
    REQUIRE(outcomes.wait_for("child") == "started");
    const pid_t pid = std::stoi(read_line(pipe.read_end.get()));
    program.let_go();
    CHECK(outcomes.wait_for("hanging0") == "started");
    CHECK(outcomes.wait_for("hanging1") == "started");
    // Longer than an idle thread is kept: the one condition that only time can show.
    CHECK_FALSE([pid] {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2600);
        return eventually([&] { return !is_running(pid) || std::chrono::steady_clock::now() > until; }) &&
               !is_running(pid);
    }());
}

TEST_CASE("no Done runs once the spawner is gone, however long one takes") {
    std::promise<void> entered, go;
    std::atomic<bool> left{false}, gone{false};
    auto spawner = std::make_unique<Spawner>(std::chrono::milliseconds(20));
    spawner->submit(
        ::geteuid(),
        [] {
            return SpawnError{Stage::prepare, EIO};
        },
        [&](Launch::Outcome) {
            entered.set_value();
            go.get_future().wait();
            left = true;
        });
    entered.get_future().wait();
    std::thread end([&] {
        spawner.reset();
        gone = true;
    });
    // Long after the farewell.
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    while (!gone && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    CHECK_FALSE(gone);
    go.set_value();
    end.join();
    CHECK(left);
}

TEST_CASE("what hangs beyond the farewell is told to nobody") {
    std::promise<void> entered, go, let_go;
    std::atomic<bool> told{false};
    auto spawner = std::make_unique<Spawner>(std::chrono::milliseconds(20));
    {
        // Let go by the thread, once it has done with the job.
        const std::shared_ptr<void> held(nullptr, [&](void*) { let_go.set_value(); });
        spawner->submit(
            ::geteuid(),
            [&, held] {
                entered.set_value();
                go.get_future().wait();
                return SpawnError{Stage::prepare, EIO};
            },
            [&](Launch::Outcome) { told = true; });
    }
    entered.get_future().wait();
    spawner.reset();
    go.set_value();
    let_go.get_future().wait();
    CHECK_FALSE(told);
}

#include <cerrno>
#include <csignal>
#include <map>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;

namespace {

// A little machine that does what the Supervisor decides, at times of its own, and clients that ask for
// anything. After each step everything that was told is held against what is true.
struct Machine {
    struct Child {
        bool launching = true;
        bool abandoned = false;
        bool alive = false;
        bool stubborn = false;  // ignores SIGTERM
        bool terminated = false;
        bool watched = false;
        std::size_t rest = 0;
    };
    struct Asked {
        std::vector<ProcessId> ids;
        WaitMode mode;
        ConnectionId connection;
    };

    explicit Machine(unsigned seed) : random(seed), bench(config()) {
        for (int i = 0; i < 4; ++i) connections.push_back(next_connection++);
    }

    static Config config() {
        Config config = Bench::default_config();
        config.retained = 5;
        return config;
    }
    std::size_t below(std::size_t bound) { return random() % bound; }
    bool chance(unsigned percent) { return random() % 100 < percent; }
    template <class Container>
    auto any(const Container& container) {
        return *std::next(container.begin(), static_cast<std::ptrdiff_t>(below(container.size())));
    }

    // ---- the machine ----
    void obey() {
        const Actions actions = std::move(bench.actions);
        bench.actions.clear();
        for (const Action& action : actions) std::visit([this](const auto& what) { obey(what); }, action);
    }
    Child& child(ProcessId id) {
        REQUIRE_MESSAGE(children.contains(id), "an action for " << id << ", which has no tree");
        return children[id];
    }
    void obey(const Launch& launch) {
        REQUIRE(launched.insert(launch.id).second);
        children[launch.id].stubborn = chance(30);
    }
    void obey(const AbandonLaunch& abandon) { child(abandon.id).abandoned = true; }
    void obey(const SendSignal& signal) {
        Child& one = child(signal.id);
        REQUIRE_FALSE(one.launching);
        if (signal.signal == SIGTERM) one.terminated = true;
    }
    void obey(const KillTree& kill) {
        Child& one = child(kill.id);
        one.rest = 0;
        if (one.alive) main_ends(kill.id, one, SIGKILL);
    }
    void obey(const CountTree& count) { child(count.id).watched = true; }
    void obey(const ReleaseTree& release) {
        REQUIRE_FALSE(child(release.id).alive);
        REQUIRE(child(release.id).rest == 0);
        children.erase(release.id);
    }
    void obey(const Forget& forget) { REQUIRE(forgotten.insert(forget.id).second); }
    void obey(const Leave&) {
        REQUIRE(children.empty());
        ++leaves;
    }
    void obey(const StopWatching& stop) { REQUIRE(stop.owner.kind == OwnerKind::pid); }
    void obey(const Report&) {}

    void main_ends(ProcessId id, Child& one, int signal) {
        one.alive = false;
        bench.tell(
            MainExited{id, signal ? Exit{How::signaled, 0, signal, false} : Exit{How::exited, 3, 0, false}});
    }
    // Something happens to one child.
    void child_moves(ProcessId id) {
        Child& one = children[id];
        if (one.launching) {
            one.launching = false;
            if (one.abandoned || chance(15)) {
                children.erase(id);
                bench.tell(LaunchFailed{id, {"exec", ENOENT, false}});
            } else {
                one.alive = true;
                one.rest = chance(30) ? 1 + below(3) : 0;
                bench.runs(id);
            }
        } else if (one.alive && one.terminated && !one.stubborn) {
            main_ends(id, one, SIGTERM);
        } else if (one.alive && chance(10)) {
            main_ends(id, one, 0);
        } else if (one.rest > 0 && (chance(20) || (one.terminated && !one.stubborn))) {
            --one.rest;
        } else if (one.watched) {
            one.watched = one.rest > 0;
            bench.tell(TreeCounted{id, one.rest});
        }
        obey();
    }

    // ---- the clients ----
    Caller caller() {
        Caller who = client(any(connections));
        const auto& held = bench.core.sessions_held_by(who.connection);
        who.sessions.assign(held.begin(), held.end());
        if (!bench.core.processes().empty() && chance(30)) who.enclosing = any(bench.core.processes()).first;
        return who;
    }
    OwnerKey owner(const Caller& who) {
        switch (below(5)) {
            case 0:
                return procd_key();
            case 1:
                return pid_key(1 + below(3));
            case 2:
                return session_key(static_cast<SessionId>(1 + below(5)));
            case 3:
                return process_key(static_cast<ProcessId>(1 + below(20)));
            default:
                return connection_key(who.connection);
        }
    }
    Creation creation(const Caller& who) {
        std::optional<bool> daemon;
        if (chance(70)) daemon = chance(50);
        Creation wanted = process(owner(who), daemon, chance(30) ? "db" : "");
        wanted.unique = chance(10);
        wanted.keep_leftovers = chance(20);
        wanted.kill_mode = chance(20) ? KillMode::main : KillMode::group;
        return wanted;
    }
    std::vector<ProcessId> some() {
        std::set<ProcessId> ids;
        for (std::size_t i = 1 + below(3); i > 0; --i) ids.insert(any(bench.core.processes()).first);
        return {ids.begin(), ids.end()};
    }
    void ask() {
        const Caller who = caller();
        const auto what = below(14);
        if (what < 3 || bench.core.processes().empty()) {
            (void)bench.try_spawn(who, creation(who));
        } else if (what == 3) {
            (void)bench.core.create(who, creation(who), bench.now);
        } else if (what == 4) {
            (void)bench.start(who, any(bench.core.processes()).first);
        } else if (what == 5) {
            (void)bench.core.terminate(some(), std::chrono::seconds(below(30)), bench.now, bench.actions);
        } else if (what == 6) {
            (void)bench.core.kill(some(), bench.now, bench.actions);
        } else if (what == 7) {
            (void)bench.core.signal(some(), {chance(50) ? SIGTERM : SIGHUP, chance(50)}, bench.actions);
        } else if (what == 8) {
            (void)bench.core.close(some(), bench.actions);
        } else if (what == 9) {
            const Asked asked{some(), chance(50) ? WaitMode::all : WaitMode::any, who.connection};
            std::optional<Duration> timeout;
            if (chance(50)) timeout = std::chrono::seconds(below(10));
            const Token token = bench.next_token;
            asked_waits[token] = asked;  // it may be answered at once
            if (!bench.wait(who, asked.ids, asked.mode, timeout)) asked_waits.erase(token);
        } else if (what == 10) {
            (void)bench.core.rename(any(bench.core.processes()).first, chance(50) ? "db" : "web");
        } else if (what == 11) {
            (void)bench.core.set_owner(who, any(bench.core.processes()).first, {owner(who), {}},
                                       bench.actions);
        } else if (what == 12) {
            (void)bench.core.open_session(who, "", {}, nullptr, nullptr);
        } else {
            (void)bench.core.end_session(who, static_cast<SessionId>(1 + below(5)), bench.now, bench.actions);
        }
        obey();
    }
    void close_connection(std::size_t index) {
        const ConnectionId gone = connections[index];
        connections[index] = next_connection++;
        if (chance(30)) bench.vanishes(connection_key(gone));
        bench.closes(gone);
        obey();
        std::erase_if(asked_waits, [&](const auto& entry) {
            return entry.second.connection == gone && !bench.answer(entry.first);
        });
        for (const auto& [id, one] : bench.core.processes()) {
            if (one.owner != connection_key(gone) || one.exited()) continue;
            REQUIRE(one.daemon);
            REQUIRE((one.life.end_wanted() || !one.alive()));
        }
    }
    void step() {
        if (!children.empty() && chance(45))
            child_moves(any(children).first);
        else if (chance(15))
            bench.pass(std::chrono::milliseconds(below(3000)));
        else if (chance(5))
            close_connection(below(connections.size()));
        else if (chance(3))
            bench.vanishes(pid_key(1 + below(3)));
        else
            ask();
        obey();
        check();
    }
    // The world goes on until nothing is left to happen; nobody asks for anything any more.
    void run_out() {
        for (int i = 0; i < 3000 && (!children.empty() || bench.core.next_deadline()); ++i) {
            if (!children.empty()) child_moves(any(children).first);
            if (i % 5 == 0) bench.pass(std::chrono::milliseconds(below(2000)));
            obey();
        }
        check();
    }

    // ---- the truth ----
    void check() {
        for (; seen_changes < bench.changes.size(); ++seen_changes) {
            const auto& change = bench.changes[seen_changes];
            const auto type = change.type;
            const auto id = change.id;
            auto& last = last_event[id];
            CAPTURE(id);
            REQUIRE((type == EventType::created) == !last.has_value());
            if (last) REQUIRE(*last != EventType::closed);
            if (type == EventType::changed) continue;
            const auto rank = [](EventType event) {
                constexpr int k_ranks[] = {0, 1, 2, 3, 0, 4};
                return k_ranks[static_cast<std::size_t>(event)];
            };
            if (last) REQUIRE(rank(type) > rank(*last));
            last = type;
        }
        for (; seen_waits < bench.waits.size(); ++seen_waits) {
            const auto& answer = bench.waits[seen_waits];
            REQUIRE(asked_waits.contains(answer.token));
            REQUIRE(answered.insert(answer.token).second);
            const Asked& asked = asked_waits[answer.token];
            const bool enough =
                asked.mode == WaitMode::all ? answer.ended == asked.ids : !answer.ended.empty();
            REQUIRE(answer.timed_out == !enough);
            for (const ProcessId id : answer.ended) {
                REQUIRE_FALSE(children.contains(id));
                if (const Process* process = bench.core.find(id)) REQUIRE(process->exited());
            }
        }
        std::set<Token> started;
        for (const auto& start : bench.starts) REQUIRE(started.insert(start.token).second);
        for (const auto& [id, one] : children) {
            const Process* process = bench.core.find(id);
            REQUIRE(process != nullptr);  // whoever has a tree has a record
            REQUIRE(process->alive() == one.alive);
        }
        for (const auto& [id, process] : bench.core.processes()) {
            REQUIRE(bench.core.named(process.name)->contains(id));
            REQUIRE(bench.core.owned_by(process.owner)->contains(id));
            REQUIRE((process.started_or_starting() && !process.exited()) == children.contains(id));
        }
    }

    std::mt19937 random;
    Bench bench;
    std::map<ProcessId, Child> children;
    std::map<ProcessId, std::optional<EventType>> last_event;
    std::set<ProcessId> launched, forgotten;
    std::map<Token, Asked> asked_waits;
    std::set<Token> answered;
    std::vector<ConnectionId> connections;
    ConnectionId next_connection = 1;
    std::size_t seen_changes = 0, seen_waits = 0;
    int leaves = 0;
};

}  // namespace

TEST_CASE("whatever clients and processes do, a stop ends everything, and every wait is answered") {
    for (unsigned round = 0; round < 30; ++round) {
        CAPTURE(round);
        Machine machine(round);
        for (int i = 0; i < 300; ++i) machine.step();
        for (unsigned i = 0; i <= round % 3; ++i) machine.bench.tell(StopSignal{SIGTERM});
        if (round % 4 == 3)
            REQUIRE(machine.bench.core.shutdown(true, false, machine.bench.now, machine.bench.actions));
        machine.obey();
        for (int i = 0; i < 30; ++i) machine.step();
        machine.run_out();
        REQUIRE(machine.children.empty());
        REQUIRE(machine.leaves == 1);
        REQUIRE(machine.asked_waits.size() == machine.answered.size());
    }
}

TEST_CASE("whatever clients and processes do, nobody's daemon outlives its connection") {
    for (unsigned round = 100; round < 120; ++round) {
        CAPTURE(round);
        Machine machine(round);
        for (int i = 0; i < 300; ++i) machine.step();
        for (std::size_t i = 0; i < machine.connections.size(); ++i) machine.close_connection(i);
        machine.run_out();
        for (const auto& [id, process] : machine.bench.core.processes()) {
            if (process.exited() || !process.started_or_starting()) continue;
            const OwnerKind kind = process.owner.kind;
            CHECK(kind != OwnerKind::connection);
            CHECK(kind != OwnerKind::session);
        }
        CHECK_FALSE(machine.bench.core.has_sessions());
        CHECK(machine.asked_waits.size() == machine.answered.size());
        CHECK(machine.leaves == 0);
    }
}

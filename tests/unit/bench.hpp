#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/supervisor.hpp"

// A Supervisor on a bench: a clock that is moved by hand, and a record of all that it decided and told.
namespace procd::core {

using namespace std::chrono_literals;

constexpr UserId k_user = 1000;   // whose procd it is: no limits
constexpr UserId k_other = 2000;  // somebody else, at a procd of root's

struct Bench final : Listener {
    struct Changed {
        EventType type;
        ProcessId id;
    };
    struct Started {
        Token token;
        ProcessId id;
        bool failed;
    };
    struct Waited {
        Token token;
        std::vector<ProcessId> ended;
        bool timed_out;
    };

    explicit Bench(Config config = default_config()) : core(config, *this) {}

    static Config default_config() {
        Config config;
        config.own_uid = k_user;
        return config;
    }

    // ---- Listener ----
    void on_change(EventType type, const Process& process) override { changes.push_back({type, process.id}); }
    void on_started(Token token, const Process& process, const LaunchFailure* failure) override {
        starts.push_back({token, process.id, failure != nullptr});
    }
    void on_waited(Token token, const std::vector<const Process*>& ended, bool timed_out) override {
        Waited waited{token, {}, timed_out};
        for (const Process* process : ended) waited.ended.push_back(process->id);
        waits.push_back(waited);
    }

    // ---- the world ----
    void tell(const Event& event) {
        const Actions more = core.handle(event, now);
        actions.insert(actions.end(), more.begin(), more.end());
    }
    // Time goes by, with a Tick at each deadline on the way.
    void pass(Duration duration) {
        const Mono until = now.mono + duration;
        while (core.next_deadline() && *core.next_deadline() <= until) {
            set_clock(std::max(now.mono, *core.next_deadline()));
            tell(Tick{});
        }
        set_clock(until);
    }
    void runs(ProcessId id) { tell(LaunchSucceeded{id, 4000 + id, "/log/" + std::to_string(id), {}}); }
    void fails(ProcessId id, int error = 2) { tell(LaunchFailed{id, {"exec", error, false}}); }
    void main_exits(ProcessId id, int code = 0) { tell(MainExited{id, {How::exited, code, 0, false}}); }
    void main_dies(ProcessId id, int signal) { tell(MainExited{id, {How::signaled, 0, signal, false}}); }
    void tree_has(ProcessId id, std::size_t rest) { tell(TreeCounted{id, rest}); }
    void ends(ProcessId id, int code = 0) {
        main_exits(id, code);
        tree_has(id, 0);
    }
    void dies(ProcessId id, int signal) {
        main_dies(id, signal);
        tree_has(id, 0);
    }
    void vanishes(const OwnerKey& owner) { tell(OwnerEnded{owner}); }
    void closes(ConnectionId connection) { tell(ConnectionClosed{connection}); }

    // ---- requests ----
    Outcome<ProcessId> try_spawn(const Caller& caller, Creation creation) {
        return core.spawn(caller, std::move(creation), next_token++, now, actions);
    }
    ProcessId spawn(const Caller& caller, Creation creation) {
        const ProcessId id = *try_spawn(caller, std::move(creation));
        runs(id);
        return id;
    }
    ProcessId create(const Caller& caller, Creation creation) {
        return *core.create(caller, std::move(creation), now);
    }
    Outcome<Done> start(const Caller& caller, ProcessId id) {
        return core.start(caller, id, next_token++, now, actions);
    }
    Outcome<Done> terminate(ProcessId id, std::optional<Duration> grace = std::nullopt) {
        return core.terminate({id}, grace, now, actions);
    }
    Outcome<Done> kill(ProcessId id) { return core.kill({id}, now, actions); }
    Outcome<Done> close(ProcessId id) { return core.close({id}, actions); }
    // The token of the wait, where it was taken.
    Outcome<Token> wait(const Caller& caller, const std::vector<ProcessId>& ids,
                        WaitMode mode = WaitMode::all, std::optional<Duration> timeout = std::nullopt) {
        const Token token = next_token++;
        auto outcome = core.wait(caller, ids, mode, timeout, token, now, actions);
        if (!outcome) return outcome.refusal();
        return token;
    }
    SessionId session(const Caller& caller) {
        return *core.open_session(caller, "", {77, "run.sh"}, nullptr, nullptr);
    }
    std::vector<ProcessId> end_session(const Caller& caller, SessionId id) {
        return *core.end_session(caller, id, now, actions);
    }

    // ---- looking ----
    const Process& at(ProcessId id) const { return *core.find(id); }
    Phase phase(ProcessId id) const { return at(id).life.phase(); }
    bool known(ProcessId id) const { return core.find(id) != nullptr; }
    template <class What>
    std::vector<What> all() const {
        std::vector<What> found;
        for (const Action& action : actions)
            if (const auto* one = std::get_if<What>(&action)) found.push_back(*one);
        return found;
    }
    template <class What>
    std::size_t count_for(ProcessId id) const {
        const auto found = all<What>();
        return static_cast<std::size_t>(
            std::count_if(found.begin(), found.end(), [&](const What& one) { return one.id == id; }));
    }
    std::size_t sent(ProcessId id, int signal) const {
        const auto found = all<SendSignal>();
        return static_cast<std::size_t>(std::count_if(found.begin(), found.end(), [&](const SendSignal& one) {
            return one.id == id && one.signal == signal;
        }));
    }
    bool leaves() const { return !all<Leave>().empty(); }
    std::vector<EventType> events_of(ProcessId id) const {
        std::vector<EventType> types;
        for (const Changed& change : changes)
            if (change.id == id) types.push_back(change.type);
        return types;
    }
    const Waited* answer(Token token) const {
        for (const Waited& waited : waits)
            if (waited.token == token) return &waited;
        return nullptr;
    }
    void forget_the_past() {
        actions.clear();
        changes.clear();
    }

    Supervisor core;
    Now now{Mono(1000s), Wall(1'700'000'000s)};
    Actions actions;
    std::vector<Changed> changes;
    std::vector<Started> starts;
    std::vector<Waited> waits;
    Token next_token = 1;

  private:
    void set_clock(Mono mono) {
        now.wall += std::chrono::duration_cast<Wall::duration>(mono - now.mono);
        now.mono = mono;
    }
};

// ---- who asks, and for what ----

inline Caller client(ConnectionId connection, UserId uid = k_user) {
    Caller caller;
    caller.connection = connection;
    caller.uid = uid;
    return caller;
}
inline Caller inside(ProcessId enclosing, ConnectionId connection = 900) {
    Caller caller = client(connection);
    caller.enclosing = enclosing;
    return caller;
}

inline OwnerKey connection_key(ConnectionId id) {
    return {OwnerKind::connection, id};
}
inline OwnerKey session_key(SessionId id) {
    return {OwnerKind::session, static_cast<std::uint64_t>(id)};
}
inline OwnerKey process_key(ProcessId id) {
    return {OwnerKind::process, static_cast<std::uint64_t>(id)};
}
inline OwnerKey pid_key(std::uint64_t watch) {
    return {OwnerKind::pid, watch};
}
inline OwnerKey procd_key(UserId uid = k_user) {
    return {OwnerKind::procd, uid};
}

inline Creation process(const OwnerKey& owner, std::optional<bool> daemon = std::nullopt,
                        std::string name = "", UserId uid = k_user) {
    auto spec = std::make_shared<LaunchSpec>();
    spec->command = {"sleep", "100"};
    Creation creation;
    creation.spec = std::move(spec);
    creation.name = std::move(name);
    creation.daemon = daemon;
    creation.owner = {owner, {4100, "bash"}};
    creation.uid = uid;
    return creation;
}

}  // namespace procd::core

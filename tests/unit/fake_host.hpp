#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/api/api.hpp"

// A machine and a loop that are not there: what the Api asks of them is looked up in maps, what it tells them
// is kept.
namespace procd::api {

struct FakeDescriptor final : core::Resource {
    explicit FakeDescriptor(std::string what_) : what(std::move(what_)) {}
    std::string what;
};

inline core::ResourcePtr descriptor(std::string what) {
    return std::make_shared<FakeDescriptor>(std::move(what));
}
inline std::string text(const core::ResourcePtr& resource) {
    return resource ? static_cast<const FakeDescriptor&>(*resource).what : "none";
}

inline core::Refusal shortage() {
    return {core::RefusalKind::limit, "pidfd_open 12: Too many open files", {}, {}, 24};
}

class FakeHost final : public Host {
  public:
    core::Now now() const override { return clock; }
    const Self& self() const override { return me; }
    core::OwnerFacts peer(core::ConnectionId connection) override {
        return {static_cast<std::int64_t>(4000 + connection), "bash"};
    }
    core::Outcome<std::optional<core::ProcessId>> enclosing(core::ConnectionId connection) override {
        if (out_of_descriptors) return shortage();
        return look(inside, connection);
    }
    core::Outcome<std::optional<core::SessionId>> session_around(core::ConnectionId connection) override {
        return look(around, connection);
    }
    core::Outcome<bool> watch_peer(core::ConnectionId connection) override {
        return !gone.contains(connection);
    }
    core::Outcome<core::Identity> identity(core::ConnectionId connection) override {
        if (strange.contains(connection))
            return core::Refusal{
                core::RefusalKind::not_permitted, "the caller is in another namespace", {}, {}};
        return core::Identity{look(uids, connection).value_or(me.uid), 100, {100}, false};
    }
    core::Outcome<std::vector<core::ResourceLimit>> limits(core::ConnectionId) override {
        return std::vector<core::ResourceLimit>{{"nofile", 1024, 4096, true}};
    }
    std::optional<core::Identity> user(const std::string& name) override {
        if (name != "alice") return std::nullopt;
        return core::Identity{2001, 2001, {2001}, false};
    }
    core::Outcome<std::optional<Watched>> watch_pid(std::int64_t pid) override {
        if (no_pidfd_to_be_had) return shortage();
        const auto uid = look(pids, pid);
        if (!uid) return std::optional<Watched>();
        return std::optional(Watched{static_cast<std::uint64_t>(pid) * 10, {pid, "watched"}, *uid});
    }
    core::Outcome<std::optional<Watched>> watch_pidfd(const core::ResourcePtr& pidfd) override {
        return watch_pid(std::stoi(text(pidfd)));
    }
    core::Outcome<bool> is_pidfd(const core::ResourcePtr& resource) const override {
        return text(resource).find_first_not_of("0123456789") == std::string::npos;
    }
    std::string comm(std::int64_t pid) override { return "comm of " + std::to_string(pid); }
    void refresh(core::ProcessId process) override { refreshed.push_back(process); }
    void rest_watch(std::uint64_t number, bool forget) override {
        (forget ? forgotten : rested).push_back(number);
    }
    core::Outcome<bool> may_signal(core::ProcessId process, core::UserId) override {
        return !became_another.contains(process);
    }
    core::Outcome<bool> runs_in_launch(core::ConnectionId connection) override {
        if (out_of_descriptors) return shortage();
        return in_launch.contains(connection);
    }
    core::Outcome<core::ResourcePtr> sentinel(core::ConnectionId, core::ProcessId process) override {
        if (no_pidfd_to_be_had) return shortage();
        return descriptor("sentinel of " + std::to_string(process));
    }
    void send(core::ConnectionId connection, std::string line, core::ResourcePtr resource) override {
        order.push_back("send");
        sent.push_back({connection, std::move(line), std::move(resource)});
    }
    bool send_event(core::ConnectionId connection, const std::string& line) override {
        if (slow.contains(connection)) return false;
        order.push_back("event");
        sent.push_back({connection, line, nullptr});
        return true;
    }
    bool read_log(LogId log, core::ConnectionId connection, LogRequest request) override {
        if (out_of_threads) return false;
        logs[log] = {connection, std::move(request), false};
        return true;
    }
    LogThreads log_threads(core::UserId reader) const override {
        LogThreads threads{stuck_log_threads.contains(reader) ? stuck_log_threads.at(reader) : 0, 0};
        for (const auto& [user, count] : stuck_log_threads) threads.of_all += count;
        for (const auto& [log, reading] : logs) {
            ++threads.of_all;
            if (reading.request.reader == reader) ++threads.of_reader;
        }
        return threads;
    }
    void log_completed(LogId log) override { logs.at(log).completed = true; }
    void forget_log(LogId log) override { logs.erase(log); }
    core::Outcome<core::Done> upgrade(const std::string& binary, const UpgradeRequest& request) override {
        upgrades.emplace_back(binary, request);
        if (upgrade_refused) return *upgrade_refused;
        return core::Done{};
    }
    void resume(core::ConnectionId connection) override { resumed.push_back(connection); }
    void perform(core::Actions actions) override {
        if (!actions.empty()) order.push_back("perform");
        performed.insert(performed.end(), actions.begin(), actions.end());
    }
    void log(const std::string& line) override { logged.push_back(line); }

    template <class What>
    std::vector<What> all() const {
        std::vector<What> found;
        for (const core::Action& action : performed)
            if (const auto* one = std::get_if<What>(&action)) found.push_back(*one);
        return found;
    }

    struct Sent {
        core::ConnectionId connection;
        std::string line;
        core::ResourcePtr descriptor;
    };

    struct LogReading {
        core::ConnectionId connection;
        LogRequest request;
        bool completed;
    };

    core::Now clock{core::Mono(std::chrono::seconds(1000)), core::Wall(std::chrono::seconds(1'700'000'000))};
    Self me{"1.2.3", 77, 1000, "boot", "nothing keeps anything here"};
    std::map<core::ConnectionId, core::ProcessId> inside;
    std::map<core::ConnectionId, core::SessionId> around;
    std::map<core::ConnectionId, core::UserId> uids;
    std::map<std::int64_t, core::UserId> pids;
    std::set<core::ConnectionId> gone, strange, slow, in_launch;
    bool out_of_descriptors = false;  // nothing can be looked up
    bool no_pidfd_to_be_had = false;
    bool out_of_threads = false;
    std::map<core::UserId, std::size_t> stuck_log_threads;  // of readings that were forgotten

    std::vector<Sent> sent;
    std::map<LogId, LogReading> logs;
    core::Actions performed;
    std::vector<std::string> order, logged;
    std::vector<core::ProcessId> refreshed;
    std::vector<std::uint64_t> rested, forgotten;
    std::set<core::ProcessId> became_another;
    std::vector<core::ConnectionId> resumed;
    std::vector<std::pair<std::string, UpgradeRequest>> upgrades;
    std::optional<core::Refusal> upgrade_refused;

  private:
    template <class Map, class Key>
    static std::optional<typename Map::mapped_type> look(const Map& map, const Key& key) {
        const auto found = map.find(key);
        if (found == map.end()) return std::nullopt;
        return found->second;
    }
};

using proto::Json;

// An Api on a fake host, spoken to in JSON.
struct Desk {
    explicit Desk(core::UserId own = 1000, core::Config config = {}) : api(with(config, own), host) {
        host.me.uid = own;
    }

    static core::Config with(core::Config config, core::UserId own) {
        config.own_uid = own;
        return config;
    }
    Peer peer(core::ConnectionId connection, std::optional<core::UserId> uid = std::nullopt) {
        const core::UserId whose = uid.value_or(host.me.uid);
        host.uids[connection] = whose;
        return Peer{connection, whose, static_cast<std::int64_t>(4000 + connection)};
    }

    bool line(const Peer& from, const std::string& text,
              const std::vector<core::ResourcePtr>& descriptors = {}) {
        return api.handle(from, text, descriptors);
    }
    // Sends a request; its id, by which the answer is found.
    int send(const Peer& from, const std::string& method, Json params = Json::object(),
             const std::vector<core::ResourcePtr>& descriptors = {}) {
        const int id = ++last_id;
        const Json request{{"id", id}, {"method", method}, {"params", std::move(params)}};
        taken = line(from, request.dump(), descriptors);
        return id;
    }
    // The answer to a request that was sent: {result: …} or {error: …}; null: there is none yet.
    Json answer(int id) const {
        // The newest first: that is mostly the one.
        for (auto sent = host.sent.rbegin(); sent != host.sent.rend(); ++sent)
            if (const Json reply = Json::parse(sent->line); reply.contains("id") && reply["id"] == id)
                return reply;
        return nullptr;
    }
    Json ask(const Peer& from, const std::string& method, Json params = Json::object(),
             const std::vector<core::ResourcePtr>& descriptors = {}) {
        const Json reply = answer(send(from, method, std::move(params), descriptors));
        if (reply.is_null()) return "not answered yet";
        return reply.contains("result") ? reply["result"] : Json{{"error", reply["error"]}};
    }
    // The kind of its error, or "none".
    std::string refusal(const Peer& from, const std::string& method, Json params = Json::object(),
                        const std::vector<core::ResourcePtr>& descriptors = {}) {
        const Json reply = ask(from, method, std::move(params), descriptors);
        return reply.is_object() && reply.contains("error")
                   ? reply["error"]["data"]["kind"].get<std::string>()
                   : "none";
    }
    std::string complaint(const Peer& from, const std::string& method, Json params = Json::object(),
                          const std::vector<core::ResourcePtr>& descriptors = {}) {
        const Json reply = ask(from, method, std::move(params), descriptors);
        return reply.is_object() && reply.contains("error") ? reply["error"]["message"].get<std::string>()
                                                            : "none";
    }
    // Spawns a process that starts, and gives its object.
    Json spawn(const Peer& from, Json params = Json::object(),
               const std::vector<core::ResourcePtr>& descriptors = {}) {
        if (!params.contains("command")) params["command"] = {"sleep", "100"};
        const int id = send(from, "spawn", std::move(params), descriptors);
        runs(newest());
        return answer(id)["result"];
    }
    core::ProcessId newest() { return api.core().processes().rbegin()->first; }
    void runs(core::ProcessId id) {
        const auto& spec = api.core().find(id)->spec;
        const bool logs = std::holds_alternative<core::ToLog>(spec->stdio[1]) ||
                          std::holds_alternative<core::ToLog>(spec->stdio[2]);
        std::optional<std::string> log;
        if (logs) log = "/log/" + std::to_string(id);
        api.happened(core::LaunchSucceeded{id, 4000 + id, log, {}});
    }
    void ends(core::ProcessId id, int code = 0) {
        api.happened(core::MainExited{id, {core::How::exited, code, 0, false}});
        api.happened(core::TreeCounted{id, 0});
    }
    std::vector<Json> events(core::ConnectionId connection) const {
        std::vector<Json> found;
        for (const auto& sent : host.sent)
            if (const Json message = Json::parse(sent.line);
                sent.connection == connection && message.contains("method"))
                found.push_back(message["params"]);
        return found;
    }

    FakeHost host;
    Api api;
    int last_id = 0;
    bool taken = true;
};

}  // namespace procd::api

#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <asio/io_context.hpp>

#include "daemon/api/api.hpp"
#include "daemon/api/host.hpp"
#include "daemon/loop/acceptor.hpp"
#include "daemon/loop/alarm.hpp"
#include "daemon/loop/children.hpp"
#include "daemon/loop/connection.hpp"
#include "daemon/loop/descriptor.hpp"
#include "daemon/loop/journal.hpp"
#include "daemon/loop/log_readers.hpp"
#include "daemon/loop/logs.hpp"
#include "daemon/loop/peers.hpp"
#include "daemon/loop/service_manager.hpp"
#include "daemon/loop/upgrade.hpp"
#include "daemon/state/snapshot.hpp"
#include "daemon/sys/containment.hpp"
#include "daemon/sys/listener.hpp"
#include "daemon/sys/spawn.hpp"

namespace procd::loop {

struct RuntimeConfig {
    core::Config core;
    sys::LogLimits default_log;
    std::string version;
    std::vector<std::string> arguments;  // of the command line that procd was started with, argv[0] too
    // Of each user but root and procd's own.
    std::size_t max_connections = 1024;
    std::size_t max_descriptors = 4096;
    bool allow_confined = false;
    std::string journal_path;     // empty: nothing is written down
    sys::ResourceLimit nofile{};  // procd's own before it was raised: what children of nobody's get
};

// What a procd that is gone left to this one.
struct Inheritance {
    std::optional<state::Journal> journal;
    std::map<core::ProcessId, UniqueFd> pidfds;  // kept by the service manager
};

// One procd at work: connections in, the core's decisions out. Everything happens on the thread that calls
// run(), but for what the spawner does.
class Runtime final : public api::Host {
  public:
    using Ready = std::function<void()>;

    // signals: from sys::open_signals.
    Runtime(RuntimeConfig config, sys::Listener listener, std::unique_ptr<sys::Containment> containment,
            UniqueFd signals, sys::LogDirectory logs);
    ~Runtime() override;

    // Before run().
    void inherit(Inheritance inheritance);
    // Before run(), instead: what another program in this process was at.
    void thaw(state::Snapshot snapshot);

    // Until procd was told to stop and everything has ended. ready: called when the socket answers. False: it
    // was told to leave everything to the procd that starts next.
    bool run(const Ready& ready);

    // api::Host
    core::Now now() const override;
    const api::Self& self() const override { return self_; }
    core::OwnerFacts peer(core::ConnectionId connection) override;
    core::Outcome<std::optional<core::ProcessId>> enclosing(core::ConnectionId connection) override;
    core::Outcome<std::optional<core::SessionId>> session_around(core::ConnectionId connection) override;
    core::Outcome<bool> watch_peer(core::ConnectionId connection) override;
    core::Outcome<core::Identity> identity(core::ConnectionId connection) override;
    core::Outcome<std::vector<core::ResourceLimit>> limits(core::ConnectionId connection) override;
    std::optional<core::Identity> user(const std::string& name) override;
    std::string comm(std::int64_t pid) override;
    core::Outcome<std::optional<api::Watched>> watch_pid(std::int64_t pid) override;
    core::Outcome<std::optional<api::Watched>> watch_pidfd(const core::ResourcePtr& pidfd) override;
    void rest_watch(std::uint64_t number, bool forget) override { watches_.rest(number, forget); }
    core::Outcome<bool> may_signal(core::ProcessId process, core::UserId uid) override;
    core::Outcome<bool> runs_in_launch(core::ConnectionId connection) override;
    core::Outcome<bool> is_pidfd(const core::ResourcePtr& descriptor) const override;
    void refresh(core::ProcessId process) override { children_.refresh(process); }
    core::Outcome<core::ResourcePtr> sentinel(core::ConnectionId connection,
                                              core::ProcessId process) override;
    void send(core::ConnectionId connection, std::string line, core::ResourcePtr descriptor) override;
    bool send_event(core::ConnectionId connection, const std::string& line) override;
    bool read_log(api::LogId log, core::ConnectionId connection, api::LogRequest request) override;
    api::LogThreads log_threads(core::UserId reader) const override { return log_readers_.threads(reader); }
    void log_completed(api::LogId log) override { log_readers_.complete(log); }
    void forget_log(api::LogId log) override { log_readers_.forget(log); }
    core::Outcome<core::Done> upgrade(const std::string& binary, const api::UpgradeRequest& request) override;
    void resume(core::ConnectionId connection) override;
    void perform(core::Actions actions) override;
    void log(const std::string& text) override;

  private:
    struct Client {
        std::shared_ptr<Connection> connection;
        UniqueFd early_pidfd;              // taken at accept, where the kernel cannot give it later
        std::unique_ptr<Readiness> pidfd;  // of the peer, once its end matters
        std::optional<std::optional<core::ProcessId>> enclosing;  // once looked up
        bool peer_ended = false;
    };

    void on_connection(UniqueFd socket);
    bool on_request(Connection& connection, const Connection::Request& request);
    void on_closed(Connection& connection);
    void close_if_done(core::ConnectionId id);
    // recovery.cpp
    void take_back_all(std::map<core::ProcessId, UniqueFd> pidfds);
    void finish_start(const core::Process& process);
    void take_back_owners();
    state::Header journal_header() const;

    // snapshot.cpp
    std::string snapshot_text(const api::UpgradeRequest& request, std::vector<int>& kept);
    state::ConnectionText connection_text(core::ConnectionId id, Client& client, std::vector<int>& kept);
    core::ResourcePtr descriptor_from(const std::optional<state::DescriptorText>& text);
    void thaw_connection(const state::ConnectionText& text);
    void thaw_specs(const state::Snapshot& snapshot, std::vector<core::Process>& processes);
    void thaw_children(const state::Snapshot& snapshot);
    void thaw_api(const state::Snapshot& snapshot);

    // runtime_upgrade.cpp
    struct UpgradeUnderWay {
        explicit UpgradeUnderWay(asio::io_context& io) : limit(io) {}
        std::string program;
        api::UpgradeRequest request;
        std::unique_ptr<UpgradeCheck> check;
        bool standing_still = false;
        std::vector<core::ConnectionId> held;  // requests that wait for the new program
        Alarm limit;
    };
    bool is_upgrading_for(core::ConnectionId connection) const;
    bool waits_for_upgrade(core::ConnectionId connection);
    void stand_still();
    void go_if_still();
    void go();
    void give_up(const api::UpgradeFailure& failure);

    Client* add_client(core::ConnectionId id, UniqueFd socket, sys::Peer peer);
    void watch_client(core::ConnectionId id, Client& client, UniqueFd pidfd);
    void leave_to_the_next();
    void await_signal();
    void carry_out(const core::Action& action);
    void leave();
    void end_strays(core::Mono until);
    Client* client(core::ConnectionId id);
    std::optional<core::SessionId> newest_session_of(pid_t pid);
    std::shared_ptr<DescriptorCount> descriptors_of(std::uint32_t uid);

    RuntimeConfig config_;
    asio::io_context io_;
    api::Self self_;
    OwnNamespaces own_;
    std::unique_ptr<sys::Containment> containment_;
    std::shared_ptr<Logs> logs_;
    Children children_;
    PidWatches watches_;
    api::Api api_;
    Journal journal_;
    LogReaders log_readers_;
    std::unordered_map<core::ConnectionId, Client> clients_;
    std::map<std::uint32_t, std::size_t> connections_of_;
    std::map<pid_t, std::set<core::ConnectionId>> connections_by_pid_;
    std::map<std::uint32_t, std::shared_ptr<DescriptorCount>> descriptors_of_;
    std::set<core::ConnectionId> half_closed_;
    core::ConnectionId next_connection_ = 1;
    std::deque<core::Action> actions_;
    bool performing_ = false;
    bool closing_ = false;  // half-closed clients are looked at in a moment
    int tries_ = 0;         // of the first action
    Readiness signals_;
    ServiceManager service_manager_;
    Alarm deadline_;
    Alarm farewell_;
    Alarm again_;
    std::unique_ptr<Acceptor> acceptor_;
    std::shared_ptr<UpgradeUnderWay> upgrade_;
    bool leaving_ = false;
    bool left_to_the_next_ = false;
};

}  // namespace procd::loop

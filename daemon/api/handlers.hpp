#pragma once

#include "daemon/api/call.hpp"
#include "proto/messages.hpp"

// One handler a method, each in the file of its verb.
namespace procd::api {

template <class Method>
using AnswerTo = Answer<typename Method::Result>;

AnswerTo<proto::Hello> hello(Call& call, const proto::Nothing& params);
AnswerTo<proto::Discover> discover(Call& call, const proto::Nothing& params);
AnswerTo<proto::Whoami> whoami(Call& call, const proto::Nothing& params);
AnswerTo<proto::Create> create(Call& call, const proto::CreateParams& params);
AnswerTo<proto::Start> start(Call& call, const proto::OneProcess& params);
AnswerTo<proto::Spawn> spawn(Call& call, const proto::CreateParams& params);
AnswerTo<proto::List> list(Call& call, const proto::ListParams& params);
AnswerTo<proto::Status> status(Call& call, const proto::OneProcess& params);
AnswerTo<proto::Rename> rename(Call& call, const proto::RenameParams& params);
AnswerTo<proto::Set> set(Call& call, const proto::SetParams& params);
AnswerTo<proto::Wait> wait(Call& call, const proto::WaitParams& params);
AnswerTo<proto::Terminate> terminate(Call& call, const proto::TerminateParams& params);
AnswerTo<proto::Kill> kill(Call& call, const proto::ManyProcesses& params);
AnswerTo<proto::Interrupt> interrupt(Call& call, const proto::InterruptParams& params);
AnswerTo<proto::SendSignal> signal(Call& call, const proto::SignalParams& params);
AnswerTo<proto::Close> close(Call& call, const proto::ManyProcesses& params);
AnswerTo<proto::Sentinel> sentinel(Call& call, const proto::OneProcess& params);
AnswerTo<proto::Session> session(Call& call, const proto::SessionParams& params);
AnswerTo<proto::SessionEnd> session_end(Call& call, const proto::SessionEndParams& params);
AnswerTo<proto::Logs> logs(Call& call, const proto::LogsParams& params);
AnswerTo<proto::Subscribe> subscribe(Call& call, const proto::SubscribeParams& params);
AnswerTo<proto::Shutdown> shutdown(Call& call, const proto::ShutdownParams& params);
AnswerTo<proto::Upgrade> upgrade(Call& call, const proto::UpgradeParams& params);

}  // namespace procd::api

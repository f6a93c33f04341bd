#include "src/server/testing/test_node.h"

#include <future>
#include <utility>

#include "src/base/check.h"
#include "src/consensus/solo/solo_core.h"

namespace cairn::server::testing {
namespace {

template <class T>
T Require(Result<T> result) {
  CAIRN_CHECK(result.ok(), result.status().ToString());
  return std::move(result).value();
}

void Require(const Status& status) { CAIRN_CHECK(status.ok(), status.ToString()); }

}  // namespace

TestNode::TestNode(const TestNodeOptions& options)
    : faults_(options.allow_fault_injection, /*seed=*/1) {
  Require(files_.CreateDirectories("node"));
  consensus::JournalOptions journal_options;
  journal_options.directory = "node/journal";
  journal_options.segment_bytes = 1 << 20;
  journal_ = Require(consensus::Journal::Open(journal_options, &files_, &random_));
  state_machine_ = Require(replication::StateMachineExecutor::Open(&engine_));

  replication::ReplicaEnvironment environment;
  environment.clock = &clock_;
  environment.core = &core_;
  environment.journal = &journal_thread_;
  environment.apply = &apply_;
  environment.upkeep = &upkeep_;
  environment.fatal = [](const Status& why) { Require(why); };
  replication::ReplicaOptions replica_options;
  replica_options.limits = options.limits;
  replica_ = replication::Replica::Create(replica_options, environment,
                                          std::make_unique<consensus::SoloCore>(NodeId(0)),
                                          journal_.get(), state_machine_.get(), &engine_);
  if (options.recover) Recover();

  replication::RoutingOptions routing_options;
  routing_options.limits = options.limits;
  routing_ = std::make_unique<replication::RoutingManager>(routing_options, state_machine_.get(),
                                                           replica_.get(), &clock_, &faults_);
  NodeServiceOptions service_options;
  service_options.endpoint = "127.0.0.1:9090";
  service_options.peers = options.peers;
  service_options.progress_bound = options.progress_bound;
  service_ = std::make_unique<NodeService>(service_options, routing_.get(), replica_.get(),
                                           state_machine_.get(), &engine_, &faults_, &clock_);
}

void TestNode::Recover() {
  std::promise<Status> recovered;
  Require(replica_->Start([&](Status status) { recovered.set_value(std::move(status)); }));
  Require(recovered.get_future().get());
}

TestNode::~TestNode() {
  replica_->Stop();
  for (ThreadExecutor* thread : {&core_, &journal_thread_, &apply_, &upkeep_}) thread->Stop();
}

}  // namespace cairn::server::testing

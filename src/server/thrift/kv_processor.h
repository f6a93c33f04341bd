// The service TransactionalKV of api/kvstore.thrift over a NodeService, as something that a
// ThriftServer can run.
//
// Thread safety: the processor may be used by any number of connections at a time.
#ifndef CAIRN_SRC_SERVER_THRIFT_KV_PROCESSOR_H_
#define CAIRN_SRC_SERVER_THRIFT_KV_PROCESSOR_H_

#include <memory>

#include "src/server/node_service.h"

namespace apache::thrift {
class TProcessor;
}

namespace cairn::server {

// `node` must outlive the processor.
std::shared_ptr<apache::thrift::TProcessor> MakeKvProcessor(NodeService* node);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_KV_PROCESSOR_H_

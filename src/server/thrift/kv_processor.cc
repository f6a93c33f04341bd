#include "src/server/thrift/kv_processor.h"

#include "api/TransactionalKV.h"
#include "src/server/thrift/kv_handler.h"

namespace cairn::server {

std::shared_ptr<apache::thrift::TProcessor> MakeKvProcessor(NodeService* node) {
  return std::make_shared<thrift_api::TransactionalKVProcessor>(std::make_shared<KvHandler>(node));
}

}  // namespace cairn::server

// The services of the gRPC port. Each translates between its messages and NodeService, nothing
// else.
//
// Thread safety: of the functions: any thread; of the services: gRPC calls them on its threads.
#ifndef CAIRN_SRC_SERVER_GRPC_SERVICES_H_
#define CAIRN_SRC_SERVER_GRPC_SERVICES_H_

#include <memory>

namespace grpc {
class Service;
}

namespace cairn::server {

class Backend;
class PipelineTable;
class ScanTable;

// cairn.v1.KV. All pointers must outlive the service and the server it is registered with.
std::unique_ptr<grpc::Service> MakeKvService(Backend* backend, ScanTable* scans,
                                             PipelineTable* pipelines);
// cairn.v1.Admin.
std::unique_ptr<grpc::Service> MakeAdminService(Backend* backend);
// kvstore.KVStore, for the clients of the earlier service.
std::unique_ptr<grpc::Service> MakeLegacyService(Backend* backend);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_SERVICES_H_

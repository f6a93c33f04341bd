// Calls of any method with any bytes as the request, for the fuzzers of gRPC ports.
//
// Thread safety: none; a fuzzer has one thread.
#ifndef CAIRN_TESTS_FUZZ_GRPC_CALLS_H_
#define CAIRN_TESTS_FUZZ_GRPC_CALLS_H_

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <future>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "src/base/check.h"

namespace cairn::fuzz {

// The methods of services that are linked in, as "/service/method".
inline std::vector<std::string> MethodsOf(std::initializer_list<const char*> services) {
  std::vector<std::string> methods;
  for (const char* name : services) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    CAIRN_CHECK(service != nullptr);
    for (int i = 0; i < service->method_count(); ++i) {
      methods.push_back("/" + service->full_name() + "/" + service->method(i)->name());
    }
  }
  return methods;
}

// Any call, its answers read to the end.
class Reading : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit Reading(const std::string& request) {
    const grpc::Slice slice(request);
    request_ = grpc::ByteBuffer(&slice, 1);
  }
  grpc::Status Run() {
    StartRead(&answer_);
    StartWriteLast(&request_, {});
    StartCall();
    return ended_.get_future().get();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&answer_);
  }
  void OnDone(const grpc::Status& status) override { ended_.set_value(status); }

 private:
  grpc::ByteBuffer request_;
  grpc::ByteBuffer answer_;
  std::promise<grpc::Status> ended_;
};

// How the call ended; by its deadline at the latest, as some wait for what never comes.
inline grpc::Status CallMethod(const std::shared_ptr<grpc::Channel>& channel,
                               const std::string& method, const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  Reading reading(request);
  stub.PrepareBidiStreamingCall(&context, method, {}, &reading);
  const grpc::Status status = reading.Run();
  CAIRN_CHECK(status.error_code() >= grpc::StatusCode::OK &&
              status.error_code() <= grpc::StatusCode::UNAUTHENTICATED);
  return status;
}

}  // namespace cairn::fuzz

#endif  // CAIRN_TESTS_FUZZ_GRPC_CALLS_H_

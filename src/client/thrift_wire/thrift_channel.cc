#include "src/client/thrift_wire/thrift_channel.h"

#include <utility>

#include "src/client/thrift_wire/codec.h"

namespace cairn::client {
namespace {

class ThriftChannel final : public NodeChannel {
 public:
  ThriftChannel(const Endpoint& endpoint, const PoolOptions& options, std::shared_ptr<IoLoop> loop,
                std::shared_ptr<SerialExecutor> resolver)
      : loop_(loop),
        pool_(std::make_shared<ConnectionPool>(endpoint, ForThrift(options), std::move(loop),
                                               std::move(resolver))) {}

  std::shared_ptr<Call> Start(std::shared_ptr<const Request> request, const CallContext& context,
                              Done done) override {
    Result<std::string> frame = EncodeThriftCall(*request, context, loop_->Now());
    if (!frame.ok()) {
      done({std::move(frame).status(), true});
      return nullptr;
    }
    return pool_->Submit(
        std::move(*frame), context.deadline, context.driven,
        [request = std::move(request), done = std::move(done)](Result<std::string> got) mutable {
          if (got.ok()) return done(DecodeThriftAnswer(*request, *got));
          Status status = std::move(got).status();
          if (!IsWrite(*request) && status.maybe_applied()) {
            status = Status(status.code(), status.message());
          }
          // An answer that is too long is an answer.
          const bool answered = status.code() == StatusCode::kInvalidArgument;
          done({std::move(status), answered});
        });
  }

  void Close() override { pool_->Close(); }

 private:
  static PoolOptions ForThrift(PoolOptions options) {
    options.connection.is_last = EndsThriftConnection;
    return options;
  }

  const std::shared_ptr<IoLoop> loop_;
  const std::shared_ptr<ConnectionPool> pool_;
};

}  // namespace

std::shared_ptr<NodeChannel> MakeThriftChannel(const Endpoint& endpoint, const PoolOptions& options,
                                               std::shared_ptr<IoLoop> loop,
                                               std::shared_ptr<SerialExecutor> resolver) {
  return std::make_shared<ThriftChannel>(endpoint, options, std::move(loop), std::move(resolver));
}

}  // namespace cairn::client

#include "src/server/thrift/call_loop.h"

#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocolException.h>
#include <thrift/transport/TTransportException.h>

#include <exception>
#include <utility>

#include "src/server/thrift/answer_scope.h"

namespace cairn::server {

using apache::thrift::TApplicationException;
using apache::thrift::TException;
using apache::thrift::TProcessor;
using apache::thrift::protocol::T_EXCEPTION;
using apache::thrift::protocol::TMessageType;
using apache::thrift::transport::TTransportException;

CallLoop::CallLoop(ByteStream* stream, const MessageLimits& limits,
                   const std::atomic<bool>* stopping, CallLoopCounters* counters)
    : limits_(limits),
      stopping_(stopping),
      counters_(counters),
      transport_(std::make_shared<MessageTransport>(stream, limits)) {}

CallLoopEnd CallLoop::Run(const std::shared_ptr<TProcessor>& processor) {
  try {
    if (!Open()) return End();
    while (ServeOne(processor) && !stopping_->load(std::memory_order_acquire) &&
           transport_->AwaitMessage()) {
    }
  } catch (const TTransportException&) {
    // The client went away, or was too slow: between two messages, or before the first was known.
  } catch (const std::exception& e) {
    complaint_ = e.what();
  }
  return End();
}

bool CallLoop::Open() {
  if (!transport_->AwaitMessage()) return false;
  Result<WireFormat> format = DetectWireFormat(transport_.get());
  if (!format.ok()) {
    if (format.status().code() == StatusCode::kInvalidArgument) {
      counters_->protocol_errors.fetch_add(1, std::memory_order_relaxed);
      complaint_ = format.status().message();
    }
    return false;
  }
  format_ = *format;
  AnswerScope::SetFramed(IsFramed(format_));
  protocol_ = MakeProtocol(format_, transport_, limits_, &head_);
  return true;
}

bool CallLoop::ServeOne(const std::shared_ptr<TProcessor>& processor) {
  head_.known = false;
  try {
    transport_->BeginMessage(IsFramed(format_));
    const bool go_on = processor->process(protocol_, protocol_, nullptr);
    AnswerScope::Release();
    head_.known = false;  // It is answered: what is wrong from here on has no call.
    transport_->EndMessage();
    counters_->calls.fetch_add(1, std::memory_order_relaxed);
    return go_on;
  } catch (const TTransportException& e) {
    // The stream broke within a message. A slow sender is told so; nobody else is listening.
    if (e.getType() == TTransportException::TIMED_OUT) FailCall(e.what());
  } catch (const TException& e) {
    FailCall(e.what());
  } catch (const std::exception& e) {
    FailCall(std::string("the call could not be served: ") + e.what());
  }
  return false;
}

CallLoopEnd CallLoop::Refuse(const std::string& why) {
  try {
    if (!Open()) return End();
    transport_->BeginMessage(IsFramed(format_));
    std::string name;
    TMessageType type = apache::thrift::protocol::T_CALL;
    std::int32_t sequence = 0;
    protocol_->readMessageBegin(name, type, sequence);
    SendException(TApplicationException::INTERNAL_ERROR, why);
  } catch (const std::exception&) {
    // It did not speak in time, or not our language: it is closed without an answer.
  }
  return End();
}

void CallLoop::FailCall(const std::string& why) {
  counters_->protocol_errors.fetch_add(1, std::memory_order_relaxed);
  complaint_ = head_.known ? "call of " + head_.name + ": " + why : why;
  if (!head_.known || !transport_->DiscardOutput()) return;
  try {
    SendException(TApplicationException::PROTOCOL_ERROR, why);
  } catch (const std::exception&) {
    // The client is gone. There is nobody left to tell.
  }
}

void CallLoop::SendException(std::int32_t type, const std::string& why) {
  const TApplicationException answer(
      static_cast<TApplicationException::TApplicationExceptionType>(type), why);
  protocol_->writeMessageBegin(head_.name, T_EXCEPTION, head_.sequence);
  answer.write(protocol_.get());
  protocol_->writeMessageEnd();
  transport_->flush();
  refused_ = true;
}

}  // namespace cairn::server

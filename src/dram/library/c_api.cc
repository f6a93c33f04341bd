// The memory plane for C: stores and operations on single keys.
#include <cstdlib>
#include <string>
#include <utility>

#include "src/dram/library/c_objects.h"

static_assert(CAIRN_DRAM_MAX_KEY_BYTES == cairn::dram::kMaxKeyBytes);
static_assert(CAIRN_DRAM_MAX_VALUE_BYTES == cairn::dram::kMaxValueBytes);

namespace {

using cairn::Future;
using cairn::Result;
using cairn::c_api::From;
using cairn::c_api::Give;
using cairn::c_api::StoreOf;
using cairn::c_api::To;
using cairn::c_api::View;
using cairn::dram::Buffer;
using cairn::dram::Generation;
using cairn::dram::ReadResult;
using cairn::dram::WriteResult;

cairn_status* Wait(Future<WriteResult> future, cairn_generation* generation) {
  const auto written = future.Get();
  if (written.ok() && generation != nullptr) *generation = To(written->generation);
  return Give(written.status());
}

cairn_operation* Start(Future<WriteResult> future, cairn_write_callback callback, void* argument) {
  auto* const operation = new cairn_operation{future.Canceller()};
  future.OnReady([callback, argument](const Result<WriteResult>& written) {
    callback(argument, Give(written.status()),
             To(written.ok() ? written->generation : Generation::Unknown()));
  });
  return operation;
}

}  // namespace

extern "C" {

const void* cairn_buffer_data(const cairn_buffer* buffer) { return buffer->buffer.data(); }
size_t cairn_buffer_size(const cairn_buffer* buffer) { return buffer->buffer.size(); }
void cairn_buffer_free(cairn_buffer* buffer) { delete buffer; }

cairn_status* cairn_dram_open(const char* spec, cairn_dram** store) {
  if (spec == nullptr || store == nullptr) std::abort();  // A bug in the caller.
  auto opened = cairn::RemoteDram::Open(spec);
  if (!opened.ok()) return Give(opened.status());
  *store = new cairn_dram(*std::move(opened));
  return nullptr;
}
void cairn_dram_close(cairn_dram* store) {
  if (store != nullptr && store->owned == nullptr) std::abort();  // It is a node's.
  delete store;
}
const char* cairn_dram_listen_address(const cairn_dram* store) {
  return store->listen_address.c_str();
}

cairn_status* cairn_dram_read(cairn_dram* store, const void* key, size_t key_size,
                              const cairn_read_options* options, cairn_read_result* result) {
  auto read = StoreOf(store).Read(View(key, key_size), From(options)).Get();
  if (!read.ok()) return Give(read.status());
  *result = To(*std::move(read));
  return nullptr;
}
cairn_status* cairn_dram_write(cairn_dram* store, const void* key, size_t key_size,
                               const void* value, size_t value_size,
                               const cairn_write_options* options, cairn_generation* generation) {
  return Wait(StoreOf(store).Write(View(key, key_size), Buffer::Borrow(View(value, value_size)),
                                   From(options)),
              generation);
}
cairn_status* cairn_dram_delete(cairn_dram* store, const void* key, size_t key_size,
                                const cairn_write_options* options, cairn_generation* generation) {
  return Wait(StoreOf(store).Delete(View(key, key_size), From(options)), generation);
}

cairn_operation* cairn_dram_read_async(cairn_dram* store, const void* key, size_t key_size,
                                       const cairn_read_options* options,
                                       cairn_read_callback callback, void* argument) {
  auto future = StoreOf(store).Read(View(key, key_size), From(options));
  auto* const operation = new cairn_operation{future.Canceller()};
  future.OnReady([callback, argument](Result<ReadResult> read) {
    if (!read.ok()) {
      callback(argument, Give(read.status()), nullptr);
      return;
    }
    const cairn_read_result result = To(*std::move(read));
    callback(argument, nullptr, &result);
  });
  return operation;
}
cairn_operation* cairn_dram_write_async(cairn_dram* store, const void* key, size_t key_size,
                                        const void* value, size_t value_size,
                                        const cairn_write_options* options,
                                        cairn_write_callback callback, void* argument) {
  return Start(StoreOf(store).Write(View(key, key_size), Buffer::Borrow(View(value, value_size)),
                                    From(options)),
               callback, argument);
}
cairn_operation* cairn_dram_delete_async(cairn_dram* store, const void* key, size_t key_size,
                                         const cairn_write_options* options,
                                         cairn_write_callback callback, void* argument) {
  return Start(StoreOf(store).Delete(View(key, key_size), From(options)), callback, argument);
}

}  // extern "C"

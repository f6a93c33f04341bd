// The memory plane for C: cairn/c.h over cairn/remote_dram.h.
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cairn/c.h"
#include "cairn/remote_dram.h"
#include "src/c_api/objects.h"

struct cairn_buffer {
  cairn::dram::Buffer buffer;
};
struct cairn_dram {
  std::unique_ptr<cairn::RemoteDram> store;
  std::string listen_address;
};
struct cairn_list {
  std::vector<cairn::dram::ListEntry> entries;
};

namespace {

using cairn::Future;
using cairn::Result;
using cairn::c_api::Give;
using cairn::c_api::View;
using cairn::dram::Buffer;
using cairn::dram::Deadline;
using cairn::dram::Generation;
using cairn::dram::ReadOptions;
using cairn::dram::ReadResult;
using cairn::dram::WriteOptions;
using cairn::dram::WriteResult;

cairn::RemoteDram& Need(cairn_dram* store) {
  if (store == nullptr) std::abort();  // A bug in the caller.
  return *store->store;
}

Deadline After(std::uint64_t timeout_ms) {
  if (timeout_ms == 0) return std::nullopt;
  constexpr std::uint64_t kYearMs = 31'536'000'000;
  return std::chrono::steady_clock::now() +
         std::chrono::milliseconds(std::min(timeout_ms, kYearMs));
}

Generation From(const cairn_generation& g) { return {g.boot_id, g.counter}; }
cairn_generation To(const Generation& g) { return {g.boot_id, g.counter}; }

ReadOptions From(const cairn_read_options* given) {
  ReadOptions options;
  if (given == nullptr) return options;
  options.byte_range = {given->inclusive_min, given->exclusive_max};
  options.if_equal = From(given->if_equal);
  options.if_not_equal = From(given->if_not_equal);
  options.deadline = After(given->timeout_ms);
  return options;
}

WriteOptions From(const cairn_write_options* given) {
  if (given == nullptr) return {};
  return {From(given->if_equal), After(given->timeout_ms)};
}

cairn_read_result To(ReadResult read) {
  cairn_read_result result{static_cast<std::int32_t>(read.state), nullptr, To(read.generation),
                           read.value_bytes};
  if (read.state == ReadResult::State::kValue) {
    result.value = new cairn_buffer{std::move(read.value)};
  }
  return result;
}

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
  std::string address = (*opened)->listen_address();
  *store = new cairn_dram{*std::move(opened), std::move(address)};
  return nullptr;
}
void cairn_dram_close(cairn_dram* store) { delete store; }
const char* cairn_dram_listen_address(const cairn_dram* store) {
  return store->listen_address.c_str();
}

cairn_status* cairn_dram_read(cairn_dram* store, const void* key, size_t key_size,
                              const cairn_read_options* options, cairn_read_result* result) {
  auto read = Need(store).Read(View(key, key_size), From(options)).Get();
  if (!read.ok()) return Give(read.status());
  *result = To(*std::move(read));
  return nullptr;
}
cairn_status* cairn_dram_write(cairn_dram* store, const void* key, size_t key_size,
                               const void* value, size_t value_size,
                               const cairn_write_options* options, cairn_generation* generation) {
  return Wait(Need(store).Write(View(key, key_size), Buffer::Borrow(View(value, value_size)),
                                From(options)),
              generation);
}
cairn_status* cairn_dram_delete(cairn_dram* store, const void* key, size_t key_size,
                                const cairn_write_options* options, cairn_generation* generation) {
  return Wait(Need(store).Delete(View(key, key_size), From(options)), generation);
}

cairn_operation* cairn_dram_read_async(cairn_dram* store, const void* key, size_t key_size,
                                       const cairn_read_options* options,
                                       cairn_read_callback callback, void* argument) {
  auto future = Need(store).Read(View(key, key_size), From(options));
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
  return Start(Need(store).Write(View(key, key_size), Buffer::Borrow(View(value, value_size)),
                                 From(options)),
               callback, argument);
}
cairn_operation* cairn_dram_delete_async(cairn_dram* store, const void* key, size_t key_size,
                                         const cairn_write_options* options,
                                         cairn_write_callback callback, void* argument) {
  return Start(Need(store).Delete(View(key, key_size), From(options)), callback, argument);
}

cairn_status* cairn_dram_delete_range(cairn_dram* store, const void* min, size_t min_size,
                                      const void* max, size_t max_size, uint64_t* deleted) {
  const auto result =
      Need(store)
          .DeleteRange({std::string(View(min, min_size)), std::string(View(max, max_size))})
          .Get();
  if (!result.ok()) return Give(result.status());
  if (deleted != nullptr) *deleted = *result;
  return nullptr;
}

cairn_status* cairn_dram_list(cairn_dram* store, const void* min, size_t min_size, const void* max,
                              size_t max_size, size_t strip_prefix, cairn_list** list) {
  cairn::dram::ListOptions options;
  options.range = {std::string(View(min, min_size)), std::string(View(max, max_size))};
  options.strip_prefix_bytes = strip_prefix;
  auto listed = Need(store).List(std::move(options)).Get();
  if (!listed.ok()) return Give(listed.status());
  *list = new cairn_list{*std::move(listed)};
  return nullptr;
}
size_t cairn_list_size(const cairn_list* list) { return list->entries.size(); }
const void* cairn_list_key(const cairn_list* list, size_t i, size_t* key_size) {
  if (i >= list->entries.size()) std::abort();  // A bug in the caller.
  *key_size = list->entries[i].key.size();
  return list->entries[i].key.data();
}
uint64_t cairn_list_value_bytes(const cairn_list* list, size_t i) {
  if (i >= list->entries.size()) std::abort();  // A bug in the caller.
  return list->entries[i].value_bytes;
}
void cairn_list_free(cairn_list* list) { delete list; }

}  // extern "C"

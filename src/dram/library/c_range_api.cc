// The memory plane for C: ranges of keys, and batches.
#include <atomic>
#include <cstring>
#include <functional>

#include "src/dram/library/c_objects.h"

namespace {

using cairn::Future;
using cairn::Result;
using cairn::c_api::After;
using cairn::c_api::From;
using cairn::c_api::Give;
using cairn::c_api::Need;
using cairn::c_api::RangeOf;
using cairn::c_api::StoreOf;
using cairn::c_api::To;
using cairn::c_api::View;
using cairn::dram::Buffer;
using cairn::dram::ListEntry;
using cairn::dram::ReadResult;
using cairn::dram::WriteResult;

Future<std::vector<ListEntry>> List(cairn_dram* store, cairn::dram::KeyRange range,
                                    std::size_t strip_prefix, std::uint64_t timeout_ms) {
  return StoreOf(store).List({std::move(range), strip_prefix, After(timeout_ms)});
}

std::int64_t Nanoseconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

Future<ReadResult> Start(cairn_dram* store, const cairn_dram_read_item& item) {
  return StoreOf(store).Read(View(item.key, item.key_size), From(item.options));
}
Future<WriteResult> Start(cairn_dram* store, const cairn_dram_write_item& item) {
  return StoreOf(store).Write(View(item.key, item.key_size),
                              Buffer::Borrow(View(item.value, item.value_size)),
                              From(item.options));
}

void Fill(cairn_dram_read_item* item, Result<ReadResult> read) {
  item->status = Give(read.status());
  item->result = {};
  item->time_ns = 0;
  if (!read.ok()) return;
  item->time_ns = Nanoseconds(read->time);
  item->result = To(*std::move(read));
}
void Fill(cairn_dram_write_item* item, const Result<WriteResult>& written) {
  item->status = Give(written.status());
  item->generation = written.ok() ? To(written->generation) : cairn_generation{};
  item->time_ns = written.ok() ? Nanoseconds(written->time) : 0;
}

template <class Item>
auto StartAll(cairn_dram* store, Item* items, std::size_t count) {
  if (count != 0) (void)Need(items);
  std::vector<decltype(Start(store, *items))> futures;
  futures.reserve(count);
  for (std::size_t i = 0; i < count; ++i) futures.push_back(Start(store, items[i]));
  return futures;
}

template <class Item>
void RunBatch(cairn_dram* store, Item* items, std::size_t count) {
  auto futures = StartAll(store, items, count);
  for (std::size_t i = 0; i < count; ++i) Fill(&items[i], futures[i].Get());
}

template <class Item>
cairn_operation* StartBatch(cairn_dram* store, Item* items, std::size_t count,
                            void (*callback)(void*, Item*, std::size_t), void* argument) {
  auto futures = StartAll(store, items, count);
  std::vector<std::function<void()>> cancellers;
  cancellers.reserve(count);
  for (auto& future : futures) cancellers.push_back(future.Canceller());
  auto* const operation = new cairn_operation{[cancellers = std::move(cancellers)] {
    for (const auto& cancel : cancellers) cancel();
  }};
  // One more, for this function: the callback may free the items.
  const auto left = std::make_shared<std::atomic<std::size_t>>(count + 1);
  const auto one_less = [=] {
    if (left->fetch_sub(1) == 1) callback(argument, items, count);
  };
  for (std::size_t i = 0; i < count; ++i) {
    futures[i].OnReady([one_less, item = &items[i]](auto result) {
      Fill(item, std::move(result));
      one_less();
    });
  }
  one_less();
  return operation;
}

}  // namespace

extern "C" {

size_t cairn_dram_prefix_end(const void* prefix, size_t prefix_size, void* end) {
  const auto range = cairn::dram::KeyRange::Prefix(std::string(View(prefix, prefix_size)));
  const std::string& found = range.exclusive_max;
  if (!found.empty()) std::memcpy(end, found.data(), found.size());
  return found.size();
}

cairn_status* cairn_dram_delete_range(cairn_dram* store, const void* min, size_t min_size,
                                      const void* max, size_t max_size, uint64_t* deleted) {
  return cairn_dram_delete_range_within(store, min, min_size, max, max_size, 0, deleted);
}
cairn_status* cairn_dram_delete_range_within(cairn_dram* store, const void* min, size_t min_size,
                                             const void* max, size_t max_size, uint64_t timeout_ms,
                                             uint64_t* deleted) {
  const auto result =
      StoreOf(store).DeleteRange(RangeOf(min, min_size, max, max_size), After(timeout_ms)).Get();
  if (!result.ok()) return Give(result.status());
  if (deleted != nullptr) *deleted = *result;
  return nullptr;
}
cairn_operation* cairn_dram_delete_range_async(cairn_dram* store, const void* min, size_t min_size,
                                               const void* max, size_t max_size,
                                               uint64_t timeout_ms,
                                               cairn_dram_delete_range_callback callback,
                                               void* argument) {
  auto future =
      StoreOf(store).DeleteRange(RangeOf(min, min_size, max, max_size), After(timeout_ms));
  auto* const operation = new cairn_operation{future.Canceller()};
  future.OnReady([callback, argument](const Result<std::uint64_t>& deleted) {
    callback(argument, Give(deleted.status()), deleted.ok() ? *deleted : 0);
  });
  return operation;
}

cairn_status* cairn_dram_list(cairn_dram* store, const void* min, size_t min_size, const void* max,
                              size_t max_size, size_t strip_prefix, cairn_list** list) {
  return cairn_dram_list_within(store, min, min_size, max, max_size, strip_prefix, 0, list);
}
cairn_status* cairn_dram_list_within(cairn_dram* store, const void* min, size_t min_size,
                                     const void* max, size_t max_size, size_t strip_prefix,
                                     uint64_t timeout_ms, cairn_list** list) {
  auto listed = List(store, RangeOf(min, min_size, max, max_size), strip_prefix, timeout_ms).Get();
  if (!listed.ok()) return Give(listed.status());
  *list = new cairn_list{*std::move(listed)};
  return nullptr;
}
cairn_operation* cairn_dram_list_async(cairn_dram* store, const void* min, size_t min_size,
                                       const void* max, size_t max_size, size_t strip_prefix,
                                       uint64_t timeout_ms, cairn_dram_list_callback callback,
                                       void* argument) {
  auto future = List(store, RangeOf(min, min_size, max, max_size), strip_prefix, timeout_ms);
  auto* const operation = new cairn_operation{future.Canceller()};
  future.OnReady([callback, argument](Result<std::vector<ListEntry>> listed) {
    callback(argument, Give(listed.status()),
             listed.ok() ? new cairn_list{*std::move(listed)} : nullptr);
  });
  return operation;
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

void cairn_dram_read_batch(cairn_dram* store, cairn_dram_read_item* items, size_t count) {
  RunBatch(store, items, count);
}
void cairn_dram_write_batch(cairn_dram* store, cairn_dram_write_item* items, size_t count) {
  RunBatch(store, items, count);
}
cairn_operation* cairn_dram_read_batch_async(cairn_dram* store, cairn_dram_read_item* items,
                                             size_t count, cairn_dram_read_batch_callback callback,
                                             void* argument) {
  return StartBatch(store, items, count, callback, argument);
}
cairn_operation* cairn_dram_write_batch_async(cairn_dram* store, cairn_dram_write_item* items,
                                              size_t count,
                                              cairn_dram_write_batch_callback callback,
                                              void* argument) {
  return StartBatch(store, items, count, callback, argument);
}

}  // extern "C"

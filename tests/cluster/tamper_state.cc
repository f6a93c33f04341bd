// Changes a node's state behind its back, for tests: one key of the default family in the database
// of a node that is stopped.
//
//   tamper_state FOLDER set KEY VALUE | delete KEY
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "src/base/file.h"
#include "src/storage/rocksdb/rocksdb_engine.h"
#include "src/storage/swap_engine.h"

namespace cairn {
namespace {

Status Tamper(const std::string& folder, const std::string& what, const std::string& key,
              const std::string& value) {
  storage::SwapEngineOptions options;
  options.files = PosixFileSystem();
  options.directory = folder;
  options.open = [](const std::string& path) -> Result<std::shared_ptr<storage::Engine>> {
    CAIRN_ASSIGN_OR_RETURN(auto engine,
                           storage::RocksDbEngine::Open(storage::RocksDbOptions(), path));
    return std::shared_ptr<storage::Engine>(std::move(engine));
  };
  CAIRN_ASSIGN_OR_RETURN(const auto engine, storage::SwapEngine::Open(options));
  const storage::StateMeta meta = engine->Meta();
  storage::WriteBatch batch;
  if (what == "set") {
    batch.Put(FamilyId(), key, value, meta.version);
  } else {
    batch.Delete(FamilyId(), key, meta.version);
  }
  CAIRN_RETURN_IF_ERROR(engine->Write(batch, meta));
  return engine->Flush();
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool set = words.size() == 4 && words[1] == "set";
  if (!set && !(words.size() == 3 && words[1] == "delete")) {
    std::cerr << "tamper_state FOLDER set KEY VALUE | delete KEY\n";
    return 2;
  }
  const cairn::Status status =
      cairn::Tamper(words[0], words[1], words[2], set ? words[3] : std::string());
  if (!status.ok()) std::cerr << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}

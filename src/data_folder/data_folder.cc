#include "src/data_folder/data_folder.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

namespace cairn {
namespace {

constexpr char kFirstLine[] = "cairn identity 1\n";

std::string Hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, value);
  return text;
}

// Takes "`name` <16 hex digits>\n" from the front of `text`.
std::optional<std::uint64_t> TakeHexLine(std::string_view name, std::string_view* text) {
  const std::size_t size = name.size() + 1 + 16 + 1;
  if (text->size() < size || text->substr(0, name.size()) != name || (*text)[name.size()] != ' ' ||
      (*text)[size - 1] != '\n') {
    return std::nullopt;
  }
  const std::string_view digits = text->substr(name.size() + 1, 16);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  // The same value in capitals would not be what Encode writes.
  if (error != std::errc() || end != digits.data() + digits.size() || Hex(value) != digits) {
    return std::nullopt;
  }
  text->remove_prefix(size);
  return value;
}

// Does the folder hold a file whose name ends so?
Result<bool> HoldsFiles(FileSystem* files, const std::string& path, std::string_view ending) {
  if (!files->IsDirectory(path)) return false;
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(path));
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name.ends_with(ending); });
}

Status CheckNewFolder(FileSystem* files, const std::string& path) {
  for (const char* name : {"/journal", "/db", "/DATABASE", "/FORMATION"}) {
    if (!files->Exists(path + name)) continue;
    return CorruptionError("'" + path + "' holds data ('" + path + name +
                           "') but no IDENTITY file; "
                           "restore '" +
                           path + "/IDENTITY', or move the folder away to start empty");
  }
  if (files->Exists(path + "/CURRENT")) {
    return FailedPreconditionError(
        "'" + path + "' holds the database of another program ('" + path +
        "/CURRENT'); choose an empty folder with --data-dir or [database] base_path");
  }
  return Status::Ok();
}

Status CheckKnownFolder(FileSystem* files, const std::string& path) {
  // Once a snapshot was installed, the state is where DATABASE says (docs/formats/database.md).
  CAIRN_ASSIGN_OR_RETURN(const bool first, HoldsFiles(files, path + "/db", ""));
  const bool database = first || files->Exists(path + "/DATABASE");
  // Spare segments (".free") hold nothing.
  CAIRN_ASSIGN_OR_RETURN(const bool journal, HoldsFiles(files, path + "/journal", ".seg"));
  if (journal) return Status::Ok();
  if (files->Exists(DataFolder::FormationPath(path))) {
    // It would vote with an empty log, and might vote again where it has voted.
    return CorruptionError("'" + path + "' is a cluster member's, but its '" + path +
                           "/journal' is missing, and with it what the node acknowledged and "
                           "voted; restore that folder, or empty '" +
                           path +
                           "' whole, IDENTITY and FORMATION too, and let it rejoin as a new node "
                           "(cairn cluster replace)");
  }
  if (!database) return Status::Ok();
  return CorruptionError("'" + path +
                         "' holds a database but no journal: acknowledged writes that "
                         "were only in '" +
                         path +
                         "/journal' would be lost; restore that folder, or "
                         "all of '" +
                         path + "' from a backup");
}

}  // namespace

std::string Identity::Encode() const {
  std::string text = kFirstLine;
  text += "incarnation " + Hex(incarnation.value()) + "\n";
  text += "cluster " + Hex(cluster) + "\n";
  text += "group " + Hex(group.value()) + "\n";
  return text + "checksum " + Hex(XXH3_64bits(text.data(), text.size())) + "\n";
}

Result<Identity> Identity::Decode(std::string_view text) {
  const std::string_view first_line = kFirstLine;
  if (!text.starts_with(first_line)) {
    if (text.starts_with("cairn identity ")) {
      return CorruptionError("it has a format that this version does not know");
    }
    return CorruptionError("it does not begin with 'cairn identity 1'");
  }
  std::string_view rest = text.substr(first_line.size());
  const auto incarnation = TakeHexLine("incarnation", &rest);
  const auto cluster = TakeHexLine("cluster", &rest);
  const auto group = TakeHexLine("group", &rest);
  const std::size_t covered = text.size() - rest.size();
  const auto checksum = TakeHexLine("checksum", &rest);
  if (!incarnation || !cluster || !group || !checksum || !rest.empty()) {
    return CorruptionError(
        "line " + std::to_string(1 + std::count(text.begin(), text.begin() + covered, '\n')) +
        " is not as expected");
  }
  if (*checksum != XXH3_64bits(text.data(), covered)) {
    return CorruptionError("its checksum does not match");
  }
  if (*group > GroupId::Max().value()) return CorruptionError("its group number is out of range");
  return Identity{IncarnationId(*incarnation), *cluster,
                  GroupId(static_cast<GroupId::rep>(*group))};
}

DataFolder::DataFolder(std::string path, std::unique_ptr<FileLock> lock, Identity identity,
                       bool created)
    : path_(std::move(path)), lock_(std::move(lock)), identity_(identity), created_(created) {}

Result<std::unique_ptr<DataFolder>> DataFolder::Open(const std::string& path, GroupId group,
                                                     FileSystem* files, Random* random) {
  CAIRN_RETURN_IF_ERROR(files->CreateDirectories(path));
  CAIRN_ASSIGN_OR_RETURN(std::unique_ptr<FileLock> lock, files->Lock(path + "/LOCK"));
  const std::string file = path + "/IDENTITY";
  if (!files->Exists(file)) {
    CAIRN_RETURN_IF_ERROR(CheckNewFolder(files, path));
    const Identity identity{IncarnationId(random->Next()), 0, group};
    CAIRN_RETURN_IF_ERROR(files->WriteFileAtomically(file, identity.Encode()));
    return std::unique_ptr<DataFolder>(new DataFolder(path, std::move(lock), identity, true));
  }
  CAIRN_ASSIGN_OR_RETURN(const std::string text, files->ReadFile(file));
  const Result<Identity> identity = Identity::Decode(text);
  if (!identity.ok()) {
    return CorruptionError("'" + file + "' is damaged: " + identity.status().message() +
                           "; restore it from a backup");
  }
  if (identity->group != group) {
    return FailedPreconditionError("'" + path + "' holds group " + ToString(identity->group) +
                                   ", not group " + ToString(group));
  }
  CAIRN_RETURN_IF_ERROR(CheckKnownFolder(files, path));
  return std::unique_ptr<DataFolder>(new DataFolder(path, std::move(lock), *identity, false));
}

}  // namespace cairn

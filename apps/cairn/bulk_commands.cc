// dump and load.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <utility>

#include "apps/cairn/bulk.h"
#include "apps/cairn/context.h"
#include "apps/cairn/dump_file.h"
#include "apps/cairn/load_job.h"
#include "apps/cairn/range_scan.h"

namespace cairn::cli {
namespace {

const std::string kDefault = "default";

std::optional<dump::Format> FormatOf(const std::string& name) {
  if (name == "text") return dump::Format::kText;
  if (name == "jsonl") return dump::Format::kJsonLines;
  return std::nullopt;
}

Failure FileFailure(const Status& status) {
  return {kRefused, std::string(StatusCodeName(status.code())), status.message()};
}

// One dump, from its beginning or from where it was interrupted.
class DumpJob {
 public:
  DumpJob(Context* context, const Invocation& in)
      : context_(*context),
        in_(in),
        format_(*FormatOf(in.Required("format"))),
        writer_(format_),
        progress_(in.Required("progress"), "dumped") {}

  MaybeFailure Run() {
    if (auto failure = Open()) return failure;
    if (!whole_) {
      if (auto failure = Copy()) return failure;
      if (Status status = file_.Write(writer_.Footer()); !status.ok()) return FileFailure(status);
    }
    if (Status status = file_.Finish(); !status.ok()) return FileFailure(status);
    progress_.Finish(writer_.count(), file_.bytes());
    return std::nullopt;
  }

  void Report() const {
    const std::vector<std::string> others = OtherFamilies();
    if (context_.options().json) {
      Context::Print({{"dumped", writer_.count()},
                      {"resumed_after", resumed_after_},
                      {"bytes", file_.bytes()},
                      {"version", version_},
                      {"other_column_families", others}});
    } else if (!others.empty() && !in_.Has("prefix")) {
      std::cerr << "cairn: not in this dump: column family";
      for (const std::string& name : others) std::cerr << " " << ShownFamily(name);
      std::cerr << "; --all-families dumps all, --column-family NAME another one\n";
    }
  }

 private:
  // Those that were not dumped; none if the node does not say.
  [[nodiscard]] std::vector<std::string> OtherFamilies() const {
    std::vector<std::string> names;
    if (in_.Has("all-families")) return names;
    const std::string& own = context_.options().column_family;
    if (ListFamilies(&context_, &names)) return {};
    std::erase(names, own.empty() ? kDefault : own);
    return names;
  }

  MaybeFailure Open() {
    std::string prefix;
    if (in_.Has("prefix")) {
      auto bytes = context_.Bytes(in_.Required("prefix"), "--prefix");
      if (!bytes.ok()) return UsageFailure(bytes.status());
      prefix = *std::move(bytes);
    }
    range_ = whole_range_ = RangeRequest::WithPrefix(prefix);
    prefix_ = std::move(prefix);
    version_ = in_.Number("at-version").value_or(0);
    const auto path = in_.Text("out");
    if (!path.has_value() || *path == "-") {
      if (in_.Has("resume")) return UsageFailure("--resume needs --out FILE");
      if (context_.options().json) {
        return UsageFailure("--json needs --out FILE: standard output holds the dump");
      }
      file_.UseStandardOutput();
      return std::nullopt;
    }
    if (in_.Has("resume")) {
      auto resumed = file_.Resume(*path, format_, &writer_);
      if (!resumed.ok()) return FileFailure(resumed.status());
      if (resumed->has_value()) return GoOn(**resumed);
      if (std::filesystem::is_regular_file(*path)) {
        return UsageFailure("'" + *path + "' is whole: there is nothing to resume");
      }
    }
    if (Status status = file_.Create(*path); !status.ok()) return FileFailure(status);
    return std::nullopt;
  }

  MaybeFailure GoOn(const DumpProgress& progress) {
    const auto version = static_cast<std::uint64_t>(progress.version);
    if (version_ != 0 && version_ != version) {
      return UsageFailure("what is there is of version " + std::to_string(version));
    }
    if (progress.of_families != in_.Has("all-families")) {
      return UsageFailure(progress.of_families
                              ? "what is there is of all families: give --all-families"
                              : "what is there is of one family: leave --all-families out");
    }
    if (progress.scope != Scope()) {
      std::string problem = "what is there is of " + progress.scope + ", and not of " + Scope() +
                            "; ask for the same, or remove the file";
      std::replace(problem.begin(), problem.end(), '\t', ' ');
      return UsageFailure(std::move(problem));
    }
    version_ = version;
    resumed_family_ = progress.family;
    whole_ = progress.whole;
    begun_ = true;
    resumed_after_ = writer_.count();
    if (progress.last_key.has_value()) {
      range_.begin = KeySelector::FirstGreaterThan(*progress.last_key);
    }
    return std::nullopt;
  }

  // All pairs: of the one family, or of all.
  MaybeFailure Copy() {
    if (!in_.Has("all-families")) return CopyFamily(context_.options().column_family);
    if (version_ == 0) {
      if (auto failure = TakeVersion()) return failure;
    }
    std::vector<std::string> names;
    if (auto failure = ListFamilies(&context_, &names)) return failure;
    if (resumed_family_.has_value() &&
        std::find(names.begin(), names.end(), *resumed_family_) == names.end()) {
      return Failure{kRefused, "NOT_FOUND",
                     "column family '" + ShownFamily(*resumed_family_) +
                         "', which the file ends in, is gone; remove the file to dump anew"};
    }
    if (Status status = Begin(); !status.ok()) return FileFailure(status);
    for (const std::string& name : names) {
      const bool resumed = resumed_family_ == name;
      // The list is in the order of the dump: the default one, then by name.
      if (resumed_family_.has_value() && !resumed &&
          (name == kDefault || (*resumed_family_ != kDefault && name < *resumed_family_))) {
        continue;
      }
      if (!resumed) {
        range_.begin = whole_range_.begin;
        if (Status status = file_.Write(writer_.Family(name)); !status.ok()) {
          return FileFailure(status);
        }
      }
      if (auto failure = CopyFamily(name == kDefault ? "" : name)) return failure;
    }
    return std::nullopt;
  }

  // The one version that all families are read at.
  MaybeFailure TakeVersion() {
    Client* client = nullptr;
    if (auto failure = context_.Connect(&client)) return failure;
    const auto newest = client->GetReadVersion(context_.Reading());
    if (!newest.ok()) return FailureOf(newest.status());
    version_ = *newest;
    return std::nullopt;
  }

  MaybeFailure CopyFamily(const std::string& family) {
    RangeScan scan(&context_, range_, version_);
    scan.UseFamily(family);
    std::uint64_t tries_left = *in_.Number("retry");
    Status written;
    const auto write = [&](const std::string& key, const std::string& value) {
      version_ = scan.version();
      written = Write(key, value);
      progress_.Step(writer_.count(), file_.bytes());
      return written.ok();
    };
    for (std::uint32_t attempt = 0;; ++attempt) {
      const std::uint64_t before = writer_.count();
      auto failure = scan.Run(write);
      if (!written.ok()) return FileFailure(written);
      if (!failure.has_value()) break;
      if (writer_.count() > before) attempt = 0;
      if (TryAgain(*failure, &tries_left, attempt)) continue;
      if (failure->code == "TRANSACTION_TOO_OLD") {
        failure->message += "; dump anew, or raise [storage] mvcc_window_seconds first";
      }
      return failure;
    }
    version_ = scan.version();
    if (Status status = Begin(); !status.ok()) return FileFailure(status);
    return std::nullopt;
  }

  // The header, once.
  Status Begin() {
    if (std::exchange(begun_, true)) return Status::Ok();
    return file_.Write(
        writer_.Header(static_cast<std::int64_t>(version_), in_.Has("all-families"), Scope()));
  }

  // What is asked for, but for the version: only the same request may go on with a dump. Between
  // the parts stands a tab, which is in no escaped text.
  [[nodiscard]] std::string Scope() const {
    std::string scope = "all families";
    if (!in_.Has("all-families")) scope = "family " + ShownFamily(context_.options().column_family);
    if (!prefix_.empty()) scope += "\tprefix " + text::ToText(prefix_, TextForm::kEscaped);
    return scope;
  }

  Status Write(const std::string& key, const std::string& value) {
    CAIRN_RETURN_IF_ERROR(Begin());
    return file_.Write(writer_.Line(key, value));
  }

  Context& context_;
  const Invocation& in_;
  const dump::Format format_;
  dump::Writer writer_;
  DumpFile file_;
  Progress progress_;
  std::string prefix_;
  RangeRequest whole_range_;
  RangeRequest range_;  // what is left of it, of the family that is read
  std::optional<std::string> resumed_family_;
  std::uint64_t version_ = 0;  // 0: not known yet
  std::uint64_t resumed_after_ = 0;
  bool begun_ = false;
  bool whole_ = false;
};

ExitCode RunDump(Context& context, const Invocation& in) {
  DumpJob job(&context, in);
  if (const auto failure = job.Run()) return context.Fail(*failure);
  job.Report();
  return kSuccess;
}

std::string Families(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " column family" : " column families");
}

ExitCode RunLoad(Context& context, const Invocation& in) {
  const std::string path = in.Required("FILE");
  std::ifstream file;
  if (path == "-") {
    if (const auto failure =
            context.BeginStandardInput("keys and values (cairn load FILE reads a file)")) {
      return context.Fail(*failure);
    }
  } else {
    file.open(path, std::ios::binary);
  }
  if (!file) return context.Fail(UsageFailure("cannot read '" + path + "'"));
  LoadOptions options{.format = FormatOf(in.Required("format")),
                      .batch_bytes = *in.Number("batch-bytes"),
                      .tries = *in.Number("retry"),
                      .resume_file = in.Text("resume-file").value_or(""),
                      .progress = in.Required("progress")};
  LoadJob job(&context, std::move(options));
  if (const auto failure = job.Run(path == "-" ? std::cin : static_cast<std::istream&>(file))) {
    return context.Fail(*failure);
  }
  const LoadResult& result = job.result();
  if (context.options().json) {
    nlohmann::ordered_json document = {{"loaded", result.loaded},
                                       {"skipped", result.skipped},
                                       {"batches", result.batches},
                                       {"bytes", result.bytes},
                                       {"version", result.version}};
    if (!result.families.empty()) document["column_families"] = result.families;
    Context::Print(document);
  } else {
    std::cout << "loaded " << result.loaded << " keys";
    if (result.skipped > 0) std::cout << " (" << result.skipped << " were there already)";
    if (!result.families.empty()) std::cout << " in " << Families(result.families.size());
    std::cout << std::endl;
  }
  return kSuccess;
}

CommandDef DumpDef() {
  return {.name = "dump",
          .summary = "Writes all keys and values of one column family or all, as of one version",
          .description =
              {"Of the default column family, unless --column-family names another; what there is "
               "besides it says on standard error. With --all-families, of all of them; cairn load "
               "then makes those that are missing.",
               "To standard output, or with --out to a file that has its name only once it "
               "is whole; until then it is FILE.part. A device or pipe is written to as it is. If "
               "the dump is interrupted, --resume "
               "goes on with that, at the same version, as long as the node keeps it. Memory "
               "is bounded, however much there is."},
          .options = {{.name = "out",
                       .kind = ValueKind::kFile,
                       .value_name = "FILE",
                       .help = "Writes to this file"},
                      {.name = "resume", .help = "Goes on with FILE.part, if there is one"},
                      {.name = "format",
                       .kind = ValueKind::kChoice,
                       .value_name = "FORMAT",
                       .help = "Text with C escapes, or JSON lines",
                       .default_value = "text",
                       .choices = {"text", "jsonl"}},
                      {.name = "all-families",
                       .help = "All column families",
                       .excludes = {"column-family"}},
                      {.name = "prefix",
                       .kind = ValueKind::kBytes,
                       .value_name = "KEY",
                       .help = "Only keys that start with this"},
                      {.name = "at-version",
                       .kind = ValueKind::kNumber,
                       .value_name = "V",
                       .help = "As of this version, as long as the node keeps it",
                       .min = 1,
                       .max = std::numeric_limits<std::int64_t>::max()},
                      RetryOption(),
                      ProgressOption()},
          .common = kReadOptions,
          .examples = {
              {"cairn dump --all-families | gzip > all.gz", "Everything, packed"},
              {"cairn dump --out all.txt --resume", "To a file; again, if it was interrupted"}}};
}

CommandDef LoadDef() {
  return {
      .name = "load",
      .summary = "Sets the keys and values of a dump",
      .description =
          {"In batches, each a transaction. Loading again what is loaded already does no "
           "harm, so an interrupted load can simply be repeated; --resume-file spares "
           "the time. A dump that was cut or changed is noticed at its end.",
           "Hand-written files have a key, a tab and a value on each line, with C "
           "escapes, or a JSON object with key and value."},
      .arguments = {{.name = "FILE",
                     .kind = ValueKind::kFile,
                     .help = "What dump has written; '-': standard input",
                     .required = false,
                     .default_value = "-"}},
      .options = {{.name = "format",
                   .kind = ValueKind::kChoice,
                   .value_name = "FORMAT",
                   .help = "Of the input; auto: its first line tells",
                   .default_value = "auto",
                   .choices = {"auto", "text", "jsonl"}},
                  {.name = "batch-bytes",
                   .kind = ValueKind::kSize,
                   .value_name = "BYTES",
                   .help = "Keys and values of a transaction",
                   .default_value = "1MiB",
                   .min = 1,
                   .max = 8 << 20},
                  {.name = "resume-file",
                   .kind = ValueKind::kFile,
                   .value_name = "FILE",
                   .help =
                       "Notes there how far it is, and goes on from there if it exists; removed "
                       "at the end"},
                  RetryOption(),
                  ProgressOption()},
      .common = {"endpoints", "timeout-ms", "json", "column-family"},
      .examples = {{"cairn load < all.txt", "Load a dump"},
                   {"gunzip -c all.gz | cairn load --resume-file load.state",
                    "The same, in a way that can be interrupted"}}};
}

}  // namespace

std::vector<Command> BulkCommands() { return {{DumpDef(), RunDump}, {LoadDef(), RunLoad}}; }

}  // namespace cairn::cli

#include "tests/base/faulty_file_system.h"

#include <cerrno>
#include <cstdlib>
#include <map>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::testing {
namespace {

// Durability of the bytes of one written file.
struct FileRecord {
  std::uint64_t size_bytes = 0;
  std::uint64_t durable_bytes = 0;
  fs::path overwritten;  // backup of the content truncated by O_TRUNC, until the first sync
};
using Records = std::map<fs::path, std::shared_ptr<FileRecord>>;

// A name change that is not yet durable.
struct NameChange {
  enum class Kind { kCreated, kRenamed, kRemoved } kind;
  fs::path path;
  fs::path from;        // of kRenamed
  fs::path backup;      // previous content of `path`, empty if none
  Records old_records;  // of the files in `backup`, by their original paths
};

bool is_within(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

fs::path moved(const fs::path& path, const fs::path& from, const fs::path& to) {
  if (path == from) return to;
  return is_within(path, from) ? to / path.lexically_relative(from) : path;
}

fs::path normal(const fs::path& path) {
  fs::path result = fs::absolute(path).lexically_normal();
  return result.has_filename() ? result : result.parent_path();
}

bool needs_space(std::string_view operation) {
  return operation != "remove_all" && operation != "truncate" && operation != "sync_directory";
}

int error_number(Fault fault) {
  if (fault == Fault::kIoError) return EIO;
  return fault == Fault::kQuota ? EDQUOT : ENOSPC;
}

}  // namespace

class FaultyFileSystem::Disk {
 public:
  explicit Disk(FaultPlan plan) : plan_(std::move(plan)) {
    std::string pattern = (fs::temp_directory_path() / "sluice-faulty-XXXXXX").string();
    invariant(mkdtemp(pattern.data()) != nullptr, "cannot create a temporary directory");
    backups_ = pattern;
  }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  ~Disk() {
    std::error_code ignored;
    fs::remove_all(backups_, ignored);
  }

  // Called before each operation: counts it, then crashes or fails according to the plan. True if a
  // write must stop half-way.
  bool begin(std::string_view operation, const fs::path& path, std::string_view detail = "") {
    if (plan_.crash_after && num_operations() >= *plan_.crash_after) crashed_ = true;
    if (crashed_) throw Crash{num_operations()};
    operations_.push_back(cat(operation, " ", path.string(), detail.empty() ? "" : " ", detail));
    const std::int64_t number = num_operations();
    const bool planned =
        plan_.fail_at && number >= *plan_.fail_at && number < *plan_.fail_at + plan_.fail_count;
    if (!planned || (plan_.fault != Fault::kIoError && !needs_space(operation))) return false;
    if (plan_.fault == Fault::kShortWrite && operation == "write") return true;
    fail_as_planned(operation, path);
  }

  [[noreturn]] void fail_as_planned(std::string_view operation, const fs::path& path) const {
    fail(ExitCode::kIo, path.string(),
         cat(operation, " failed: ", std::generic_category().message(error_number(plan_.fault))),
         "a fault injected by a test");
  }

  std::shared_ptr<FileRecord> opened(const fs::path& path, Mode mode) {
    const bool existed = fs::exists(path);
    std::shared_ptr<FileRecord>& record = records_[path];
    if (record == nullptr) {
      record = std::make_shared<FileRecord>();
      record->size_bytes = record->durable_bytes = existed ? fs::file_size(path) : 0;
    }
    if (!existed)
      changes_.push_back({.kind = NameChange::Kind::kCreated,
                          .path = path,
                          .from = {},
                          .backup = {},
                          .old_records = {}});
    if (existed && mode == Mode::kCreate) {
      if (record->overwritten.empty()) {
        record->overwritten = new_backup();
        fs::copy_file(path, record->overwritten);
        fs::resize_file(record->overwritten, record->durable_bytes);
      }
      record->size_bytes = record->durable_bytes = 0;
    }
    return record;
  }

  void renamed(const fs::path& from, const fs::path& to) {
    if (!fs::exists(from)) return real_files().rename(from, to);  // fails
    NameChange change{.kind = NameChange::Kind::kRenamed,
                      .path = to,
                      .from = from,
                      .backup = {},
                      .old_records = {}};
    if (fs::exists(to)) back_up(to, change);
    real_files().rename(from, to);
    move_records(from, to);
    changes_.push_back(std::move(change));
  }

  void removed(const fs::path& path) {
    if (!fs::exists(fs::symlink_status(path))) return;
    NameChange change{.kind = NameChange::Kind::kRemoved,
                      .path = path,
                      .from = {},
                      .backup = {},
                      .old_records = {}};
    back_up(path, change);
    changes_.push_back(std::move(change));
  }

  void directory_synced(const fs::path& path) {
    std::erase_if(changes_,
                  [&](const NameChange& change) { return change.path.parent_path() == path; });
  }

  void truncated(const fs::path& path, std::uint64_t size_bytes) {
    if (const auto found = records_.find(path); found != records_.end())
      *found->second = {size_bytes, size_bytes, {}};
  }

  void apply_power_cut() {
    if (plan_.survival == Survival::kNothingUnsynced) {
      while (!changes_.empty()) {
        const NameChange change = std::move(changes_.back());
        changes_.pop_back();
        undo(change);
      }
    }
    if (plan_.survival == Survival::kEverything) return;
    for (const auto& [path, record] : records_) revert_bytes(path, *record);
  }

  std::int64_t num_operations() const { return static_cast<std::int64_t>(operations_.size()); }
  const std::vector<std::string>& operations() const { return operations_; }
  bool crashed() const { return crashed_; }
  const FaultPlan& plan() const { return plan_; }

 private:
  fs::path new_backup() { return backups_ / std::to_string(num_backups_++); }

  // Backs up `path`, to be restored if `change` is undone.
  void back_up(const fs::path& path, NameChange& change) {
    change.backup = new_backup();
    fs::copy(path, change.backup, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    for (auto entry = records_.begin(); entry != records_.end();) {
      const bool inside = entry->first == path || is_within(entry->first, path);
      if (inside) change.old_records.insert(*entry);
      entry = inside ? records_.erase(entry) : std::next(entry);
    }
    if (change.kind == NameChange::Kind::kRemoved || fs::is_directory(path)) fs::remove_all(path);
  }

  void move_records(const fs::path& from, const fs::path& to) {
    Records renamed;
    for (const auto& [path, record] : records_) renamed[moved(path, from, to)] = record;
    records_ = std::move(renamed);
    for (NameChange& change : changes_) {
      change.path = moved(change.path, from, to);
      if (!change.from.empty()) change.from = moved(change.from, from, to);
    }
  }

  void undo(const NameChange& change) {
    if (change.kind == NameChange::Kind::kRenamed) {
      fs::rename(change.path, change.from);
      move_records(change.path, change.from);
    }
    if (change.kind == NameChange::Kind::kCreated) {
      fs::remove(change.path);
      records_.erase(change.path);
    }
    if (change.backup.empty()) return;
    fs::copy(change.backup, change.path,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    records_.insert(change.old_records.begin(), change.old_records.end());
  }

  void revert_bytes(const fs::path& path, const FileRecord& record) const {
    if (!fs::exists(path)) return;
    if (plan_.survival == Survival::kNothingUnsynced && !record.overwritten.empty()) {
      fs::copy_file(record.overwritten, path, fs::copy_options::overwrite_existing);
      return;
    }
    const std::uint64_t unsynced = record.size_bytes - record.durable_bytes;
    fs::resize_file(
        path, record.durable_bytes + (plan_.survival == Survival::kTornWrites ? unsynced / 2 : 0));
  }

  FaultPlan plan_;
  fs::path backups_;
  int num_backups_ = 0;
  std::vector<std::string> operations_;
  bool crashed_ = false;
  Records records_;
  std::vector<NameChange> changes_;
};

class FaultyFileSystem::File final : public OutputFile {
 public:
  File(std::shared_ptr<Disk> disk, fs::path path, std::unique_ptr<OutputFile> real,
       std::shared_ptr<FileRecord> record)
      : disk_(std::move(disk)),
        path_(std::move(path)),
        real_(std::move(real)),
        record_(std::move(record)) {}

  using OutputFile::write;
  void write(std::span<const std::byte> bytes) override {
    const bool stops_halfway = disk_->begin("write", path_, std::to_string(bytes.size()));
    const auto written = stops_halfway ? bytes.first(bytes.size() / 2) : bytes;
    real_->write(written);
    record_->size_bytes += written.size();
    if (stops_halfway) disk_->fail_as_planned("write", path_);
  }

  void sync() override {
    disk_->begin("sync", path_);
    record_->durable_bytes = record_->size_bytes;
    record_->overwritten.clear();
  }

  void close() override {
    disk_->begin("close", path_);
    real_->close();
  }

 private:
  std::shared_ptr<Disk> disk_;
  fs::path path_;
  std::unique_ptr<OutputFile> real_;
  std::shared_ptr<FileRecord> record_;
};

FaultyFileSystem::FaultyFileSystem(FaultPlan plan)
    : disk_(std::make_shared<Disk>(std::move(plan))) {}
FaultyFileSystem::~FaultyFileSystem() = default;

std::unique_ptr<OutputFile> FaultyFileSystem::open(const fs::path& path, Mode mode) {
  const fs::path location = normal(path);
  disk_->begin("open", location, mode == Mode::kCreate ? "create" : "append");
  if (!fs::is_directory(location.parent_path()) || fs::is_directory(location))
    return real_files().open(location, mode);  // fails
  std::shared_ptr<FileRecord> record = disk_->opened(location, mode);
  return std::make_unique<File>(disk_, location, real_files().open(location, mode),
                                std::move(record));
}

void FaultyFileSystem::rename(const fs::path& from, const fs::path& to) {
  disk_->begin("rename", normal(from), normal(to).string());
  disk_->renamed(normal(from), normal(to));
}

void FaultyFileSystem::create_directories(const fs::path& path) {
  disk_->begin("create_directories", normal(path));
  std::vector<fs::path> parents;
  for (fs::path missing = normal(path); !fs::exists(missing); missing = missing.parent_path())
    parents.push_back(missing.parent_path());
  real_files().create_directories(path);
  for (const fs::path& parent : parents) disk_->directory_synced(parent);
}

void FaultyFileSystem::sync_directory(const fs::path& path) {
  disk_->begin("sync_directory", normal(path));
  if (!fs::is_directory(path)) real_files().sync_directory(path);  // fails
  disk_->directory_synced(normal(path));
}

void FaultyFileSystem::truncate(const fs::path& path, std::uint64_t size_bytes) {
  disk_->begin("truncate", normal(path), std::to_string(size_bytes));
  real_files().truncate(path, size_bytes);
  disk_->truncated(normal(path), size_bytes);
}

void FaultyFileSystem::remove_all(const fs::path& path) {
  disk_->begin("remove_all", normal(path));
  disk_->removed(normal(path));
}

std::uint64_t FaultyFileSystem::free_bytes(const fs::path& path) {
  if (disk_->crashed()) throw Crash{disk_->num_operations()};
  return disk_->plan().free_bytes ? *disk_->plan().free_bytes : real_files().free_bytes(path);
}

std::int64_t FaultyFileSystem::num_operations() const { return disk_->num_operations(); }
std::vector<std::string> FaultyFileSystem::operations() const { return disk_->operations(); }
bool FaultyFileSystem::crashed() const { return disk_->crashed(); }
void FaultyFileSystem::apply_power_cut() { disk_->apply_power_cut(); }

}  // namespace sluice::testing

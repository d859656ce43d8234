#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"

namespace sluice {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void fail_io(const fs::path& path, std::string_view action, int error) {
  fail(ExitCode::kIo, path.string(), cat(action, ": ", reason(error)));
}

template <class Call>
auto retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  bool valid() const { return number_ >= 0; }
  // Returns the error number, or 0. After EINTR Linux has already closed the descriptor: a retry
  // could close another file.
  int close() {
    const int result = ::close(std::exchange(number_, -1));
    return result == 0 || errno == EINTR ? 0 : errno;
  }

 private:
  int number_;
};

Descriptor open_descriptor(const fs::path& path, int flags) {
  return Descriptor(retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); }));
}

class PosixOutputFile final : public OutputFile {
 public:
  PosixOutputFile(fs::path path, Descriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  using OutputFile::write;
  void write(std::span<const std::byte> bytes) override {
    invariant(file_.valid(), "write to a closed file");
    while (!bytes.empty()) {
      const ssize_t written =
          retried([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
      if (written < 0) fail_io(path_, cat("cannot write ", bytes.size(), " bytes"), errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  void sync() override {
    invariant(file_.valid(), "sync of a closed file");
    if (retried([&] { return ::fsync(file_.get()); }) != 0) fail_io(path_, "cannot sync", errno);
  }

  void close() override {
    invariant(file_.valid(), "close of a closed file");
    if (const int error = file_.close(); error != 0) fail_io(path_, "cannot close", error);
  }

 private:
  fs::path path_;
  Descriptor file_;
};

class PosixFileSystem final : public FileSystem {
 public:
  std::unique_ptr<OutputFile> open(const fs::path& path, Mode mode) override {
    const int flags = O_WRONLY | O_CREAT | (mode == Mode::kCreate ? O_TRUNC : O_APPEND);
    Descriptor file = open_descriptor(path, flags);
    if (!file.valid()) fail_io(path, "cannot open for writing", errno);
    return std::make_unique<PosixOutputFile>(path, std::move(file));
  }

  void rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0)
      fail_io(from, cat("cannot rename to ", to.string()), errno);
  }

  void create_directories(const fs::path& path) override {
    std::error_code error;
    fs::path first = fs::absolute(path).lexically_normal();
    std::vector<fs::path> parents;  // of the missing directories
    while (first.has_relative_path() && !fs::exists(first, error))
      parents.push_back(first = first.parent_path());
    fs::create_directories(path, error);
    if (error) fail_io(path, "cannot create directory", error.value());
    for (const fs::path& parent : parents) sync_directory(parent);
  }

  void sync_directory(const fs::path& path) override {
    const Descriptor directory = open_descriptor(path, O_RDONLY | O_DIRECTORY);
    if (!directory.valid()) fail_io(path, "cannot open directory", errno);
    const int result = retried([&] { return ::fsync(directory.get()); });
    if (result != 0 && errno != EINVAL)  // EINVAL: not supported by this file system
      fail_io(path, "cannot sync directory", errno);
  }

  void truncate(const fs::path& path, std::uint64_t size_bytes) override {
    const Descriptor file = open_descriptor(path, O_WRONLY);
    const bool done =
        file.valid() &&
        retried([&] { return ::ftruncate(file.get(), static_cast<off_t>(size_bytes)); }) == 0 &&
        retried([&] { return ::fsync(file.get()); }) == 0;
    if (!done) fail_io(path, cat("cannot truncate to ", size_bytes, " bytes"), errno);
  }

  void remove_all(const fs::path& path) override {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) fail_io(path, "cannot remove", error.value());
  }

  std::uint64_t free_bytes(const fs::path& path) override {
    fs::path existing = fs::absolute(path);
    std::error_code ignored;
    while (!fs::exists(existing, ignored) && existing.has_relative_path())
      existing = existing.parent_path();
    struct statvfs info {};
    if (::statvfs(existing.c_str(), &info) != 0)
      fail_io(existing, "cannot determine free space", errno);
    return std::uint64_t{info.f_bavail} * info.f_frsize;
  }
};

Descriptor open_for_reading(const fs::path& path, struct stat& info) {
  // O_NONBLOCK: opening a FIFO without a writer would block and ignore stop requests.
  Descriptor file = open_descriptor(path, O_RDONLY | O_NONBLOCK);
  if (!file.valid() || ::fstat(file.get(), &info) != 0)
    fail(ExitCode::kMissingInput, path.string(), cat("cannot read: ", reason(errno)));
  if (S_ISDIR(info.st_mode))
    fail(ExitCode::kMissingInput, path.string(), cat("cannot read: ", reason(EISDIR)));
  return file;
}

// Waits until bytes or the end of the file can be read. A pipe or a terminal may block forever, and
// read(2) is restarted after a signal (SA_RESTART), so poll for stop requests here.
void wait_for_bytes(const Descriptor& file, const struct stat& info, const fs::path& path) {
  if (S_ISREG(info.st_mode)) return;
  constexpr int kPoll_ms = 200;
  pollfd readable{.fd = file.get(), .events = POLLIN, .revents = 0};
  while (::poll(&readable, 1, kPoll_ms) <= 0) throw_if_stopped(cat("reading ", path.string()));
}

[[noreturn]] void fail_too_large(const fs::path& path, std::uint64_t max_bytes) {
  fail(ExitCode::kBadData, path.string(),
       cat("file exceeds the maximum size of ", human_bytes(max_bytes)));
}

}  // namespace

void FileSystem::write_atomically(const fs::path& path, std::string_view content) {
  fs::path temporary = path;
  temporary += cat(".tmp-", ::getpid(), "-", ::gettid());  // unique per writer
  try {
    const std::unique_ptr<OutputFile> file = open(temporary, Mode::kCreate);
    file->write(content);
    file->sync();
    file->close();
    rename(temporary, path);
  } catch (...) {
    const std::exception_ptr first = std::current_exception();
    try {
      remove_all(temporary);
    } catch (...) {  // report the first error
    }
    std::rethrow_exception(first);
  }
  sync_directory(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

FileSystem& real_files() {
  static PosixFileSystem files;
  return files;
}

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  struct stat info {};
  const Descriptor file = open_for_reading(path, info);
  const auto reported_size = static_cast<std::uint64_t>(info.st_size);
  if (reported_size > max_bytes) fail_too_large(path, max_bytes);
  constexpr std::size_t kPiece = 1 << 16;  // pipes and /proc report size 0
  std::string content(static_cast<std::size_t>(reported_size) + 1, '\0');
  std::size_t size = 0;
  while (true) {
    wait_for_bytes(file, info, path);
    const ssize_t got =
        retried([&] { return ::read(file.get(), content.data() + size, content.size() - size); });
    if (got < 0 && errno == EAGAIN) continue;  // another reader emptied the pipe
    if (got < 0) fail_io(path, "cannot read", errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > max_bytes) fail_too_large(path, max_bytes);
    if (size == content.size()) content.resize(size + kPiece);
  }
  content.resize(size);
  return content;
}

MappedFile::MappedFile(const fs::path& path) {
  struct stat info {};
  const Descriptor file = open_for_reading(path, info);
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED)
    fail(ExitCode::kMissingInput, path.string(), cat("cannot map: ", reason(errno)));
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace sluice

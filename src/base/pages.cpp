#include "base/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "base/error.h"

namespace sluice {
namespace {

std::uintptr_t page_size() {
  static const auto size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

std::shared_ptr<std::byte> zero_pages(std::size_t size) {
  if (size == 0) return nullptr;
  // MAP_NORESERVE: may exceed the memory of the machine, of which less is written at a time.
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  // A huge page takes 2 MiB for one value, also next to pages that were returned.
  ::madvise(memory, size, MADV_NOHUGEPAGE);
  return {static_cast<std::byte*>(memory), [size](std::byte* begin) { ::munmap(begin, size); }};
}

void return_pages(std::span<std::byte> memory) {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory.data()), end = begin + memory.size();
  const std::uintptr_t first = (begin + page_size() - 1) / page_size() * page_size(),
                       last = end / page_size() * page_size();
  if (first >= last) {
    std::memset(memory.data(), 0, memory.size());
    return;
  }
  std::memset(memory.data(), 0, first - begin);
  std::memset(memory.data() + (last - begin), 0, end - last);
  const int failed = ::madvise(memory.data() + (first - begin), last - first, MADV_DONTNEED);
  invariant(failed == 0, "return_pages: memory of zero_pages()");
}

}  // namespace sluice

// Counts the heap allocations of a process, for `scripts/bench allocations`: preloaded into the daemons.
// The count is a 64-bit number in the file $COVOL_ALLOCATIONS/PROCESS.
//
// glibc's own allocator stays: malloc(3) says that these names may be replaced, and the library keeps
// its versions under other names.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Atomic uint64_t early;
static _Atomic uint64_t *_Atomic count = &early;

static void note(void) {
    atomic_fetch_add_explicit(
        atomic_load_explicit(&count, memory_order_relaxed), 1, memory_order_relaxed);
}

__attribute__((constructor)) static void publish(void) {
    const char *folder = getenv("COVOL_ALLOCATIONS");
    char path[512];
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return;
    void *page = MAP_FAILED;
    if (ftruncate(file, sizeof(uint64_t)) == 0)
        page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) atomic_store(&count, (_Atomic uint64_t *)page);
}

void *malloc(size_t size) {
    note();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    note();
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    note();
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    note();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    void *memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *result = memory;
    return 0;
}

#define _GNU_SOURCE

#include "covol_fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

// The codec in Swift is written field by field; these hold its sizes to the kernel's.
_Static_assert(sizeof(struct fuse_in_header) == 40, "fuse_in_header");
_Static_assert(sizeof(struct fuse_write_in) == 40, "fuse_write_in");
_Static_assert(sizeof(struct fuse_read_in) == 40, "fuse_read_in");
_Static_assert(sizeof(struct fuse_attr) == 88, "fuse_attr");
_Static_assert(sizeof(struct fuse_entry_out) == 128, "fuse_entry_out");
_Static_assert(sizeof(struct fuse_init_out) == 64, "fuse_init_out");
_Static_assert(sizeof(struct fuse_setattr_in) == 88, "fuse_setattr_in");
_Static_assert(sizeof(struct fuse_kstatfs) == 80, "fuse_kstatfs");
_Static_assert(sizeof(struct fuse_lk_in) == 48, "fuse_lk_in");
_Static_assert(sizeof(struct covol_fuse_ring_header) == 288, "fuse_uring_req_header");
_Static_assert(sizeof(struct covol_fuse_ring_command) == 24, "fuse_uring_cmd_req");
_Static_assert(offsetof(struct covol_fuse_ring_header, operation) == 128, "operation");
_Static_assert(offsetof(struct covol_fuse_ring_header, commit_id) == 264, "commit_id");
_Static_assert(offsetof(struct covol_fuse_ring_header, payload_bytes) == 272, "payload_bytes");

int covol_fuse_open(void) {
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int covol_fuse_clone(int fd) {
    uint32_t original = (uint32_t)fd;
    int error;
    int clone = covol_fuse_open();

    if (clone >= 0 && ioctl(clone, FUSE_DEV_IOC_CLONE, &original) < 0) {
        error = errno;
        close(clone);
        return -error;
    }
    return clone;
}

int covol_fuse_mount(const char *source, const char *target, const char *type, const char *data) {
    return mount(source, target, type, MS_NODEV, data) < 0 ? -errno : 0;
}

int covol_fuse_unmount(const char *target, int lazily, int forced) {
    int flags = UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0) | (forced ? MNT_FORCE : 0);
    return umount2(target, flags) < 0 ? -errno : 0;
}

int covol_fuse_move(const char *source, const char *target) {
    return mount(source, target, NULL, MS_MOVE, NULL) < 0 ? -errno : 0;
}

int covol_fuse_device(const char *path, uint32_t *minor) {
    struct statx status;

    if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, 0,
              &status) < 0)
        return -errno;
    *minor = status.stx_dev_minor;
    return 0;
}

int covol_fuse_reply(int fd, uint64_t unique, int32_t error, const void *data, size_t length) {
    struct fuse_out_header header;
    struct iovec parts[2];

    header.len = (uint32_t)(sizeof header + length);
    header.error = error;
    header.unique = unique;
    parts[0].iov_base = &header;
    parts[0].iov_len = sizeof header;
    parts[1].iov_base = (void *)data;
    parts[1].iov_len = length;
    return writev(fd, parts, length ? 2 : 1) < 0 ? -errno : 0;
}

int covol_fuse_resend(int fd) {
    // FUSE_NOTIFY_RESEND, which older headers lack. A reply to no request, whose error is the code.
    return covol_fuse_reply(fd, 0, 7, NULL, 0);
}

int covol_fuse_io_flusher(void) {
    return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int covol_fuse_pin_thread(unsigned processor) {
    cpu_set_t there;

    CPU_ZERO(&there);
    CPU_SET(processor, &there);
    return sched_setaffinity(0, sizeof there, &there) < 0 ? -errno : 0;
}

int covol_fuse_leave_processor(unsigned processor) {
    cpu_set_t others;

    if (sched_getaffinity(getpid(), sizeof others, &others) < 0)
        return -errno;
    CPU_CLR(processor, &others);
    return sched_setaffinity(0, sizeof others, &others) < 0 ? -errno : 0;
}

uint64_t covol_fuse_coarse_milliseconds(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

size_t covol_fuse_heap_bytes(void) {
    return mallinfo2().uordblks;
}

void covol_fuse_prepare_thread(const char *name) {
    char kept[16];
    sigset_t all;

    strncpy(kept, name, sizeof kept - 1);
    kept[sizeof kept - 1] = 0;
    (void)prctl(PR_SET_NAME, kept, 0, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

void *covol_fuse_map(size_t length) {
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    // Buffers under direct I/O must not become copy-on-write in a child.
    (void)madvise(memory, length, MADV_DONTFORK);
    (void)madvise(memory, length, MADV_DONTDUMP);
    return memory;
}

void covol_fuse_unmap(void *memory, size_t length) {
    munmap(memory, length);
}

static void *map_file(void *address, size_t length, int file, size_t offset, int fixed) {
    int flags = MAP_SHARED | MAP_NORESERVE | fixed;
    void *memory = mmap(address, length, PROT_READ | PROT_WRITE, flags, file, (off_t)offset);

    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, length, MADV_DONTFORK);
    (void)madvise(memory, length, MADV_DONTDUMP);
    return memory;
}

int covol_fuse_memory(size_t length) {
    int file = memfd_create("covol-fuse", MFD_CLOEXEC);
    int error;

    if (file < 0)
        return -errno;
    if (ftruncate(file, (off_t)length) == 0)
        return file;
    error = errno;
    close(file);
    return -error;
}

void *covol_fuse_map_shared(size_t length, int file) {
    return map_file(NULL, length, file, 0, 0);
}

int covol_fuse_map_at(uintptr_t address, size_t length, int file) {
    // Linux 4.17; older ones take the address for a wish.
    void *memory = map_file((void *)address, length, file, 0, MAP_FIXED_NOREPLACE);

    if (!memory)
        return -errno;
    if ((uintptr_t)memory == address)
        return 0;
    munmap(memory, length);
    return -EEXIST;
}

int covol_fuse_remap(void *address, size_t length, int file, size_t offset) {
    return map_file(address, length, file, offset, MAP_FIXED) ? 0 : -errno;
}

int covol_fuse_nudge(int fd, unsigned processor, uint64_t node, uint64_t unique, unsigned count) {
    struct fuse_notify_retrieve_out retrieve = {.nodeid = node};
    cpu_set_t before;
    int result;

    if (sched_getaffinity(0, sizeof before, &before) < 0)
        return -errno;
    result = covol_fuse_pin_thread(processor);
    for (unsigned index = 0; index < count && result == 0; index++) {
        retrieve.notify_unique = unique + 2 * index;
        // A reply to no request, whose error is the notification's code.
        result = covol_fuse_reply(fd, 0, FUSE_NOTIFY_RETRIEVE, &retrieve, sizeof retrieve);
    }
    (void)sched_setaffinity(0, sizeof before, &before);
    return result;
}

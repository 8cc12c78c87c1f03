// /dev/fuse, mount(2) of it, and what its threads ask of the kernel.
#ifndef COVOL_FUSE_H
#define COVOL_FUSE_H

#include <stddef.h>
#include <stdint.h>

// A descriptor of /dev/fuse, non-blocking and close-on-exec, or -errno.
int covol_fuse_open(void);

// One more descriptor of the connection of `fd`, which must be mounted (FUSE_DEV_IOC_CLONE).
int covol_fuse_clone(int fd);

// mount(2) with MS_NODEV. `type` is "fuse" or "fuse.SUBTYPE".
int covol_fuse_mount(const char *source, const char *target, const char *type, const char *data);

// umount2(2), never through a symbolic link. `lazily`: MNT_DETACH; `forced`: MNT_FORCE, which
// aborts the connection.
int covol_fuse_unmount(const char *target, int lazily, int forced);

// mount(2) with MS_MOVE.
int covol_fuse_move(const char *source, const char *target);

// The minor device number of a mount point, from a statx(2) that asks its file system nothing.
int covol_fuse_device(const char *path, uint32_t *minor);

// Writes one reply: `error` is 0 or a negative errno. 0, or -errno of writev(2).
int covol_fuse_reply(int fd, uint64_t unique, int32_t error, const void *data, size_t length);

// Has the kernel send every request again that was read from a descriptor of this connection and not
// answered, ahead of those that wait (FUSE_NOTIFY_RESEND, Linux 6.9). 0, or -errno.
int covol_fuse_resend(int fd);

// FUSE over io_uring (Linux 6.14, Documentation/filesystems/fuse/fuse-io-uring.rst): newer than the
// headers that this is built with. What an entry's first part holds:
struct covol_fuse_ring_header {
    // struct fuse_in_header; in an answer struct fuse_out_header.
    uint8_t in_out[128];
    // The request's first argument.
    uint8_t operation[128];
    uint64_t flags;
    uint64_t commit_id;
    // Of the second part: all other arguments; in an answer all of them.
    uint32_t payload_bytes;
    uint32_t padding;
    uint64_t reserved;
};

// What a submission entry of 128 bytes carries in its command area.
struct covol_fuse_ring_command {
    uint64_t flags;
    uint64_t commit_id;
    uint16_t queue;
    uint8_t padding[6];
};

static const uint32_t covol_fuse_ring_register = 1;
static const uint32_t covol_fuse_ring_commit_and_fetch = 2;
static const size_t covol_fuse_ring_operation_offset = 128;
static const size_t covol_fuse_ring_commit_id_offset = 264;
static const size_t covol_fuse_ring_payload_bytes_offset = 272;
static const size_t covol_fuse_ring_header_bytes = 288;

// Has the kernel send `count` requests of opcode FUSE_NOTIFY_REPLY, numbered from `unique` on in
// steps of 2, to the queue of `processor`, where the calling thread runs meanwhile. `node` is a
// regular file's. 0, or -errno.
int covol_fuse_nudge(int fd, unsigned processor, uint64_t node, uint64_t unique, unsigned count);

// A file without a name, of so many bytes (memfd_create(2)), or -errno.
int covol_fuse_memory(size_t length);

// Maps it: anywhere, or NULL; or at that address and nowhere else, where nothing may be: 0, or -errno.
// Neither is in a core dump or a child.
void *covol_fuse_map_shared(size_t length, int file);
int covol_fuse_map_at(uintptr_t address, size_t length, int file);

// What was stored before this is stored before what is stored after it, also for another process that
// finds the memory after this one's sudden end.
static inline void covol_fuse_fence(void) {
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Has `length` bytes at `address`, of a mapping of `file`, show those of the file at `offset`.
int covol_fuse_remap(void *address, size_t length, int file, size_t offset);

// Marks the calling thread as one that memory reclaim must not wait for (PR_SET_IO_FLUSHER).
int covol_fuse_io_flusher(void);

// Has the calling thread run on one CPU only.
int covol_fuse_pin_thread(unsigned processor);

// Has the calling thread run anywhere else that the process's first thread may run; -EINVAL where there
// is no such CPU.
int covol_fuse_leave_processor(unsigned processor);

// CLOCK_MONOTONIC, as of the last tick of the kernel's.
uint64_t covol_fuse_coarse_milliseconds(void);

// The bytes that this process has allocated and not freed (mallinfo2(3)).
size_t covol_fuse_heap_bytes(void);

// Names the calling thread, of which 15 bytes are kept, and blocks every signal in it.
void covol_fuse_prepare_thread(const char *name);

// Anonymous memory, page-aligned, not in a core dump and not in a child; NULL where there is none.
void *covol_fuse_map(size_t length);
void covol_fuse_unmap(void *memory, size_t length);

#endif

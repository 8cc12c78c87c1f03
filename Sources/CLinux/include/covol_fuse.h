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

// Marks the calling thread as one that memory reclaim must not wait for (PR_SET_IO_FLUSHER).
int covol_fuse_io_flusher(void);

// Names the calling thread, of which 15 bytes are kept, and blocks every signal in it.
void covol_fuse_prepare_thread(const char *name);

// Anonymous memory, page-aligned, not in a core dump and not in a child; NULL where there is none.
void *covol_fuse_map(size_t length);
void covol_fuse_unmap(void *memory, size_t length);

#endif

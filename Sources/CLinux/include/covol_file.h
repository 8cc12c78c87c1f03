// Files by handle on a private mount: what HostFileSystem needs and Swift cannot import.
// Every function returns -errno on failure. Nothing follows a symbolic link.
#ifndef COVOL_FILE_H
#define COVOL_FILE_H

#include <stddef.h>
#include <stdint.h>

// --- The mount: fsopen(2), fsconfig(2), fsmount(2) ---

int covol_fs_open(const char *type);
int covol_fs_set_string(int context, const char *key, const char *value);
int covol_fs_set_flag(int context, const char *key);
// FSCONFIG_CMD_CREATE_EXCL: never shares the superblock of an existing mount (Linux 6.6).
int covol_fs_create_exclusively(int context);
// nosuid, nodev, noexec, noatime; read-only too where asked. The mount stays in no namespace.
int covol_fs_mount(int context, int is_read_only);

// --- Descriptors ---

int covol_close(int fd);
// openat(2) with O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK added.
int covol_openat(int dirfd, const char *name, int flags, uint32_t mode);
int covol_open_by_handle(
    int mountfd, int32_t kind, const uint8_t *bytes, uint32_t length, int flags);
// The handle of the descriptor's own file. `*length` is the room on entry, the length on return.
int covol_handle_of(int fd, int32_t *kind, uint8_t *bytes, uint32_t *length);
// The handle of a name in a directory.
int covol_handle_at(
    int dirfd, const char *name, int32_t *kind, uint8_t *bytes, uint32_t *length);

static const int covol_o_path = 010000000;
static const int covol_o_rdonly = 0;
static const int covol_o_wronly = 1;
static const int covol_o_rdwr = 2;
static const int covol_o_creat = 0100;
static const int covol_o_excl = 0200;
// These three differ between architectures, so C gives them.
extern const int covol_o_direct;
extern const int covol_o_directory;
extern const int covol_o_tmpfile;

// --- Attributes ---

struct covol_stat {
    uint64_t inode, size, blocks;
    int64_t atime, mtime, ctime;
    uint32_t atime_ns, mtime_ns, ctime_ns;
    uint32_t mode, links, uid, gid, block_size;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
};

int covol_statx(int fd, struct covol_stat *result);
int covol_chown(int fd, uint32_t uid, uint32_t gid);
// fchmodat2(2); -ENOSYS before Linux 6.6.
int covol_chmod_empty(int fd, uint32_t mode);
int covol_chmod_path(const char *path, uint32_t mode);
// Each time: 0 leaves it, 1 sets it to now, 2 sets it to the given value.
int covol_set_times(
    int fd, int atime_how, int64_t atime, uint32_t atime_ns, int mtime_how, int64_t mtime,
    uint32_t mtime_ns);

struct covol_statfs {
    uint64_t blocks, blocks_free, blocks_available, files, files_free;
    uint32_t block_size, name_maximum;
};

int covol_statfs(int fd, struct covol_statfs *result);

// --- Names ---

int covol_mkdirat(int dirfd, const char *name, uint32_t mode);
int covol_mknodat(
    int dirfd, const char *name, uint32_t mode, uint32_t device_major, uint32_t device_minor);
int covol_symlinkat(const char *target, int dirfd, const char *name);
// Gives the descriptor's file a name (linkat(2), AT_EMPTY_PATH).
int covol_link_fd(int fd, int dirfd, const char *name);
int covol_unlinkat(int dirfd, const char *name, int is_directory);
int covol_renameat2(
    int from_dirfd, const char *from_name, int to_dirfd, const char *to_name, uint32_t flags);
// The target of the symbolic link that an O_PATH descriptor stands for.
long covol_readlink_fd(int fd, char *buffer, size_t length);
long covol_getdents(int fd, void *buffer, size_t length);

// --- Extended attributes, by a path such as /proc/self/fd/N ---

long covol_getxattr(const char *path, const char *name, void *value, size_t length);
int covol_setxattr(
    const char *path, const char *name, const void *value, size_t length, int flags);
long covol_listxattr(const char *path, char *names, size_t length);
int covol_removexattr(const char *path, const char *name);

// --- Data ---

long covol_pread(int fd, void *buffer, size_t length, uint64_t offset);
long covol_pwrite(int fd, const void *buffer, size_t length, uint64_t offset);
// pwritev of one buffer again and again, up to length bytes and 1024 times.
long covol_pwrite_repeated(int fd, const void *buffer, size_t buffer_length, size_t length,
                           uint64_t offset);
int64_t covol_lseek(int fd, int64_t offset, int whence);
int covol_ftruncate(int fd, uint64_t size);
int covol_fallocate(int fd, int mode, uint64_t offset, uint64_t length);
int covol_fsync(int fd);
int covol_fdatasync(int fd);
int covol_syncfs(int fd);
// Writes the range's dirty pages and waits for them; no metadata, no device flush.
int covol_flush_range(int fd, uint64_t offset, uint64_t length);
int covol_advise_random(int fd);
int covol_advise_dont_need(int fd, uint64_t offset, uint64_t length);

static const int covol_seek_set = 0;
static const int covol_seek_data = 3;
static const int covol_seek_hole = 4;

struct covol_cachestat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

// cachestat(2), Linux 6.5. A length of 0 means to the end.
int covol_cachestat(int fd, uint64_t offset, uint64_t length, struct covol_cachestat *result);

// --- ioctls ---

// `buffer` holds a struct fiemap and room for its extents (linux/fiemap.h).
int covol_fiemap(int fd, void *buffer);
// The inode's flags, FS_*_FL of linux/fs.h.
int covol_get_inode_flags(int fd, uint32_t *flags);
int covol_set_inode_flags(int fd, uint32_t flags);
int covol_freeze(int fd);
int covol_thaw(int fd);
// FS_IOC_SHUTDOWN, which XFS calls XFS_IOC_GOINGDOWN. 0: freeze and log flush, 1: log flush, 2: none.
int covol_shutdown(int fd, uint32_t how);
// FICLONE: makes the destination share the source's blocks. Only tests call it.
int covol_clone_file(int destination, int source);

// --- The calling thread's identity ---

// unshare(CLONE_FS): a umask and a working directory of its own.
int covol_thread_unshare_fs(void);
int covol_thread_get_securebits(void);
int covol_thread_set_securebits(int bits);
// The raw system calls, for this thread alone. They return the previous identity.
uint32_t covol_thread_set_fsuid(uint32_t uid);
uint32_t covol_thread_set_fsgid(uint32_t gid);
uint32_t covol_thread_set_umask(uint32_t mask);

static const int covol_secbit_no_setuid_fixup = 1 << 2;

#endif

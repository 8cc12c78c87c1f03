#define _GNU_SOURCE

#include "covol_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

// Younger than the C library's headers on Debian 12.
#define COVOL_SYS_cachestat 451
#define COVOL_SYS_fchmodat2 452
#define COVOL_FSCONFIG_CMD_CREATE_EXCL 8
#define COVOL_FS_IOC_SHUTDOWN _IOR('X', 125, uint32_t)

#define RETURN_RESULT(expression)              \
    do {                                       \
        long result_ = (long)(expression);     \
        return result_ < 0 ? -errno : result_; \
    } while (0)

const int covol_o_direct = O_DIRECT;
const int covol_o_directory = O_DIRECTORY;
const int covol_o_tmpfile = O_TMPFILE;

int covol_fs_open(const char *type) {
    RETURN_RESULT(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

int covol_fs_set_string(int context, const char *key, const char *value) {
    RETURN_RESULT(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0));
}

int covol_fs_set_flag(int context, const char *key) {
    RETURN_RESULT(syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, key, NULL, 0));
}

int covol_fs_create_exclusively(int context) {
    RETURN_RESULT(
        syscall(SYS_fsconfig, context, COVOL_FSCONFIG_CMD_CREATE_EXCL, NULL, NULL, 0));
}

int covol_fs_mount(int context, int is_read_only) {
    unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
        MOUNT_ATTR_NOATIME | (is_read_only ? MOUNT_ATTR_RDONLY : 0);
    RETURN_RESULT(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes));
}

int covol_close(int fd) { RETURN_RESULT(close(fd)); }

int covol_openat(int dirfd, const char *name, int flags, uint32_t mode) {
    RETURN_RESULT(
        openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, mode));
}

struct covol_handle_space {
    struct file_handle handle;
    unsigned char bytes[MAX_HANDLE_SZ];
};

int covol_open_by_handle(
    int mountfd, int32_t kind, const uint8_t *bytes, uint32_t length, int flags) {
    struct covol_handle_space space = {{length, kind}, {0}};
    if (length > MAX_HANDLE_SZ)
        return -EINVAL;
    memcpy(space.handle.f_handle, bytes, length);
    RETURN_RESULT(open_by_handle_at(
        mountfd, &space.handle, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK));
}

static int covol_handle(
    int dirfd, const char *name, int flags, int32_t *kind, uint8_t *bytes, uint32_t *length) {
    struct covol_handle_space space = {{MAX_HANDLE_SZ, 0}, {0}};
    int mount_id;
    if (name_to_handle_at(dirfd, name, &space.handle, &mount_id, flags) < 0)
        return -errno;
    if (space.handle.handle_bytes > *length)
        return -EOVERFLOW;
    *kind = space.handle.handle_type;
    *length = space.handle.handle_bytes;
    memcpy(bytes, space.handle.f_handle, space.handle.handle_bytes);
    return 0;
}

int covol_handle_of(int fd, int32_t *kind, uint8_t *bytes, uint32_t *length) {
    return covol_handle(fd, "", AT_EMPTY_PATH, kind, bytes, length);
}

int covol_handle_at(
    int dirfd, const char *name, int32_t *kind, uint8_t *bytes, uint32_t *length) {
    return covol_handle(dirfd, name, 0, kind, bytes, length);
}

int covol_statx(int fd, struct covol_stat *result) {
    struct statx x;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, &x) < 0)
        return -errno;
    *result = (struct covol_stat){
        .inode = x.stx_ino, .size = x.stx_size, .blocks = x.stx_blocks,
        .atime = x.stx_atime.tv_sec, .atime_ns = x.stx_atime.tv_nsec,
        .mtime = x.stx_mtime.tv_sec, .mtime_ns = x.stx_mtime.tv_nsec,
        .ctime = x.stx_ctime.tv_sec, .ctime_ns = x.stx_ctime.tv_nsec,
        .mode = x.stx_mode, .links = x.stx_nlink, .uid = x.stx_uid, .gid = x.stx_gid,
        .block_size = x.stx_blksize,
        .rdev_major = x.stx_rdev_major, .rdev_minor = x.stx_rdev_minor,
        .dev_major = x.stx_dev_major, .dev_minor = x.stx_dev_minor,
    };
    return 0;
}

int covol_chown(int fd, uint32_t uid, uint32_t gid) {
    RETURN_RESULT(fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
}

int covol_chmod_empty(int fd, uint32_t mode) {
    RETURN_RESULT(syscall(COVOL_SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH));
}

int covol_chmod_path(const char *path, uint32_t mode) { RETURN_RESULT(chmod(path, mode)); }

static struct timespec covol_time(int how, int64_t seconds, uint32_t nanoseconds) {
    return how == 2 ? (struct timespec){seconds, nanoseconds}
                    : (struct timespec){0, how == 1 ? UTIME_NOW : UTIME_OMIT};
}

int covol_set_times(
    int fd, int atime_how, int64_t atime, uint32_t atime_ns, int mtime_how, int64_t mtime,
    uint32_t mtime_ns) {
    struct timespec times[2] = {
        covol_time(atime_how, atime, atime_ns), covol_time(mtime_how, mtime, mtime_ns)};
    RETURN_RESULT(utimensat(fd, "", times, AT_EMPTY_PATH));
}

int covol_statfs(int fd, struct covol_statfs *result) {
    struct statfs s;
    if (fstatfs(fd, &s) < 0)
        return -errno;
    *result = (struct covol_statfs){
        .blocks = s.f_blocks, .blocks_free = s.f_bfree, .blocks_available = s.f_bavail,
        .files = s.f_files, .files_free = s.f_ffree,
        .block_size = s.f_frsize ? s.f_frsize : s.f_bsize, .name_maximum = s.f_namelen,
    };
    return 0;
}

int covol_mkdirat(int dirfd, const char *name, uint32_t mode) {
    RETURN_RESULT(mkdirat(dirfd, name, mode));
}

int covol_mknodat(
    int dirfd, const char *name, uint32_t mode, uint32_t device_major, uint32_t device_minor) {
    RETURN_RESULT(mknodat(dirfd, name, mode, makedev(device_major, device_minor)));
}

int covol_symlinkat(const char *target, int dirfd, const char *name) {
    RETURN_RESULT(symlinkat(target, dirfd, name));
}

int covol_link_fd(int fd, int dirfd, const char *name) {
    RETURN_RESULT(linkat(fd, "", dirfd, name, AT_EMPTY_PATH));
}

int covol_unlinkat(int dirfd, const char *name, int is_directory) {
    RETURN_RESULT(unlinkat(dirfd, name, is_directory ? AT_REMOVEDIR : 0));
}

int covol_renameat2(
    int from_dirfd, const char *from_name, int to_dirfd, const char *to_name, uint32_t flags) {
    RETURN_RESULT(renameat2(from_dirfd, from_name, to_dirfd, to_name, flags));
}

long covol_readlink_fd(int fd, char *buffer, size_t length) {
    RETURN_RESULT(readlinkat(fd, "", buffer, length));
}

long covol_getdents(int fd, void *buffer, size_t length) {
    RETURN_RESULT(syscall(SYS_getdents64, fd, buffer, length));
}

long covol_getxattr(const char *path, const char *name, void *value, size_t length) {
    RETURN_RESULT(getxattr(path, name, value, length));
}

int covol_setxattr(
    const char *path, const char *name, const void *value, size_t length, int flags) {
    RETURN_RESULT(setxattr(path, name, value, length, flags));
}

long covol_listxattr(const char *path, char *names, size_t length) {
    RETURN_RESULT(listxattr(path, names, length));
}

int covol_removexattr(const char *path, const char *name) {
    RETURN_RESULT(removexattr(path, name));
}

long covol_pread(int fd, void *buffer, size_t length, uint64_t offset) {
    RETURN_RESULT(pread(fd, buffer, length, (off_t)offset));
}

long covol_pwrite(int fd, const void *buffer, size_t length, uint64_t offset) {
    RETURN_RESULT(pwrite(fd, buffer, length, (off_t)offset));
}

long covol_pwrite_repeated(int fd, const void *buffer, size_t buffer_length, size_t length,
                           uint64_t offset) {
    struct iovec parts[1024];
    int count = 0;
    while (length > 0 && count < 1024) {
        size_t part = length < buffer_length ? length : buffer_length;
        parts[count++] = (struct iovec){.iov_base = (void *)buffer, .iov_len = part};
        length -= part;
    }
    RETURN_RESULT(pwritev(fd, parts, count, (off_t)offset));
}

int64_t covol_lseek(int fd, int64_t offset, int whence) {
    // An ext4 directory's cookies use all 63 bits, and a negative position is never valid.
    RETURN_RESULT(lseek(fd, offset, whence));
}

int covol_ftruncate(int fd, uint64_t size) { RETURN_RESULT(ftruncate(fd, (off_t)size)); }

int covol_fallocate(int fd, int mode, uint64_t offset, uint64_t length) {
    RETURN_RESULT(fallocate(fd, mode, (off_t)offset, (off_t)length));
}

int covol_fsync(int fd) { RETURN_RESULT(fsync(fd)); }
int covol_fdatasync(int fd) { RETURN_RESULT(fdatasync(fd)); }
int covol_syncfs(int fd) { RETURN_RESULT(syncfs(fd)); }

int covol_flush_range(int fd, uint64_t offset, uint64_t length) {
    RETURN_RESULT(sync_file_range(
        fd, (off_t)offset, (off_t)length,
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
}

// posix_fadvise(2) returns the error instead of setting errno.
int covol_advise_random(int fd) { return -posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); }

int covol_advise_dont_need(int fd, uint64_t offset, uint64_t length) {
    return -posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
}

int covol_cachestat(int fd, uint64_t offset, uint64_t length, struct covol_cachestat *result) {
    uint64_t range[2] = {offset, length};
    RETURN_RESULT(syscall(COVOL_SYS_cachestat, fd, range, result, 0));
}

int covol_fiemap(int fd, void *buffer) { RETURN_RESULT(ioctl(fd, FS_IOC_FIEMAP, buffer)); }

int covol_get_inode_flags(int fd, uint32_t *flags) {
    // The kernel writes an int, whatever the request's declared size says.
    int value = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &value) < 0)
        return -errno;
    *flags = (uint32_t)value;
    return 0;
}

int covol_set_inode_flags(int fd, uint32_t flags) {
    int value = (int)flags;
    RETURN_RESULT(ioctl(fd, FS_IOC_SETFLAGS, &value));
}

int covol_freeze(int fd) { RETURN_RESULT(ioctl(fd, FIFREEZE, 0)); }
int covol_thaw(int fd) { RETURN_RESULT(ioctl(fd, FITHAW, 0)); }

int covol_shutdown(int fd, uint32_t how) {
    RETURN_RESULT(ioctl(fd, COVOL_FS_IOC_SHUTDOWN, &how));
}

int covol_clone_file(int destination, int source) {
    RETURN_RESULT(ioctl(destination, FICLONE, source));
}

int covol_thread_unshare_fs(void) { RETURN_RESULT(unshare(CLONE_FS)); }

int covol_thread_get_securebits(void) { RETURN_RESULT(prctl(PR_GET_SECUREBITS, 0, 0, 0, 0)); }

int covol_thread_set_securebits(int bits) {
    RETURN_RESULT(prctl(PR_SET_SECUREBITS, bits, 0, 0, 0));
}

uint32_t covol_thread_set_fsuid(uint32_t uid) { return (uint32_t)syscall(SYS_setfsuid, uid); }
uint32_t covol_thread_set_fsgid(uint32_t gid) { return (uint32_t)syscall(SYS_setfsgid, gid); }
uint32_t covol_thread_set_umask(uint32_t mask) { return umask(mask); }

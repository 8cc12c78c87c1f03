#define _GNU_SOURCE

#include "covol_block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int covol_loop_get_free(int control) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    return number < 0 ? -errno : number;
}

int covol_loop_configure(
    int loop, int backing, uint32_t block_size, int is_read_only, const char *name) {
    struct loop_config config;
    memset(&config, 0, sizeof config);
    config.fd = (uint32_t)backing;
    config.block_size = block_size;
    config.info.lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR |
        (is_read_only ? LO_FLAGS_READ_ONLY : 0);
    strncpy((char *)config.info.lo_file_name, name, LO_NAME_SIZE - 1);
    return ioctl(loop, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

int covol_loop_status(
    int loop, uint32_t *flags, uint32_t *dev_major, uint32_t *dev_minor, uint64_t *inode) {
    struct loop_info64 info;
    if (ioctl(loop, LOOP_GET_STATUS64, &info) < 0)
        return -errno;
    *flags = info.lo_flags;
    *dev_major = major(info.lo_device);
    *dev_minor = minor(info.lo_device);
    *inode = info.lo_inode;
    return 0;
}

int covol_loop_clear(int loop) { return ioctl(loop, LOOP_CLR_FD) < 0 ? -errno : 0; }

int covol_block_size(int fd, uint64_t *bytes) {
    return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
}

int covol_block_logical_size(int fd, uint32_t *bytes) {
    int size = 0;
    if (ioctl(fd, BLKSSZGET, &size) < 0)
        return -errno;
    *bytes = (uint32_t)size;
    return 0;
}

int covol_block_open(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int covol_block_pipe(int *reader, int *writer) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *reader = ends[0];
    *writer = ends[1];
    return 0;
}

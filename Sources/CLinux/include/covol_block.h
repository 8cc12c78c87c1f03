// Block devices: loop devices, geometry, and what libblkid finds on them.
#ifndef COVOL_BLOCK_H
#define COVOL_BLOCK_H

#include <blkid/blkid.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The number of a free loop device, which is created where none is left (LOOP_CTL_GET_FREE).
int covol_loop_get_free(int control);
// Attaches `backing` with direct I/O and autoclear (LOOP_CONFIGURE, loop(4)). -EBUSY: someone
// else took the device first.
int covol_loop_configure(
    int loop, int backing, uint32_t block_size, int is_read_only, const char *name);
// What the loop device has behind it; -ENXIO where nothing.
int covol_loop_status(
    int loop, uint32_t *flags, uint32_t *dev_major, uint32_t *dev_minor, uint64_t *inode);
int covol_loop_clear(int loop);

static const uint32_t covol_loop_flag_read_only = 1;
static const uint32_t covol_loop_flag_autoclear = 4;
static const uint32_t covol_loop_flag_direct_io = 16;

int covol_block_size(int fd, uint64_t *bytes);
int covol_block_logical_size(int fd, uint32_t *bytes);

// open(2) with O_CLOEXEC added.
int covol_block_open(const char *path, int flags);
static const int covol_block_exclusive = 0200;
// pipe2(2) with O_CLOEXEC.
int covol_block_pipe(int *reader, int *writer);

// --- libblkid, low-level probing. Inline, so that only who uses it links with -lblkid. ---

static inline blkid_probe covol_blkid_new(int fd) {
    blkid_probe probe = blkid_new_probe();
    if (!probe)
        return NULL;
    if (blkid_probe_set_device(probe, fd, 0, 0) != 0) {
        blkid_free_probe(probe);
        return NULL;
    }
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(
        probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
    blkid_probe_enable_partitions(probe, 1);
    return probe;
}

static inline void covol_blkid_free(blkid_probe probe) { blkid_free_probe(probe); }

// Goes on to the next signature. 0: found one; 1: no more; negative: error.
static inline int covol_blkid_next(blkid_probe probe) { return blkid_do_probe(probe); }

// The value of the current signature, owned by the probe; NULL where it has none.
static inline const char *covol_blkid_value(blkid_probe probe, const char *name) {
    const char *value = NULL;
    return blkid_probe_lookup_value(probe, name, &value, NULL) == 0 ? value : NULL;
}

#endif

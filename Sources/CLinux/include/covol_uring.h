// io_uring through liburing, without its headers: they pull in <linux/fs.h>, which does not mix
// with <sys/mount.h> in every file that includes this.
#ifndef COVOL_URING_H
#define COVOL_URING_H

#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

struct io_uring;

// What one entry of the completion queue says.
struct covol_completion {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

static const uint32_t covol_ring_clamp = 1U << 4;
static const uint32_t covol_ring_submit_all = 1U << 7;
static const uint32_t covol_ring_coop_taskrun = 1U << 8;
// Submission entries of 128 bytes, for commands (Linux 5.19).
static const uint32_t covol_ring_sqe128 = 1U << 10;
static const uint32_t covol_ring_single_issuer = 1U << 12;
static const uint32_t covol_ring_defer_taskrun = 1U << 13;

// A ring of `entries` submissions and `completions` completions, or -errno.
int covol_ring_create(unsigned entries, unsigned completions, unsigned flags,
                      struct io_uring **ring);
void covol_ring_destroy(struct io_uring *ring);

// Pins `count` pieces of memory for as long as the ring is there, or -errno.
int covol_ring_register_buffers(struct io_uring *ring, const struct iovec *buffers, unsigned count);
// Has the ring hold one descriptor's file, for covol_ring_fuse_commit, or -errno.
int covol_ring_register_file(struct io_uring *ring, int fd);

// Each takes one submission entry: 0, or -EBUSY while the queue is full (submit, then retry).
// `async` is not 0: straight to a worker thread of the kernel's (IOSQE_ASYNC).
// `registered`: the number of the registered buffer that `buffer` lies in, or -1.
int covol_ring_read(struct io_uring *ring, int fd, void *buffer, unsigned length, uint64_t offset,
                    int registered, int async, uint64_t user_data);
int covol_ring_write(struct io_uring *ring, int fd, const void *buffer, unsigned length,
                     uint64_t offset, int registered, int dsync, int async, uint64_t user_data);
int covol_ring_fdatasync(struct io_uring *ring, int fd, uint64_t user_data);
// One event of EPOLLIN or EPOLLERR. `exclusive`: one waiter of many is woken (EPOLLEXCLUSIVE).
int covol_ring_poll_in(struct io_uring *ring, int fd, int exclusive, uint64_t user_data);
// One event of EPOLLERR or EPOLLHUP.
int covol_ring_poll_broken(struct io_uring *ring, int fd, uint64_t user_data);
// Ends the operation that was queued with `target`, which then completes with -ECANCELED.
int covol_ring_cancel(struct io_uring *ring, uint64_t target, uint64_t user_data);
int covol_ring_nop(struct io_uring *ring, uint64_t user_data);
// Completes with -ETIME after `timeout`, which must stay until the submit.
struct covol_timeout {
    int64_t seconds;
    int64_t nanoseconds;
};
int covol_ring_timeout(struct io_uring *ring, const struct covol_timeout *timeout,
                       uint64_t user_data);
// The commands of FUSE over io_uring, on a ring of 128-byte entries: see covol_fuse.h. The two
// parts are those of the entry, which keeps them; the array itself must stay until the submit.
int covol_ring_fuse_register(struct io_uring *ring, int fd, unsigned queue,
                             const struct iovec *parts, uint64_t user_data);
// `fd` is -1 for the registered file.
int covol_ring_fuse_commit(struct io_uring *ring, int fd, unsigned queue, uint64_t commit_id,
                           uint64_t user_data);

// Submit; wait for `wait` completions; or only run what is deferred. The number submitted, or -errno.
int covol_ring_submit(struct io_uring *ring);
int covol_ring_submit_and_wait(struct io_uring *ring, unsigned wait);
int covol_ring_submit_and_get_events(struct io_uring *ring);

// How many completions are there to be taken.
unsigned covol_ring_ready(struct io_uring *ring);

// Takes up to `capacity`, at most 64, completions out of the queue. Their number.
unsigned covol_ring_take(struct io_uring *ring, struct covol_completion *out, unsigned capacity);

#endif

#include "covol_uring.h"

#include "covol_fuse.h"

#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

_Static_assert(IORING_SETUP_CLAMP == 1U << 4, "covol_ring_clamp");
_Static_assert(IORING_SETUP_SUBMIT_ALL == 1U << 7, "covol_ring_submit_all");
_Static_assert(IORING_SETUP_COOP_TASKRUN == 1U << 8, "covol_ring_coop_taskrun");
_Static_assert(IORING_SETUP_SQE128 == 1U << 10, "covol_ring_sqe128");
_Static_assert(sizeof(struct covol_timeout) == sizeof(struct __kernel_timespec), "covol_timeout");
_Static_assert(IORING_SETUP_SINGLE_ISSUER == 1U << 12, "covol_ring_single_issuer");
_Static_assert(IORING_SETUP_DEFER_TASKRUN == 1U << 13, "covol_ring_defer_taskrun");

int covol_ring_create(unsigned entries, unsigned completions, unsigned flags,
                      struct io_uring **ring) {
    struct io_uring_params params;
    int result;

    *ring = calloc(1, sizeof **ring);
    if (!*ring)
        return -ENOMEM;
    memset(&params, 0, sizeof params);
    params.flags = flags | IORING_SETUP_CQSIZE;
    params.cq_entries = completions;
    result = io_uring_queue_init_params(entries, *ring, &params);
    if (result < 0) {
        free(*ring);
        *ring = NULL;
        return result;
    }
    return 0;
}

void covol_ring_destroy(struct io_uring *ring) {
    io_uring_queue_exit(ring);
    free(ring);
}

int covol_ring_register_buffers(struct io_uring *ring, const struct iovec *buffers,
                                unsigned count) {
    return io_uring_register_buffers(ring, buffers, count);
}

int covol_ring_register_file(struct io_uring *ring, int fd) {
    return io_uring_register_files(ring, &fd, 1);
}

int covol_ring_read(struct io_uring *ring, int fd, void *buffer, unsigned length, uint64_t offset,
                    int registered, int async, uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe)
        return -EBUSY;
    if (registered >= 0)
        io_uring_prep_read_fixed(sqe, fd, buffer, length, offset, registered);
    else
        io_uring_prep_read(sqe, fd, buffer, length, offset);
    io_uring_sqe_set_flags(sqe, async ? IOSQE_ASYNC : 0);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int covol_ring_write(struct io_uring *ring, int fd, const void *buffer, unsigned length,
                     uint64_t offset, int registered, int dsync, int async, uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe)
        return -EBUSY;
    if (registered >= 0)
        io_uring_prep_write_fixed(sqe, fd, buffer, length, offset, registered);
    else
        io_uring_prep_write(sqe, fd, buffer, length, offset);
    sqe->rw_flags = dsync ? RWF_DSYNC : 0;
    io_uring_sqe_set_flags(sqe, async ? IOSQE_ASYNC : 0);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int covol_ring_fdatasync(struct io_uring *ring, int fd, uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe)
        return -EBUSY;
    io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int covol_ring_poll_in(struct io_uring *ring, int fd, int exclusive, uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe)
        return -EBUSY;
    io_uring_prep_poll_add(sqe, fd, EPOLLIN | EPOLLERR | (exclusive ? EPOLLEXCLUSIVE : 0));
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int covol_ring_poll_broken(struct io_uring *ring, int fd, uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe)
        return -EBUSY;
    io_uring_prep_poll_add(sqe, fd, EPOLLERR | EPOLLHUP);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int covol_ring_cancel(struct io_uring *ring, uint64_t target, uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe)
        return -EBUSY;
    io_uring_prep_cancel64(sqe, target, 0);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int covol_ring_nop(struct io_uring *ring, uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe)
        return -EBUSY;
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int covol_ring_timeout(struct io_uring *ring, const struct covol_timeout *timeout,
                       uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (!sqe)
        return -EBUSY;
    io_uring_prep_timeout(sqe, (struct __kernel_timespec *)timeout, 0, 0);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

static int fuse_command(struct io_uring *ring, int fd, unsigned operation, unsigned queue,
                        uint64_t commit_id, const struct iovec *parts, uint64_t user_data) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    struct covol_fuse_ring_command *command;

    if (!sqe)
        return -EBUSY;
    memset(sqe, 0, 2 * sizeof *sqe);
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = fd < 0 ? 0 : fd;
    sqe->flags = fd < 0 ? IOSQE_FIXED_FILE : 0;
    sqe->cmd_op = operation;
    sqe->addr = (uint64_t)(uintptr_t)parts;
    sqe->len = parts ? 2 : 0;
    sqe->user_data = user_data;
    command = (struct covol_fuse_ring_command *)sqe->cmd;
    command->commit_id = commit_id;
    command->queue = (uint16_t)queue;
    return 0;
}

int covol_ring_fuse_register(struct io_uring *ring, int fd, unsigned queue,
                             const struct iovec *parts, uint64_t user_data) {
    return fuse_command(ring, fd, covol_fuse_ring_register, queue, 0, parts, user_data);
}

int covol_ring_fuse_commit(struct io_uring *ring, int fd, unsigned queue, uint64_t commit_id,
                           uint64_t user_data) {
    return fuse_command(ring, fd, covol_fuse_ring_commit_and_fetch, queue, commit_id, NULL,
                        user_data);
}

int covol_ring_submit(struct io_uring *ring) {
    return io_uring_submit(ring);
}

int covol_ring_submit_and_wait(struct io_uring *ring, unsigned wait) {
    return io_uring_submit_and_wait(ring, wait);
}

int covol_ring_submit_and_get_events(struct io_uring *ring) {
    return io_uring_submit_and_get_events(ring);
}

unsigned covol_ring_ready(struct io_uring *ring) {
    return io_uring_cq_ready(ring);
}

unsigned covol_ring_take(struct io_uring *ring, struct covol_completion *out, unsigned capacity) {
    struct io_uring_cqe *entries[64];
    unsigned count = io_uring_peek_batch_cqe(ring, entries, capacity < 64 ? capacity : 64);

    for (unsigned index = 0; index < count; index++) {
        out[index].user_data = entries[index]->user_data;
        out[index].result = entries[index]->res;
        out[index].flags = entries[index]->flags;
    }
    io_uring_cq_advance(ring, count);
    return count;
}

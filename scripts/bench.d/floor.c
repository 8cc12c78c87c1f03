// The least that a FUSE server over io_uring does, for `scripts/bench`: what it costs beside the
// raw device is the kernel's part. It serves one regular file, mounted on a regular file, whose data
// are those of a device: no map, no checks, no state. Each CPU has a queue with a ring and a thread,
// which runs on that CPU, or elsewhere while many small requests come at once: as Covolume's does
// (decision 20).
//
// usage: floor MOUNTPOINT DEVICE   serves until it is unmounted
//        floor                     only sees whether this machine has what it takes
//
// Either switches FUSE over io_uring on for the machine where it is off, as Covolume's daemon does.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#define PARAMETER "/sys/module/fuse/parameters/enable_uring"

enum {
    entries_maximum = 64,
    header_bytes = 4096,
    payload_bytes = 1 << 20,
    // Requests up to this length use registered buffers.
    registered_bytes = 64 << 10,
    batch = 64,
    // When a queue's thread leaves its CPU: see `place`.
    many = 4,
    large_write_bytes = 32 << 10,
    votes_maximum = 128,
};

// What <linux/fuse.h> does not have before Linux 6.14, under names that do not meet it.
static const uint64_t over_io_uring = 1ULL << 41;
enum { command_register = 1, command_commit_and_fetch = 2 };

struct ring_header {
    char in_out[128], op_in[128];
    uint64_t flags, commit_id;
    uint32_t payload_size, padding;
    uint64_t reserved;
};

struct command {
    uint64_t flags, commit_id;
    uint16_t queue;
    uint8_t padding[6];
};

struct entry {
    struct ring_header *header;
    char *data;
    struct iovec parts[2];
};

struct queue {
    unsigned number;
    struct io_uring ring;
    struct entry entries[entries_maximum];
    // Requests without an answer; those taken since the last wait, and how many of them write much.
    int held, taken, taken_large;
    int votes, is_away;
};

// What a completion is of: the rest of its user data is the entry's number.
enum { of_command = 0, of_read = 1 << 16, of_write = 2 << 16, entry_mask = of_read - 1 };

static int fuse, device;
static uint64_t size;

// Says what failed. `error` is an errno, or 0. A mount stays, and has errors only: without it the
// file below would be taken for the one that was served.
static _Noreturn void fail(const char *what, int error) {
    if (error)
        fprintf(stderr, "floor: %s: %s\n", what, strerror(error));
    else
        fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static void enable(void) {
    char value = 0;
    int file = open(PARAMETER, O_RDONLY | O_CLOEXEC);
    if (file < 0) fail("the kernel has no FUSE over io_uring: " PARAMETER, errno);
    if (read(file, &value, 1) != 1) fail("cannot read " PARAMETER, errno);
    close(file);
    if (value == 'Y') return;
    file = open(PARAMETER, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "Y", 1) != 1)
        fail("FUSE over io_uring is off, and Y cannot be written to " PARAMETER, errno);
    close(file);
}

static void set_up(struct io_uring *ring) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_CQSIZE,
        .cq_entries = 1024,
    };
    int result = io_uring_queue_init_params(512, ring, &params);
    if (result < 0) fail("cannot set an io_uring up", -result);
}

static struct io_uring_sqe *next_sqe(struct io_uring *ring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (!sqe) {
        io_uring_submit(ring);
        sqe = io_uring_get_sqe(ring);
    }
    if (!sqe) fail("the io_uring is full", 0);
    return sqe;
}

static void send_command(struct queue *queue, unsigned number, unsigned op) {
    struct entry *entry = &queue->entries[number];
    struct io_uring_sqe *sqe = next_sqe(&queue->ring);
    struct command *command = (void *)sqe->cmd;
    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, 0, NULL, 0, 0);
    sqe->flags = IOSQE_FIXED_FILE;
    sqe->cmd_op = op;
    sqe->user_data = of_command | number;
    *command = (struct command){.queue = queue->number};
    if (op == command_register) {
        sqe->addr = (uintptr_t)entry->parts;
        sqe->len = 2;
    } else {
        command->commit_id = entry->header->commit_id;
    }
}

// Answers an entry's request and asks for its next one. `error` is a negative errno, or 0.
static void answer(struct queue *queue, unsigned number, int error, unsigned bytes) {
    struct ring_header *header = queue->entries[number].header;
    struct fuse_in_header *in = (void *)header->in_out;
    struct fuse_out_header out = {sizeof out + bytes, error, in->unique};
    memcpy(header->in_out, &out, sizeof out);
    header->payload_size = bytes;
    queue->held--;
    send_command(queue, number, command_commit_and_fetch);
}

static void read_device(struct queue *queue, unsigned number) {
    struct entry *entry = &queue->entries[number];
    struct fuse_read_in *in = (void *)entry->header->op_in;
    struct io_uring_sqe *sqe = next_sqe(&queue->ring);
    if (in->size <= registered_bytes)
        io_uring_prep_read_fixed(sqe, device, entry->data, in->size, in->offset, number);
    else
        io_uring_prep_read(sqe, device, entry->data, in->size, in->offset);
    sqe->user_data = of_read | number;
}

static void write_device(struct queue *queue, unsigned number) {
    struct entry *entry = &queue->entries[number];
    struct fuse_write_in *in = (void *)entry->header->op_in;
    struct io_uring_sqe *sqe = next_sqe(&queue->ring);
    if (in->size <= registered_bytes)
        io_uring_prep_write_fixed(sqe, device, entry->data, in->size, in->offset, number);
    else
        io_uring_prep_write(sqe, device, entry->data, in->size, in->offset);
    sqe->user_data = of_write | number;
}

static void take_request(struct queue *queue, unsigned number) {
    struct entry *entry = &queue->entries[number];
    queue->held++;
    switch (((struct fuse_in_header *)entry->header->in_out)->opcode) {
    case FUSE_READ:
        queue->taken++;
        read_device(queue, number);
        return;
    case FUSE_WRITE:
        queue->taken++;
        queue->taken_large +=
            ((struct fuse_write_in *)entry->header->op_in)->size >= large_write_bytes;
        write_device(queue, number);
        return;
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
        struct fuse_attr_out out = {
            .attr = {.ino = 1, .size = size, .mode = 0100600, .nlink = 1, .blksize = 4096},
        };
        memcpy(entry->data, &out, sizeof out);
        answer(queue, number, 0, sizeof out);
        return;
    }
    case FUSE_OPEN: {
        struct fuse_open_out out = {
            .open_flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH | FOPEN_PARALLEL_DIRECT_WRITES,
        };
        memcpy(entry->data, &out, sizeof out);
        answer(queue, number, 0, sizeof out);
        return;
    }
    case FUSE_FLUSH:
    case FUSE_FSYNC:
    case FUSE_RELEASE: answer(queue, number, 0, 0); return;
    default: answer(queue, number, -ENOSYS, 0);
    }
}

static void take_data(struct queue *queue, unsigned number, unsigned of, int result) {
    if (result < 0) {
        answer(queue, number, result, 0);
    } else if (of == of_read) {
        answer(queue, number, 0, result);
    } else {
        struct fuse_write_out out = {.size = result};
        memcpy(queue->entries[number].data, &out, sizeof out);
        answer(queue, number, 0, sizeof out);
    }
}

static void prepare(struct queue *queue) {
    struct iovec buffers[entries_maximum];
    int result;
    set_up(&queue->ring);
    result = io_uring_register_files(&queue->ring, &fuse, 1);
    if (result < 0) fail("cannot register /dev/fuse", -result);
    for (unsigned number = 0; number < entries_maximum; number++) {
        struct entry *entry = &queue->entries[number];
        char *memory = mmap(NULL, header_bytes + payload_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) fail("no memory for buffers", errno);
        entry->header = (void *)memory;
        entry->data = memory + header_bytes;
        entry->parts[0] = (struct iovec){entry->header, sizeof *entry->header};
        entry->parts[1] = (struct iovec){entry->data, payload_bytes};
        buffers[number] = (struct iovec){entry->data, registered_bytes};
    }
    result = io_uring_register_buffers(&queue->ring, buffers, entries_maximum);
    if (result < 0) fail("cannot register buffers", -result);
}

static int is_end(int error) {
    return error == ENOTCONN || error == ECONNABORTED || error == ECANCELED;
}

// The calling thread runs on the queue's CPU, or on any other. Neither need exist: a CPU that is
// offline has a queue too, which nothing comes to, and there may be one CPU alone.
static void run_on(unsigned processor, int is_away) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (is_away) {
        sched_getaffinity(getpid(), sizeof set, &set);
        CPU_CLR(processor, &set);
    }
    if (sched_setaffinity(0, sizeof set, &set) && errno != EINVAL)
        fail("cannot pin a thread", errno);
}

// Before a wait: away after enough requests that came many at once and were not mostly large writes,
// and back after as many others.
static void place(struct queue *queue) {
    if (queue->taken == 0) return;
    int is_many = queue->held >= many || queue->taken >= many;
    queue->votes += is_many && 2 * queue->taken_large < queue->taken ? queue->taken : -queue->taken;
    queue->taken = queue->taken_large = 0;
    if (queue->votes < 0) queue->votes = 0;
    if (queue->votes > votes_maximum) queue->votes = votes_maximum;
    if (queue->votes != (queue->is_away ? 0 : votes_maximum)) return;
    queue->is_away = !queue->is_away;
    run_on(queue->number, queue->is_away);
}

// A queue's thread. It ends with the connection.
static void *serve(void *argument) {
    struct queue *queue = argument;
    run_on(queue->number, 0);
    prepare(queue);
    for (unsigned number = 0; number < entries_maximum; number++)
        send_command(queue, number, command_register);
    for (;;) {
        struct io_uring_cqe *completions[batch];
        place(queue);
        int result = io_uring_submit_and_wait(&queue->ring, 1);
        if (result < 0 && result != -EINTR) fail("cannot wait for completions", -result);
        unsigned count = io_uring_peek_batch_cqe(&queue->ring, completions, batch);
        for (unsigned index = 0; index < count; index++) {
            unsigned number = completions[index]->user_data & entry_mask;
            unsigned of = completions[index]->user_data & ~entry_mask;
            result = completions[index]->res;
            if (of != of_command)
                take_data(queue, number, of, result);
            else if (result >= 0)
                take_request(queue, number);
            else if (is_end(-result))
                return NULL;
            else
                fail("an entry of the queue of FUSE over io_uring", -result);
        }
        io_uring_cq_advance(&queue->ring, count);
    }
}

static void greet(char *buffer, size_t length) {
    struct fuse_in_header *in = (void *)buffer;
    struct fuse_init_in *init = (void *)(in + 1);
    const uint64_t flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO | FUSE_MAX_PAGES |
                           FUSE_INIT_EXT | over_io_uring;
    struct {
        struct fuse_out_header header;
        struct fuse_init_out init;
    } out = {0};
    if (read(fuse, buffer, length) < 0) fail("cannot read the kernel's INIT", errno);
    if (in->opcode != FUSE_INIT) fail("the kernel's first request is not INIT", 0);
    if (!(init->flags & FUSE_INIT_EXT) || !(init->flags2 & (over_io_uring >> 32)))
        fail("the kernel does not offer FUSE over io_uring", 0);
    out.header = (struct fuse_out_header){sizeof out, 0, in->unique};
    out.init.major = init->major;
    out.init.minor = init->minor;
    out.init.max_readahead = init->max_readahead;
    out.init.flags = (uint32_t)flags;
    out.init.flags2 = flags >> 32;
    out.init.max_background = 256;
    out.init.congestion_threshold = 192;
    out.init.max_write = payload_bytes;
    out.init.time_gran = 1;
    out.init.max_pages = payload_bytes / 4096;
    if (write(fuse, &out, sizeof out) < 0) fail("the kernel refuses the answer to INIT", errno);
}

int main(int count, char **words) {
    static char buffer[payload_bytes + (64 << 10)];
    long queues = sysconf(_SC_NPROCESSORS_CONF);
    char options[128];
    if (count != 1 && count != 3) {
        fprintf(stderr, "usage: floor [MOUNTPOINT DEVICE]\n");
        return 2;
    }
    enable();
    if (count == 1) {
        struct io_uring ring;
        set_up(&ring);
        return 0;
    }
    device = open(words[2], O_RDWR | O_DIRECT | O_CLOEXEC);
    if (device < 0) fail(words[2], errno);
    off_t end = lseek(device, 0, SEEK_END);
    if (end < 0) fail(words[2], errno);
    size = end;
    fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0) fail("/dev/fuse", errno);
    snprintf(options, sizeof options, "fd=%d,rootmode=100000,user_id=0,group_id=0,max_read=%d",
             fuse, payload_bytes);
    if (mount("floor", words[1], "fuse.floor", MS_NOSUID | MS_NODEV, options))
        fail("cannot mount", errno);
    greet(buffer, sizeof buffer);
    for (long number = 0; number < queues; number++) {
        struct queue *queue = calloc(1, sizeof *queue);
        pthread_t thread;
        if (!queue) fail("no memory for a queue", errno);
        queue->number = number;
        int error = pthread_create(&thread, NULL, serve, queue);
        if (error) fail("cannot start a thread", error);
    }
    // The kernel holds requests back until every queue has its entries. What comes this way is
    // FORGET and INTERRUPT, which want no answer, and at last the end.
    for (;;) {
        ssize_t got = read(fuse, buffer, sizeof buffer);
        if (got < 0 && errno == ENODEV) return 0;
        if (got < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
            fail("cannot read /dev/fuse", errno);
    }
}

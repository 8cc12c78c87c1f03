// posix-helper DIRECTORY UID GID [GROUP]...
//
// The POSIX tests' hand: makes system calls for them, one at a time, in a directory and as a user
// of its own. A call that hangs in a mount then hangs here, and the test goes on.
//
// Standard input has requests, standard output their results, in the machine's byte order:
//   request: u32 bytes that follow, u8 name length, name, u8 arguments, then per argument
//            u8 'i', i64             a number
//            u8 'b', u32, bytes      a pointer to these bytes
//            u8 'o', u32             a pointer to that many zeros, which come back changed
//            u8 'x', u32, bytes      a pointer to these bytes, which come back changed
//   result:  u32 bytes that follow, i64 value or -errno, the bytes that come back
// The first result, of no request, says that it is ready. It ends with its standard input.
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { maximum_frame = 32 << 20, maximum_arguments = 8, alignment = 4096 };

#define CALL(name) {#name, SYS_##name}
static const struct {
    const char *name;
    long number;
} calls[] = {
    CALL(chdir), CALL(close), CALL(copy_file_range), CALL(dup), CALL(faccessat), CALL(fallocate),
    CALL(fchdir), CALL(fchmod), CALL(fchmodat), CALL(fchown), CALL(fchownat), CALL(fcntl),
    {"fchmodat2", 452}, // of Linux 6.6, the same number everywhere
    CALL(fdatasync), CALL(fgetxattr), CALL(flistxattr), CALL(flock), CALL(fremovexattr),
    CALL(fsetxattr), CALL(fstatfs), CALL(fsync), CALL(ftruncate), CALL(getcwd), CALL(getdents64),
    CALL(getxattr), CALL(lgetxattr), CALL(linkat), CALL(listxattr), CALL(llistxattr),
    CALL(lremovexattr), CALL(lseek), CALL(lsetxattr), CALL(memfd_create), CALL(mkdirat),
    CALL(mknodat), CALL(mmap), CALL(msync), CALL(munmap), CALL(nanosleep), CALL(openat), CALL(pread64),
    CALL(preadv), CALL(prlimit64), CALL(pwrite64), CALL(pwritev), CALL(pwritev2), CALL(read),
    CALL(readlinkat), CALL(removexattr), CALL(renameat2), CALL(sendfile), CALL(setxattr),
    CALL(statfs), CALL(statx), CALL(symlinkat), CALL(sync_file_range), CALL(syncfs),
    CALL(truncate), CALL(umask), CALL(unlinkat), CALL(utimensat), CALL(write),
};

static unsigned char *frame;
static void *buffers[maximum_arguments];

static void fail(const char *what) {
    fprintf(stderr, "posix-helper: %s: %s\n", what, strerror(errno));
    exit(2);
}

// Exactly `length` bytes. Returns 0 at the end of the input.
static int receive(void *into, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t got = read(0, (char *)into + done, length - done);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            fail("read");
        done += got > 0 ? (size_t)got : 0;
    }
    return 1;
}

static void send_bytes(const void *from, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t put = write(1, (const char *)from + done, length - done);
        if (put < 0 && errno != EINTR)
            fail("write");
        done += put > 0 ? (size_t)put : 0;
    }
}

static void answer(int64_t value, const uint32_t *out_lengths) {
    uint32_t length = sizeof value;
    for (int index = 0; index < maximum_arguments; index++)
        length += out_lengths[index];
    send_bytes(&length, sizeof length);
    send_bytes(&value, sizeof value);
    for (int index = 0; index < maximum_arguments; index++)
        send_bytes(buffers[index], out_lengths[index]);
}

// Runs a program and waits for it. Returns its wait status, or -errno of execve(2).
static int64_t run(long *values, int count) {
    char *argv[maximum_arguments + 1] = {0};
    int report[2], error = 0, status = 0;
    for (int index = 0; index < count; index++)
        argv[index] = (char *)values[index];
    if (pipe2(report, 02000000 /* O_CLOEXEC */) < 0)
        fail("pipe2");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(2, 1);
        execv(argv[0], argv);
        error = errno;
        if (write(report[1], &error, sizeof error) < 0)
            _exit(126);
        _exit(127);
    }
    close(report[1]);
    if (pid < 0 || read(report[0], &error, sizeof error) < 0)
        fail("fork");
    close(report[0]);
    waitpid(pid, &status, 0);
    return error ? -error : status;
}

static int64_t perform(const char *name, long *values, int count) {
    if (strcmp(name, "exec") == 0)
        return run(values, count);
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++) {
        if (strcmp(name, calls[index].name) != 0)
            continue;
        long result = syscall(
            calls[index].number, values[0], values[1], values[2], values[3], values[4], values[5]);
        return result == -1 ? -errno : result;
    }
    errno = ENOSYS;
    fail(name);
    return 0;
}

static void serve(uint32_t length) {
    char name[256] = {0};
    long values[maximum_arguments] = {0};
    uint32_t out_lengths[maximum_arguments] = {0};
    unsigned char *next = frame, *end = frame + length;
    memcpy(name, next + 1, *next);
    next += 1 + *next;
    int count = *next++;
    for (int index = 0; index < count && next < end; index++) {
        unsigned char kind = *next++;
        if (kind == 'i') {
            int64_t number;
            memcpy(&number, next, sizeof number);
            next += sizeof number;
            values[index] = number;
            continue;
        }
        uint32_t size;
        memcpy(&size, next, sizeof size);
        next += sizeof size;
        if (posix_memalign(&buffers[index], alignment, size + 1))
            fail("posix_memalign");
        memset(buffers[index], 0, size + 1);
        if (kind != 'o') {
            memcpy(buffers[index], next, size);
            next += size;
        }
        if (kind != 'b')
            out_lengths[index] = size;
        values[index] = (long)buffers[index];
    }
    answer(perform(name, values, count), out_lengths);
    for (int index = 0; index < maximum_arguments; index++) {
        free(buffers[index]);
        buffers[index] = NULL;
    }
}

static void wake(int signal) { (void)signal; }

int main(int argc, char **argv) {
    // Whoever started this may be a thread that keeps its capabilities over a change of user.
    prctl(PR_SET_SECUREBITS, 0, 0, 0, 0);
    static const uint32_t nothing[maximum_arguments];
    if (argc < 4) {
        fprintf(stderr, "usage: posix-helper DIRECTORY UID GID [GROUP]...\n");
        return 2;
    }
    gid_t groups[16];
    size_t count = 0;
    for (int index = 4; index < argc && count < 16; index++)
        groups[count++] = (gid_t)strtoul(argv[index], NULL, 10);
    uid_t uid = (uid_t)strtoul(argv[2], NULL, 10);
    gid_t gid = (gid_t)strtoul(argv[3], NULL, 10);
    // No SA_RESTART: a signal must end a call that waits.
    struct sigaction action = {.sa_handler = wake};
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    if (chdir(argv[1]) < 0)
        fail(argv[1]);
    if (setgroups(count, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0)
        fail("cannot change the user");
    // Else /proc/self belongs to root.
    prctl(PR_SET_DUMPABLE, 1);
    if (!(frame = malloc(maximum_frame)))
        fail("malloc");
    answer(0, nothing);
    for (uint32_t length; receive(&length, sizeof length);) {
        if (length < 2 || length > maximum_frame || !receive(frame, length))
            return 2;
        serve(length);
    }
    return 0;
}

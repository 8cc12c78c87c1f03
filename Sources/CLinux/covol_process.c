#define _GNU_SOURCE

#include "covol_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Runs in the child, between fork and exec: async-signal-safe calls only.
static void covol_spawn_child(const struct covol_spawn *spawn, int report_fd) {
    int fds[3] = {spawn->stdin_fd, spawn->stdout_fd, spawn->stderr_fd};
    struct sigaction action;
    sigset_t none;
    int error = 0;

    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    setsid();
    // Out of the way of 0 to 2 first: any of them may have been closed in the caller.
    report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, 10);
    for (int index = 0; index < 3 && !error; index++) {
        fds[index] = fcntl(fds[index], F_DUPFD_CLOEXEC, 10);
        if (fds[index] < 0)
            error = errno;
    }
    for (int index = 0; index < 3 && !error; index++)
        if (dup2(fds[index], index) < 0)
            error = errno;
    if (!error && spawn->netns_fd >= 0 && setns(spawn->netns_fd, CLONE_NEWNET) < 0)
        error = errno;
    if (!error && spawn->directory && chdir(spawn->directory) < 0)
        error = errno;
    if (!error && syscall(SYS_close_range, 3U, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
        error = errno;
    if (!error) {
        execve(spawn->path, spawn->argv, spawn->envp);
        error = errno;
    }
    while (write(report_fd, &error, sizeof error) < 0 && errno == EINTR)
        continue;
    _exit(127);
}

int covol_spawn(const struct covol_spawn *spawn) {
    int report[2];
    int error = 0;
    sigset_t all, before;
    ssize_t got;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    // No handler of the caller's may run in the child.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        covol_spawn_child(spawn, report[1]);
    if (pid < 0)
        error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid > 0) {
        do
            got = read(report[0], &error, sizeof error);
        while (got < 0 && errno == EINTR);
        if (got > 0) {
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                continue;
        } else {
            error = 0;
        }
    }
    close(report[0]);
    return error ? -error : pid;
}

int covol_enter_netns(int netns_fd) {
    return setns(netns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

int covol_pidfd_open(int pid) {
    long fd = syscall(SYS_pidfd_open, pid, 0U);
    return fd < 0 ? -errno : (int)fd;
}

int covol_pidfd_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0U) < 0 ? -errno : 0;
}

int covol_memfd(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int covol_pipe(int *read_fd, int *write_fd) {
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *read_fd = fds[0];
    *write_fd = fds[1];
    return 0;
}

int covol_unmount_lazily(const char *path) {
    return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

int covol_reap(int pid, int *code, int *signal) {
    int status = 0;
    pid_t got;

    do
        got = waitpid(pid, &status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got < 0 ? -errno : 0;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return got;
}

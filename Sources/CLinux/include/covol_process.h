// Processes and network namespaces: what the lab starts, finds and ends.
#ifndef COVOL_PROCESS_H
#define COVOL_PROCESS_H

// What covol_spawn starts. Every pointer must stay valid until it returns.
struct covol_spawn {
    const char *path;        // absolute path of the program
    char *const *argv;       // NULL-terminated
    char *const *envp;       // NULL-terminated, the whole environment
    const char *directory;   // working directory, or NULL to keep the caller's
    int netns_fd;            // network namespace to enter, or -1 to keep the caller's
    int stdin_fd;            // descriptors that become 0, 1 and 2
    int stdout_fd;
    int stderr_fd;
};

// Starts a program as the leader of its own session, with default signal handling and no other
// descriptors than 0, 1 and 2. It stays in the caller's mount namespace. Returns its pid, or
// -errno of the step that failed (namespace, directory, exec): then no child is left.
int covol_spawn(const struct covol_spawn *spawn);

// Moves the calling thread into a network namespace (setns(2)).
int covol_enter_netns(int netns_fd);

// A descriptor, close-on-exec, that stands for the process and becomes readable when it ended
// (pidfd_open(2)).
int covol_pidfd_open(int pid);

// A signal to exactly the process of the descriptor, never to a later one with its pid
// (pidfd_send_signal(2)).
int covol_pidfd_signal(int pidfd, int signal);

// An anonymous file in memory, close-on-exec (memfd_create(2)).
int covol_memfd(const char *name);

// Both ends of a pipe, close-on-exec (pipe2(2)).
int covol_pipe(int *read_fd, int *write_fd);

// Takes a mount out of the tree without asking its file system and without following a symbolic
// link (umount2(2), MNT_DETACH | UMOUNT_NOFOLLOW).
int covol_unmount_lazily(const char *path);

// Waits for a child without blocking (waitpid(2), WNOHANG). Returns 0 while it runs, its pid when
// it ended, -ECHILD when it is no child. `*code` is the exit status, `*signal` the signal or 0.
int covol_reap(int pid, int *code, int *signal);

#endif

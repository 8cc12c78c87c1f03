// Descriptors that go from process to process over a Unix socket of whole messages (unix(7)).
#ifndef COVOL_HANDOVER_H
#define COVOL_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

// SCM_MAX_FD of the kernel: what one message can carry.
static const int covol_handover_descriptors_maximum = 253;

// Listens at `path` (SOCK_SEQPACKET, mode 0600), which must not exist. Returns the descriptor or
// -errno.
int covol_handover_listen(const char *path, int backlog);

// Connects to `path`; every receive ends with -EAGAIN after `timeout_ms`. Returns the descriptor or
// -errno.
int covol_handover_connect(const char *path, int timeout_ms);

// The next connection, close-on-exec, or -errno; `*user` is the peer's effective user (SO_PEERCRED).
int covol_handover_accept(int listener, uint32_t *user);

// Sends one message with `count` descriptors, without waiting for room if `waits` is 0. 0 or -errno.
int covol_handover_send(int socket, const void *data, size_t length, const int *descriptors,
                        int count, int waits);

// Receives one message; the descriptors that came with it are the caller's, close-on-exec, also
// where the length is 0 (the end). Returns its length, or -errno; -EMSGSIZE where it was cut, and
// then no descriptor is left.
long covol_handover_receive(int socket, void *data, size_t capacity, int *descriptors,
                            int maximum, int *count);

#endif

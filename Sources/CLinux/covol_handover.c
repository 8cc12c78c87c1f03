#define _GNU_SOURCE

#include "covol_handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DESCRIPTORS_MAXIMUM 253

static int make(const char *path, struct sockaddr_un *address) {
    int result;

    if (strlen(path) >= sizeof address->sun_path)
        return -ENAMETOOLONG;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    result = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return result < 0 ? -errno : result;
}

static int failed(int fd) {
    int error = errno;

    close(fd);
    return -error;
}

int covol_handover_listen(const char *path, int backlog) {
    struct sockaddr_un address;
    int fd = make(path, &address);

    if (fd < 0)
        return fd;
    // The mode of the descriptor is that of the file which bind makes.
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, backlog) < 0)
        return failed(fd);
    return fd;
}

int covol_handover_connect(const char *path, int timeout_ms) {
    struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    struct sockaddr_un address;
    int fd = make(path, &address);

    if (fd < 0)
        return fd;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return failed(fd);
    return fd;
}

int covol_handover_accept(int listener, uint32_t *user) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return failed(fd);
    *user = peer.uid;
    return fd;
}

int covol_handover_send(int socket, const void *data, size_t length, const int *descriptors,
                        int count, int waits) {
    char control[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAXIMUM)] __attribute__((aligned(8)));
    struct iovec part = {(void *)data, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *header;

    if (count < 0 || count > DESCRIPTORS_MAXIMUM)
        return -EINVAL;
    if (count) {
        memset(control, 0, sizeof control);
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)count);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT)) < 0 ? -errno : 0;
}

long covol_handover_receive(int socket, void *data, size_t capacity, int *descriptors,
                            int maximum, int *count) {
    char control[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAXIMUM)] __attribute__((aligned(8)));
    struct iovec part = {data, capacity};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t length;
    int cut;

    *count = 0;
    do {
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length < 0)
        return -errno;
    cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        int came = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        int fd;

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        for (int index = 0; index < came; index++) {
            memcpy(&fd, CMSG_DATA(header) + sizeof(int) * (size_t)index, sizeof fd);
            if (*count < maximum) {
                descriptors[(*count)++] = fd;
            } else {
                close(fd);
                cut = 1;
            }
        }
    }
    if (!cut)
        return length;
    while (*count)
        close(descriptors[--*count]);
    return -EMSGSIZE;
}

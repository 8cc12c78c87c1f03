// SCSI commands by ioctl(SG_IO), and /dev/watchdog. Every function returns -errno on failure.
#ifndef COVOL_SCSI_H
#define COVOL_SCSI_H

#include <errno.h>
#include <linux/watchdog.h>
#include <scsi/sg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

// One command and what became of it. The pointers must stay valid until covol_scsi_execute returns.
struct covol_scsi_command {
    const uint8_t *cdb;
    uint8_t cdb_length;
    uint8_t is_data_out;      // the direction, where there is data
    void *data;
    uint32_t data_length;     // 0: no data phase
    uint32_t timeout_ms;
    uint8_t *sense;
    uint8_t sense_capacity;
    // The answer.
    uint8_t status;           // the SCSI status byte
    uint8_t sense_length;
    uint16_t host_status;     // DID_* of the kernel's include/scsi/scsi_status.h
    uint16_t driver_status;   // DRIVER_*, and SUGGEST_* in the upper half on old kernels
    int32_t residual;         // bytes of `data` that were not transferred
};

static inline int covol_scsi_execute(int fd, struct covol_scsi_command *command) {
    struct sg_io_hdr header;
    memset(&header, 0, sizeof header);
    header.interface_id = 'S';
    header.dxfer_direction = command->data_length == 0 ? SG_DXFER_NONE
        : command->is_data_out ? SG_DXFER_TO_DEV : SG_DXFER_FROM_DEV;
    header.cmd_len = command->cdb_length;
    header.cmdp = (unsigned char *)command->cdb;
    header.dxferp = command->data;
    header.dxfer_len = command->data_length;
    header.sbp = command->sense;
    header.mx_sb_len = command->sense_capacity;
    header.timeout = command->timeout_ms;
    if (ioctl(fd, SG_IO, &header) < 0)
        return -errno;
    command->status = header.status;
    command->sense_length = header.sb_len_wr;
    command->host_status = header.host_status;
    command->driver_status = header.driver_status;
    command->residual = header.resid;
    return 0;
}

// --- /dev/watchdog: the kernel's Documentation/watchdog/watchdog-api.rst ---

// WDIOC_GETSUPPORT: the WDIOF_* bits, and the name, of which 32 bytes are kept.
static inline int covol_watchdog_support(int fd, uint32_t *options, char name[33]) {
    struct watchdog_info info;
    memset(&info, 0, sizeof info);
    if (ioctl(fd, WDIOC_GETSUPPORT, &info) < 0)
        return -errno;
    *options = info.options;
    memcpy(name, info.identity, 32);
    name[32] = 0;
    return 0;
}

// WDIOC_SETTIMEOUT: the driver may round; `*seconds` is what it took.
static inline int covol_watchdog_set_timeout(int fd, int32_t *seconds) {
    int value = *seconds;
    if (ioctl(fd, WDIOC_SETTIMEOUT, &value) < 0)
        return -errno;
    *seconds = value;
    return 0;
}

static inline int covol_watchdog_get_timeout(int fd, int32_t *seconds) {
    int value = 0;
    if (ioctl(fd, WDIOC_GETTIMEOUT, &value) < 0)
        return -errno;
    *seconds = value;
    return 0;
}

static inline int covol_watchdog_keep_alive(int fd) {
    return ioctl(fd, WDIOC_KEEPALIVE, 0) < 0 ? -errno : 0;
}

static const uint32_t covol_watchdog_has_set_timeout = 0x0080;
static const uint32_t covol_watchdog_has_magic_close = 0x0100;
static const uint32_t covol_watchdog_has_keep_alive = 0x8000;

#endif

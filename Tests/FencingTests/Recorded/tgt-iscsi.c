// Sends SCSI commands to an iSCSI target, over one session per initiator name, and prints what the
// target answered. How the tgt-*.txt beside it were recorded; README.md has the commands.
//
//     cc -o tgt-iscsi tgt-iscsi.c -liscsi
//     tgt-iscsi PORTAL TARGET LUN < commands > transcript
//
// A line of input: "PATH > CDB [DATA]", in hexadecimal. Lines of output: the same, then
// "PATH < STATUS sense=HEX data=HEX". Empty lines and comments (#) are copied.
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATHS_MAXIMUM 8

static struct {
    char name[32];
    struct iscsi_context *session;
} paths[PATHS_MAXIMUM];

static struct iscsi_context *session_of(
    const char *name, const char *portal, const char *target) {
    char initiator[96];
    int index = 0;
    while (index < PATHS_MAXIMUM && paths[index].session) {
        if (strcmp(paths[index].name, name) == 0)
            return paths[index].session;
        index++;
    }
    if (index == PATHS_MAXIMUM)
        return NULL;
    snprintf(paths[index].name, sizeof paths[index].name, "%s", name);
    snprintf(initiator, sizeof initiator, "iqn.2026-11.example:%s", name);
    struct iscsi_context *session = iscsi_create_context(initiator);
    iscsi_set_targetname(session, target);
    iscsi_set_session_type(session, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(session, ISCSI_HEADER_DIGEST_NONE);
    // Without the test unit ready of iscsi_full_connect_sync, which would eat the unit attention.
    if (iscsi_connect_sync(session, portal) || iscsi_login_sync(session)) {
        fprintf(stderr, "%s: %s\n", name, iscsi_get_error(session));
        exit(1);
    }
    paths[index].session = session;
    return session;
}

static int bytes_of(const char *text, unsigned char *bytes, int maximum) {
    int count = 0;
    unsigned value;
    while (count < maximum && sscanf(text + 2 * count, "%2x", &value) == 1)
        bytes[count++] = (unsigned char)value;
    return count;
}

static void print_bytes(const unsigned char *bytes, int count) {
    for (int index = 0; index < count; index++)
        printf("%02x", bytes[index]);
}

int main(int argc, char **argv) {
    char line[4096], name[32], cdb_text[64], data_text[2048];
    if (argc != 4)
        return 2;
    while (fgets(line, sizeof line, stdin)) {
        unsigned char cdb[16], data[1024];
        data_text[0] = 0;
        fputs(line, stdout);
        if (sscanf(line, "%31s > %63s %2047s", name, cdb_text, data_text) < 2 || name[0] == '#')
            continue;
        struct iscsi_context *session = session_of(name, argv[1], argv[2]);
        int cdb_count = bytes_of(cdb_text, cdb, sizeof cdb);
        struct iscsi_data out = {.data = data};
        out.size = (size_t)bytes_of(data_text, data, sizeof data);
        // 5Eh and the like say their allocation length in bytes 7 and 8.
        int expected = out.size > 0 ? (int)out.size : cdb[7] << 8 | cdb[8];
        int direction = out.size > 0 ? SCSI_XFER_WRITE : expected ? SCSI_XFER_READ : SCSI_XFER_NONE;
        struct scsi_task *task = scsi_create_task(cdb_count, cdb, direction, expected);
        task = iscsi_scsi_command_sync(session, atoi(argv[3]), task, out.size ? &out : NULL);
        if (!task) {
            fprintf(stderr, "%s: %s\n", name, iscsi_get_error(session));
            return 1;
        }
        printf("%s < %02x sense=", name, (unsigned)task->status & 0xff);
        int is_sense = task->status == SCSI_STATUS_CHECK_CONDITION;
        // The data segment of a CHECK CONDITION: two bytes of length, then the sense data.
        if (is_sense && task->datain.size > 2)
            print_bytes(task->datain.data + 2, task->datain.size - 2);
        printf(" data=");
        if (!is_sense)
            print_bytes(task->datain.data, task->datain.size);
        printf("\n");
        scsi_free_scsi_task(task);
    }
    return 0;
}

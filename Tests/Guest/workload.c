// The test guest's workload. Writes numbered, checksummed records to /dev/vda, a ring of blocks, and a
// heartbeat to the console, until the power button is pressed.
//
// Kernel command line: covol.heartbeat=MILLISECONDS (50), covol.records=PER_SECOND (100, 0 for none),
// covol.blocks=COUNT of the ring (4096).
//
// Console:
//   boot B              a new boot, with its random number
//   beat N MS           heartbeat N, MS milliseconds after the boot by the guest's clock
//   record N            record N is on the disk
//   error N ERRNO       record N could not be written
//   power               the power button was pressed
//   heard TEXT          a line was typed
//
// A record is a block of 4096 bytes: "COVOLREC", the boot's number, its own number, the sum of all
// that follows, and words that follow from both numbers. See GuestRecords.swift.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, WORDS = BLOCK / 8 };

static uint64_t boot;
static long heartbeat = 50, rate = 100, blocks = 4096;

static uint64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

// One write, so that lines of several threads do not mix.
static void say(const char *format, uint64_t first, uint64_t second) {
    char line[96];
    int length = snprintf(line, sizeof line, format, first, second);
    if (write(1, line, (size_t)length) < 0) return;
}

static uint64_t mix(uint64_t value) {
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9ULL;
    value ^= value >> 27;
    value *= 0x94d049bb133111ebULL;
    return value ^ value >> 31;
}

static void fill(uint64_t *words, uint64_t number) {
    uint64_t sum = 0;
    memcpy(words, "COVOLREC", 8);
    words[1] = boot;
    words[2] = number;
    for (int index = 4; index < WORDS; index++) {
        words[index] = mix(boot ^ mix(number) ^ (uint64_t)index);
        sum = mix(sum ^ words[index]);
    }
    words[3] = sum;
}

static void *write_records(void *unused) {
    uint64_t *words = aligned_alloc(BLOCK, BLOCK);
    int disk = open("/dev/vda", O_RDWR | O_DIRECT | O_DSYNC);
    if (disk < 0) {
        say("error %lu %lu\n", 0, (uint64_t)errno);
        return unused;
    }
    for (uint64_t number = 1;; number++) {
        fill(words, number);
        while (pwrite(disk, words, BLOCK, (off_t)(number % (uint64_t)blocks) * BLOCK) != BLOCK) {
            say("error %lu %lu\n", number, (uint64_t)errno);
            usleep(100000);
        }
        say("record %lu\n", number, 0);
        usleep((useconds_t)(1000000 / rate));
    }
}

static void *wait_for_button(void *unused) {
    struct pollfd inputs[16];
    int count = 0;
    DIR *folder = opendir("/dev/input");
    struct dirent *entry;
    while (folder && count < 16 && (entry = readdir(folder))) {
        char path[300];
        if (strncmp(entry->d_name, "event", 5) != 0) continue;
        snprintf(path, sizeof path, "/dev/input/%s", entry->d_name);
        inputs[count].fd = open(path, O_RDONLY);
        inputs[count].events = POLLIN;
        if (inputs[count].fd >= 0) count++;
    }
    while (count > 0 && poll(inputs, (nfds_t)count, -1) > 0) {
        for (int index = 0; index < count; index++) {
            struct input_event event;
            if (!(inputs[index].revents & POLLIN)) continue;
            if (read(inputs[index].fd, &event, sizeof event) != sizeof event) continue;
            if (event.type != EV_KEY || event.code != KEY_POWER) continue;
            say("power\n", 0, 0);
            sync();
            reboot(RB_POWER_OFF);
        }
    }
    return unused;
}

static void *listen_to_console(void *unused) {
    char text[64], line[96];
    while (fgets(text, sizeof text, stdin)) {
        int length = snprintf(line, sizeof line, "heard %s", text);
        if (write(1, line, (size_t)length) < 0) break;
    }
    return unused;
}

static void read_options(void) {
    char text[4096];
    int file = open("/proc/cmdline", O_RDONLY);
    ssize_t length = read(file, text, sizeof text - 1);
    if (length < 0) return;
    text[length] = 0;
    for (char *word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
        if (strncmp(word, "covol.heartbeat=", 16) == 0) heartbeat = atol(word + 16);
        if (strncmp(word, "covol.records=", 14) == 0) rate = atol(word + 14);
        if (strncmp(word, "covol.blocks=", 13) == 0) blocks = atol(word + 13);
    }
}

int main(void) {
    pthread_t thread;
    read_options();
    if (getrandom(&boot, sizeof boot, 0) != sizeof boot) boot = now_ms();
    say("boot %lu\n", boot, 0);
    pthread_create(&thread, NULL, wait_for_button, NULL);
    pthread_create(&thread, NULL, listen_to_console, NULL);
    if (rate > 0) pthread_create(&thread, NULL, write_records, NULL);
    for (uint64_t number = 1;; number++) {
        say("beat %lu %lu\n", number, now_ms());
        usleep((useconds_t)heartbeat * 1000);
    }
}

/* links: spool tls base */
/*
 * What the disk and the spool's database can do, without the gateway around them. Each prints one
 * line of JSON; CPU is user + system of this process, in microseconds a row.
 *
 *   bench_disk fdatasync DIRECTORY GROUP SECONDS BYTES
 *       appends GROUP rows of BYTES, then one fdatasync(), over and over
 *   bench_disk put DIRECTORY GROUP SECONDS BYTES
 *       digest, row and retransmission record of GROUP messages in one transaction of the gateway's own
 *       backend, over and over; the key file "spool.key" is in DIRECTORY, the database is made there
 *   bench_disk fill DIRECTORY COUNT BYTES ROUTE LANE PEER LISTENER
 *       puts COUNT messages into DIRECTORY/spool.db, for a gateway that starts with a long queue
 */
#include "base/clock.h"
#include "spool/backend.h"
#include "tls/tls.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FILL_GROUP 1000
#define GROUP_MAXIMUM 4096

static void disk_fail(const char *what)
{
    perror(what);
    exit(1);
}

static void disk_check(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(-result));
    exit(1);
}

static double disk_cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double disk_wall_s(void)
{
    return (double)clock_monotonic_ns() / 1e9;
}

/* ---- append + fdatasync ---- */

static void disk_fdatasync(const char *directory, size_t group, double seconds, size_t bytes)
{
    char path[4096], *rows = calloc(group, bytes);
    uint64_t syncs = 0;

    snprintf(path, sizeof path, "%s/append", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || rows == NULL)
        disk_fail(path);
    double cpu = disk_cpu_us(), wall = disk_wall_s(), now;
    do {
        for (size_t i = 0; i < group; i++)
            if (write(fd, rows + i * bytes, bytes) != (ssize_t)bytes)
                disk_fail("write");
        if (fdatasync(fd) < 0)
            disk_fail("fdatasync");
        syncs++;
        now = disk_wall_s();
    } while (now - wall < seconds);
    cpu = disk_cpu_us() - cpu;
    printf("{\"rows_per_second\": %.1f, \"syncs_per_second\": %.1f, \"cpu_us\": %.3f}\n",
           (double)(syncs * group) / (now - wall), (double)syncs / (now - wall),
           cpu / (double)(syncs * group));
    close(fd);
    unlink(path);
    free(rows);
}

/* ---- the gateway's own backend ---- */

/* ORU^R01 of just so many bytes (at least its header), with an MSH-10 of its own. */
static struct message *disk_message(const char *peer, const char *listener, size_t bytes,
                                    uint64_t number)
{
    char head[160];
    int length = snprintf(head, sizeof head,
                          "MSH|^~\\&|BENCH|BENCH|GATEWAY||20260101000000||ORU^R01|B%015llX|T|2.5\r"
                          "NTE|1||",
                          (unsigned long long)number);
    size_t total = bytes > (size_t)length ? bytes : (size_t)length;
    char *body = malloc(total);
    struct message *message = body == NULL ? NULL : message_new(peer, listener, body, total);

    if (message == NULL)
        disk_fail("message");
    memset(body, 'x', total);
    memcpy(body, head, (size_t)length);
    const char *type = strstr(head, "ORU^R01");
    message->message_type = span_of(body + (type - head), 7);
    message->control_id = span_of(body + (type - head) + 8, 16);
    message->facility = span_of((const char *)memchr(body, 'B', total) + 6, 5);
    message->received_wall_ms = clock_wall_ms(clock_system());
    return message;
}

static struct spool_backend *disk_open(const char *directory)
{
    char path[4096], key[4096], error[512] = "";
    struct spool_backend_settings settings = {.path = path, .key_file = key, .window_ms = 86400000};
    struct spool_backend *backend = NULL;

    snprintf(path, sizeof path, "%s/spool.db", directory);
    snprintf(key, sizeof key, "%s/spool.key", directory);
    disk_check(tls_global_init(), "PSA");
    if (spool_sqlite_open(&settings, clock_wall_ms(clock_system()), &backend, error) < 0) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    return backend;
}

static void disk_put_group(struct spool_backend *backend, struct message *const *messages,
                           size_t count, const char *route, const char *lane)
{
    int64_t now_ms = clock_wall_ms(clock_system());
    uint64_t id;

    disk_check(spool_backend_begin(backend), "begin");
    for (size_t i = 0; i < count; i++) {
        disk_check(spool_backend_put(backend, messages[i], route, lane, false, now_ms, &id), "put");
        disk_check(spool_backend_record_put(backend, messages[i], NULL, now_ms), "record");
    }
    disk_check(spool_backend_commit(backend), "commit");
}

static void disk_digest_group(struct spool_backend *backend, struct message *const *messages,
                              size_t count)
{
    for (size_t i = 0; i < count; i++)
        disk_check(spool_backend_digest(backend, messages[i]), "digest");
}

static void disk_put(const char *directory, size_t group, double seconds, size_t bytes)
{
    struct spool_backend *backend = disk_open(directory);
    struct message *messages[GROUP_MAXIMUM];
    double put_us = 0, digest_us = 0, wall_s = 0, started = disk_wall_s();
    uint64_t rows = 0;

    do {
        for (size_t i = 0; i < group; i++)
            messages[i] = disk_message("bench", "bench", bytes, rows + i);
        double wall = disk_wall_s(), cpu = disk_cpu_us();
        disk_digest_group(backend, messages, group);
        digest_us += disk_cpu_us() - cpu;
        cpu = disk_cpu_us();
        disk_put_group(backend, messages, group, "bench", "bench/bench");
        put_us += disk_cpu_us() - cpu;
        wall_s += disk_wall_s() - wall;
        rows += group;
        for (size_t i = 0; i < group; i++)
            message_release(&messages[i]);
    } while (disk_wall_s() - started < seconds);
    spool_backend_close(&backend);
    printf("{\"rows_per_second\": %.1f, \"cpu_us\": %.3f, \"put_us\": %.3f, \"digest_us\": %.3f}\n",
           (double)rows / wall_s, (put_us + digest_us) / (double)rows, put_us / (double)rows,
           digest_us / (double)rows);
}

static void disk_fill(const char *directory, uint64_t count, size_t bytes, char *const names[4])
{
    struct spool_backend *backend = disk_open(directory);
    struct message *messages[FILL_GROUP];
    double started = disk_wall_s();

    for (uint64_t done = 0; done < count;) {
        size_t group = count - done < FILL_GROUP ? (size_t)(count - done) : FILL_GROUP;
        for (size_t i = 0; i < group; i++)
            messages[i] = disk_message(names[2], names[3], bytes, done + i);
        disk_digest_group(backend, messages, group);
        disk_put_group(backend, messages, group, names[0], names[1]);
        for (size_t i = 0; i < group; i++)
            message_release(&messages[i]);
        done += group;
    }
    spool_backend_close(&backend);
    printf("{\"rows\": %llu, \"seconds\": %.3f}\n", (unsigned long long)count,
           disk_wall_s() - started);
}

static int disk_usage(void)
{
    fputs("usage: bench_disk fdatasync|put DIRECTORY GROUP SECONDS BYTES\n"
          "       bench_disk fill DIRECTORY COUNT BYTES ROUTE LANE PEER LISTENER\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 9 && strcmp(argv[1], "fill") == 0) {
        disk_fill(argv[2], strtoull(argv[3], NULL, 10), strtoul(argv[4], NULL, 10), argv + 5);
        return 0;
    }
    if (argc != 6)
        return disk_usage();
    size_t group = strtoul(argv[3], NULL, 10);
    double seconds = strtod(argv[4], NULL);
    size_t bytes = strtoul(argv[5], NULL, 10);

    if (group < 1 || group > GROUP_MAXIMUM)
        return disk_usage();
    if (strcmp(argv[1], "fdatasync") == 0)
        disk_fdatasync(argv[2], group, seconds, bytes);
    else if (strcmp(argv[1], "put") == 0)
        disk_put(argv[2], group, seconds, bytes);
    else
        return disk_usage();
    return 0;
}

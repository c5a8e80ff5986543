/* links: spool base */
/*
 * What the SQLite spool costs by itself: CPU and time a message for put, record and settle, at
 * several group sizes, empty and with records or queued rows; and opening with many rows.
 *   bench_spool [DIRECTORY]    (default: TMPDIR or /tmp)
 */
#include "spool/backend.h"
#include "support/spool_files.h"

#include <psa/crypto.h>
#include <sys/resource.h>
#include <time.h>

#define CHECK(expression)                                                                          \
    do {                                                                                           \
        int result_ = (expression);                                                                \
        if (result_ < 0) {                                                                         \
            fprintf(stderr, "%s: %s\n", #expression, strerror(-result_));                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static double wall_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long resident_kb(void)
{
    char text[256] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (file != NULL && fgets(text, sizeof text, file) != NULL)
        pages = strtol(strchr(text, ' '), NULL, 10);
    if (file != NULL)
        fclose(file);
    return pages * 4;
}

static struct spool_backend *backend_open(const struct spool_files *files)
{
    const struct spool_backend_settings settings = {
        .path = files->database, .key_file = files->keys, .window_ms = 86400000};
    struct spool_backend *backend;
    char error[512];

    if (spool_sqlite_open(&settings, 1000000, &backend, error) < 0) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    return backend;
}

static uint64_t counter;

static struct message *make_message(size_t size)
{
    char *body = malloc(size + 64);

    memset(body, 'x', size);
    int length = snprintf(body, 64, "MSG%012lu|ADT^A01|STM|", (unsigned long)counter++);
    body[length] = 'x';
    struct message *message = message_new("st-marys-lab", "adt", body, size);
    message->control_id = span_of(body, 15);
    message->message_type = span_of(body + 16, 7);
    message->received_wall_ms = 1790000000000;
    return message;
}

/* As good as random, and cheaper. */
static void make_digest(uint8_t digest[16])
{
    const uint64_t halves[] = {counter * UINT64_C(0x9E3779B97F4A7C15), counter};

    memcpy(digest, halves, sizeof halves);
}

static uint64_t *ring;
static size_t ring_head, ring_tail;
#define RING 65536

/* Groups of puts with their records; each group also settles as many as it puts, `behind` later. */
static void run(struct spool_backend *backend, const char *title, size_t size, int group,
                long messages, size_t behind, bool digest)
{
    const struct verdict accepted = {.kind = VERDICT_ACCEPTED};
    struct message **all = malloc((size_t)group * sizeof *all);
    double cpu = 0, digest_cpu = 0, wall = 0;

    for (long done = 0; done < messages; done += group) {
        double before = cpu_seconds();
        for (int i = 0; i < group; i++) {
            all[i] = make_message(size);
            if (digest)
                CHECK(spool_backend_digest(backend, all[i]));
            else
                make_digest(all[i]->digest + MESSAGE_STABLE_ID_BYTES);
        }
        digest_cpu += cpu_seconds() - before;
        before = cpu_seconds();
        double began = wall_seconds();
        CHECK(spool_backend_begin(backend));
        while (ring_head - ring_tail > behind) {
            CHECK(spool_backend_settle(backend, ring[ring_tail % RING], &accepted, 0, false, false,
                                       1000));
            ring_tail++;
        }
        for (int i = 0; i < group; i++) {
            struct spool_record record;
            if (spool_backend_record_find(backend, all[i]->digest, 1000, &record) == 0)
                exit(1);
            CHECK(spool_backend_put(backend, all[i], "adt-to-cloud", "adt-to-cloud/st-marys-lab",
                                    true, 1000, &ring[ring_head++ % RING]));
            CHECK(spool_backend_record_put(backend, all[i], NULL, 1000));
        }
        CHECK(spool_backend_commit(backend));
        cpu += cpu_seconds() - before;
        wall += wall_seconds() - began;
        for (int i = 0; i < group; i++)
            message_release(&all[i]);
    }
    free(all);
    printf("%-34s size %6zu group %3d: cpu %7.2f us, wall %7.2f us, digest %6.2f us a message; "
           "RSS %ld KB\n",
           title, size, group, cpu * 1e6 / (double)messages, wall * 1e6 / (double)messages,
           digest_cpu * 1e6 / (double)messages, resident_kb());
    fflush(stdout);
}

static void fill_queue(struct spool_backend *backend, long rows)
{
    for (long done = 0; done < rows; done += 1000) {
        CHECK(spool_backend_begin(backend));
        for (int i = 0; i < 1000; i++) {
            struct message *message = make_message(600);
            uint64_t id;
            CHECK(spool_backend_put(backend, message, "r", "r/backlog", false, 1000, &id));
            message_release(&message);
        }
        CHECK(spool_backend_commit(backend));
    }
}

int main(int count, char **arguments)
{
    struct spool_files files;

    if (count > 1)
        setenv("TMPDIR", arguments[1], 1);
    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    ring = calloc(RING, sizeof *ring);
    spool_files_make(&files);
    struct spool_backend *backend = backend_open(&files);
    run(backend, "empty", 600, 64, 64000, 256, true);
    run(backend, "empty", 600, 8, 16000, 256, true);
    run(backend, "empty", 600, 1, 4000, 256, true);
    run(backend, "empty", 65536, 64, 6400, 256, true);
    run(backend, "empty", 65536, 1, 1000, 256, true);
    run(backend, "filling records", 600, 256, 1024000, 256, false);
    run(backend, "1 million records", 600, 64, 64000, 256, true);
    fill_queue(backend, 1000000);
    run(backend, "1 million records, 1 million queued", 600, 64, 64000, 256, true);
    double began = wall_seconds();
    spool_backend_close(&backend);
    printf("close: %.3f s\n", wall_seconds() - began);
    began = wall_seconds();
    backend = backend_open(&files);
    printf("open with 1 million queued, 1 million records: %.3f s, RSS %ld KB\n",
           wall_seconds() - began, resident_kb());
    spool_backend_close(&backend);
    spool_files_remove(&files);
    free(ring);
    return 0;
}

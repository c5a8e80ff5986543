/* links: spool base */
/*
 * kill -9 while a child puts and settles in groups: what it reported after a commit must be there at
 * the next start, in order, byte for byte; what it reported as settled must not come again.
 * CRASH_SEED=N and CRASH_ROUNDS=N repeat or lengthen it.
 */
#include "spool/backend.h"
#include "support/spool_files.h"

#include <errno.h>
#include <psa/crypto.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define LANES 3
#define NUMBERS 4000000

enum fate { FATE_UNKNOWN, FATE_PUT, FATE_SETTLED };

static struct spool_files files;
static unsigned char fates[NUMBERS]; /* of each message number, as reported */
static unsigned next_number;

static const char *lane_of(unsigned number)
{
    static const char *const names[LANES] = {"r/a", "r/b", "r/c"};

    return names[number % LANES];
}

/* The same number makes the same bytes. */
static char *make_body(unsigned number, size_t *ret_length)
{
    uint64_t random = number * 2654435761u + 88172645463325252u;
    size_t length = 16 + number * 104729u % 3000;
    char *body = malloc(length);

    for (size_t i = 0; i < length; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        body[i] = (char)(random >> 56);
    }
    memcpy(body, &number, sizeof number);
    *ret_length = length;
    return body;
}

static struct spool_backend *backend_open(void)
{
    const struct spool_backend_settings settings = {
        .path = files.database, .key_file = files.keys, .window_ms = 86400000};
    struct spool_backend *backend = NULL;
    char error[512] = "";

    if (spool_sqlite_open(&settings, 1000, &backend, error) < 0) {
        fprintf(stderr, "%s\n", error);
        return NULL;
    }
    return backend;
}

/* ---- the child ---- */

struct report {
    bool committed;         /* else: what is about to be committed */
    unsigned first, puts;   /* numbers that are put */
    unsigned settled_count; /* numbers that are settled */
    unsigned settled[64];
};

struct taken {
    uint64_t ids[64];
    unsigned numbers[64];
    unsigned count;
};

static void take(void *context, struct spool_row *row, struct message *message)
{
    struct taken *taken = context;

    taken->ids[taken->count] = row->id;
    memcpy(&taken->numbers[taken->count++], message->body.data, sizeof(unsigned));
    spool_row_clear(row);
    message_release(&message);
}

static int child_put(struct spool_backend *backend, unsigned number)
{
    size_t length;
    char *body = make_body(number, &length);
    struct message *message = message_new("peer", "adt", body, length);
    uint64_t id;

    message->control_id = span_of(body, 4);
    int result = spool_backend_digest(backend, message);
    if (result == 0)
        result = spool_backend_put(backend, message, "r", lane_of(number), false, 1000, &id);
    if (result == 0)
        result = spool_backend_record_put(backend, message, NULL, 1000);
    message_release(&message);
    return result;
}

static int child_group(struct spool_backend *backend, int pipe_fd, unsigned first, unsigned puts)
{
    const struct verdict accepted = {.kind = VERDICT_ACCEPTED};
    struct taken taken = {.count = 0};

    int result = spool_backend_begin(backend);
    if (result < 0)
        return result;
    if (first % 3 == 0)
        result = spool_backend_lease(backend, lane_of(first / 3), puts, 100000, 1000, take, &taken);
    for (unsigned i = 0; i < taken.count && result >= 0; i++)
        result = spool_backend_settle(backend, taken.ids[i], &accepted, 0, false, false, 1000);
    for (unsigned i = 0; i < puts && result >= 0; i++)
        result = child_put(backend, first + i);
    struct report report = {.first = first, .puts = puts, .settled_count = taken.count};
    memcpy(report.settled, taken.numbers, sizeof report.settled);
    if (result >= 0 && write(pipe_fd, &report, sizeof report) != (ssize_t)sizeof report)
        result = -EPIPE;
    if (result >= 0)
        result = spool_backend_commit(backend);
    report.committed = true;
    if (result >= 0 && write(pipe_fd, &report, sizeof report) != (ssize_t)sizeof report)
        result = -EPIPE;
    return result;
}

static void child_run(int pipe_fd, unsigned first, uint64_t random)
{
    struct spool_backend *backend = backend_open();

    while (backend != NULL) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned puts = 1 + (unsigned)(random >> 40) % 20;
        if (child_group(backend, pipe_fd, first, puts) < 0)
            break;
        first += puts;
        if ((random >> 20) % 50 == 0 && spool_backend_begin(backend) == 0 &&
            (spool_backend_purge(backend, 1000, 16) < 0 || spool_backend_commit(backend) < 0))
            break;
    }
    _exit(1); /* it is killed before it comes here */
}

/* ---- the parent ---- */

static void read_reports(int fd)
{
    struct report report, last = {.committed = true};
    ssize_t got;

    /* A report is smaller than what a pipe takes at once, so it is there whole or not at all. */
    while ((got = read(fd, &report, sizeof report)) == (ssize_t)sizeof report) {
        last = report;
        if (!report.committed)
            continue;
        for (unsigned i = 0; i < report.puts; i++)
            fates[report.first + i] = FATE_PUT;
        for (unsigned i = 0; i < report.settled_count; i++)
            fates[report.settled[i]] = FATE_SETTLED;
        next_number = report.first + report.puts;
    }
    assert_int_equal(got, 0);
    /* Killed in the commit: it may have happened or not. */
    for (unsigned i = 0; !last.committed && i < last.settled_count; i++)
        fates[last.settled[i]] = FATE_UNKNOWN;
}

struct check {
    struct spool_backend *backend;
    unsigned last[LANES], highest;
    bool any[LANES];
    unsigned found, surplus;
    unsigned char *seen;
};

static void check_row(void *context, const struct spool_row *row)
{
    struct check *check = context;
    struct message *message = NULL;
    struct answer_bytes *answer = NULL;
    struct spool_row again;
    unsigned number;
    size_t length;

    assert_int_equal(spool_backend_show(check->backend, row->id, &again, &message, &answer), 0);
    assert_non_null(message);
    memcpy(&number, message->body.data, sizeof number);
    char *body = make_body(number, &length);
    assert_true(span_equal(message->body, span_of(body, length)));
    assert_string_equal(row->lane, lane_of(number));
    unsigned lane = number % LANES;
    if (check->any[lane])
        assert_true(number > check->last[lane]);
    check->last[lane] = number;
    check->any[lane] = true;
    assert_int_not_equal(fates[number], FATE_SETTLED);
    check->surplus += fates[number] == FATE_UNKNOWN;
    check->seen[number] = 1;
    if (number > check->highest)
        check->highest = number;
    check->found++;
    /* Its record is there as well. */
    struct spool_record record;
    assert_int_equal(spool_backend_record_find(check->backend, message->digest, 2000, &record), 0);
    spool_record_clear(&record);
    free(body);
    spool_row_clear(&again);
    message_release(&message);
}

/* Returns how many are there that nobody was told of: committed, and killed before the report. */
static unsigned check_all(unsigned *ret_found)
{
    struct spool_filter all = {0};
    struct check check = {.backend = backend_open()};
    struct spool_totals totals;
    unsigned missing = 0;

    assert_non_null(check.backend);
    check.seen = calloc(1, NUMBERS);
    do
        assert_int_equal(spool_backend_list(check.backend, &all, check_row, &check, &all.after_id),
                         0);
    while (all.after_id != 0);
    for (unsigned i = 0; i < next_number; i++)
        if (fates[i] == FATE_PUT && !check.seen[i])
            missing++;
    assert_int_equal(missing, 0);
    spool_backend_totals(check.backend, &totals);
    assert_int_equal(totals.queued, check.found);
    for (unsigned i = 0; i < NUMBERS && i < next_number + 64; i++)
        fates[i] = check.seen[i] ? FATE_PUT : FATE_SETTLED;
    if (next_number <= check.highest) /* one more group than was reported */
        next_number = check.highest + 1;
    spool_backend_close(&check.backend);
    free(check.seen);
    *ret_found = check.found;
    return check.surplus;
}

static void one_round(uint64_t random)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        /* The generator was copied by the fork: salts must not be the parent's. */
        if (psa_random_reseed(NULL, 0) != PSA_SUCCESS)
            _exit(2);
        child_run(fds[1], next_number + 64, random);
    }
    close(fds[1]);
    nanosleep(&(struct timespec){0, 5000000 + (long)((random >> 30) % 120) * 1000000}, NULL);
    kill(child, SIGKILL);
    read_reports(fds[0]);
    close(fds[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void nothing_reported_is_lost(void **state)
{
    const char *seed_text = getenv("CRASH_SEED"), *rounds_text = getenv("CRASH_ROUNDS");
    uint64_t seed = seed_text == NULL ? (uint64_t)time(NULL) : strtoull(seed_text, NULL, 10);
    long rounds = rounds_text == NULL ? 25 : strtol(rounds_text, NULL, 10);
    unsigned found = 0, surplus = 0;

    (void)state;
    printf("CRASH_SEED=%llu CRASH_ROUNDS=%ld\n", (unsigned long long)seed, rounds);
    spool_files_make(&files);
    for (long round = 0; round < rounds; round++) {
        uint64_t random = seed;
        for (long i = 0; i <= round; i++)
            random = random * 6364136223846793005u + 1442695040888963407u;
        one_round(random);
        surplus += check_all(&found);
    }
    printf("%u messages put, %u left, %u committed without a report\n", next_number, found,
           surplus);
    assert_true(next_number > 0);
    spool_files_remove(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_reported_is_lost)};

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    return cmocka_run_group_tests_name("spool crash", tests, NULL, NULL);
}

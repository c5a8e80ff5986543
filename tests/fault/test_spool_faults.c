/* links: spool loop base */
/*
 * A disk that fails: a layer under SQLite (a VFS) lets chosen reads, writes and flushes fail. What was
 * acknowledged must be there, what was not must not be counted on, and afterwards all goes on.
 */
#include "spool/spool.h"
#include "support/spool_files.h"

#include <errno.h>
#include <psa/crypto.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

/* ---- the failing layer ---- */

enum fault_kind { FAULT_WRITE = 1, FAULT_SYNC = 2, FAULT_READ = 4, FAULT_FULL = 8 };

static atomic_int fault_kinds;     /* which calls count; 0: none fails */
static atomic_int fault_countdown; /* the call that fails first; then fault_length of them do */
static atomic_int fault_length;
static sqlite3_vfs fault_vfs;
static sqlite3_vfs *real_vfs;

struct fault_file {
    sqlite3_file file;
    sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct fault_file *)file)->real;
}

static bool fault_now(int kind)
{
    if ((atomic_load(&fault_kinds) & kind) == 0)
        return false;
    int count = atomic_fetch_sub(&fault_countdown, 1);
    return count <= 0 && count > -atomic_load(&fault_length);
}

static int fault_close(sqlite3_file *file)
{
    struct fault_file *mine = (struct fault_file *)file;
    int result =
        mine->real->pMethods == NULL ? SQLITE_OK : mine->real->pMethods->xClose(mine->real);
    free(mine->real);
    return result;
}

static int fault_read(sqlite3_file *file, void *data, int count, sqlite3_int64 offset)
{
    if (fault_now(FAULT_READ))
        return SQLITE_IOERR_READ;
    return real_of(file)->pMethods->xRead(real_of(file), data, count, offset);
}

static int fault_write(sqlite3_file *file, const void *data, int count, sqlite3_int64 offset)
{
    if (fault_now(FAULT_WRITE))
        return (atomic_load(&fault_kinds) & FAULT_FULL) != 0 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    return real_of(file)->pMethods->xWrite(real_of(file), data, count, offset);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fault_now(FAULT_WRITE))
        return SQLITE_IOERR_TRUNCATE;
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    if (fault_now(FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int fault_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int fault_check_lock(sqlite3_file *file, int *result)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}

static int fault_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int fault_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int fault_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

/* Version 1: no shared memory, which exclusive locking does without. */
static const sqlite3_io_methods fault_methods = {
    .iVersion = 1,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_check_lock,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_device,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    struct fault_file *mine = (struct fault_file *)file;

    (void)vfs;
    mine->real = calloc(1, (size_t)real_vfs->szOsFile);
    int result = real_vfs->xOpen(real_vfs, name, mine->real, flags, ret_flags);
    if (result != SQLITE_OK)
        free(mine->real);
    mine->file.pMethods = result == SQLITE_OK ? &fault_methods : NULL;
    return result;
}

static void fault_register(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    fault_vfs = *real_vfs;
    fault_vfs.zName = "fault";
    fault_vfs.szOsFile = sizeof(struct fault_file);
    fault_vfs.xOpen = fault_open;
    sqlite3_vfs_register(&fault_vfs, 1);
}

static void fault_begin(int kinds, int first, int length)
{
    atomic_store(&fault_countdown, first);
    atomic_store(&fault_length, length);
    atomic_store(&fault_kinds, kinds);
}

/* ---- the backend under faults ---- */

struct bench {
    struct spool_files files;
    struct spool_backend_settings settings;
    struct spool_backend *real, *model;
    uint64_t random;
    uint64_t leased[2048], model_leased[2048]; /* their ids differ once groups have failed */
    size_t leased_count, behind;               /* behind: so many stay before any is settled */
};

static uint32_t draw(struct bench *bench, uint32_t below)
{
    bench->random = bench->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(bench->random >> 33) % below;
}

static struct message *make_message(unsigned number)
{
    size_t length = 20 + number * 7919u % 9000u;
    char *body = malloc(length + 1);

    memset(body, 'a' + (int)(number % 26), length);
    int head = snprintf(body, length, "N%u|", number);
    body[head] = 'x';
    struct message *message = message_new("peer", "adt", body, length);
    message->control_id = span_of(body, (size_t)head - 1);
    return message;
}

static const char *const lanes[] = {"r/a", "r/b"};

/* A group: some puts with records, some settlements. 0 when it was committed. */
static int run_group(struct spool_backend *backend, const uint64_t *leased, unsigned first,
                     unsigned puts, unsigned settles, uint64_t *ret_ids)
{
    const struct verdict accepted = {.kind = VERDICT_ACCEPTED};
    int result = spool_backend_begin(backend);

    if (result < 0)
        return result;
    for (unsigned i = 0; i < settles && result == 0; i++)
        result = spool_backend_settle(backend, leased[i], &accepted, 0, false, false, 1000);
    for (unsigned i = 0; i < puts && result == 0; i++) {
        struct message *message = make_message(first + i);
        result = spool_backend_digest(backend, message);
        if (result == 0)
            result = spool_backend_put(backend, message, "r", lanes[(first + i) % 2], true, 1000,
                                       &ret_ids[i]);
        if (result == 0)
            result = spool_backend_record_put(backend, message, NULL, 1000);
        message_release(&message);
    }
    if (result < 0) {
        spool_backend_rollback(backend);
        return result;
    }
    return spool_backend_commit(backend);
}

static void list_row(void *context, const struct spool_row *row)
{
    fprintf(context, "%s %s %d %ld\n", row->lane, row->control_id, row->state, (long)row->bytes);
}

static char *contents(struct spool_backend *backend)
{
    struct spool_filter all = {0};
    struct spool_totals totals;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    do
        assert_int_equal(spool_backend_list(backend, &all, list_row, file, &all.after_id), 0);
    while (all.after_id != 0);
    spool_backend_totals(backend, &totals);
    fprintf(file, "%lu %lu %ld\n", (unsigned long)totals.queued, (unsigned long)totals.records,
            (long)totals.bytes);
    fclose(file);
    return text;
}

static struct spool_backend *open_sqlite(const struct spool_backend_settings *settings)
{
    struct spool_backend *backend = NULL;
    char error[512] = "";

    if (spool_sqlite_open(settings, 1000, &backend, error) < 0)
        fail_msg("%s", error);
    return backend;
}

static void same_contents(struct spool_backend *real, struct spool_backend *model)
{
    char *wanted = contents(model), *found = contents(real);

    if (strcmp(wanted, found) != 0)
        fail_msg("wanted\n%s\nfound\n%s", wanted, found);
    free(wanted);
    free(found);
}

static void copy_file(const char *from, const char *to)
{
    size_t length;
    char *data = spool_files_read(from, &length);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (data != NULL)
        assert_int_equal(write(fd, data, length), length);
    close(fd);
    free(data);
}

/* What a machine that dies now would find: the files as they are. */
static void check_as_after_a_crash(struct bench *bench)
{
    struct spool_files copy;

    spool_files_make(&copy);
    copy_file(bench->files.database, copy.database);
    copy_file(bench->files.wal, copy.wal);
    struct spool_backend_settings settings = bench->settings;
    settings.path = copy.database;
    struct spool_backend *backend = open_sqlite(&settings);
    same_contents(backend, bench->model);
    spool_backend_close(&backend);
    spool_files_remove(&copy);
}

static void bench_begin(struct bench *bench, uint64_t seed)
{
    char error[512];

    *bench = (struct bench){.random = seed, .behind = 6};
    spool_files_make(&bench->files);
    bench->settings = (struct spool_backend_settings){
        .path = bench->files.database, .key_file = bench->files.keys, .window_ms = 100000};
    bench->real = open_sqlite(&bench->settings);
    assert_int_equal(spool_memory_open(&bench->settings, 1000, &bench->model, error), 0);
}

static void bench_end(struct bench *bench)
{
    spool_backend_close(&bench->real);
    spool_backend_close(&bench->model);
    spool_files_remove(&bench->files);
}

/* The first `settles` have left, `puts` new ones follow. */
static void leased_after(uint64_t *leased, size_t count, unsigned settles, const uint64_t *ids,
                         unsigned puts)
{
    memmove(leased, leased + settles, (count - settles) * sizeof *leased);
    memcpy(leased + count - settles, ids, puts * sizeof *leased);
}

/* Tries so many groups; what worked is done to the model too. How many failed. */
static unsigned run_groups(struct bench *bench, unsigned *number, unsigned groups)
{
    unsigned failed = 0;

    for (unsigned g = 0; g < groups; g++) {
        uint64_t ids[8], model_ids[8];
        unsigned puts = 1 + draw(bench, 4);
        unsigned settles = bench->leased_count > bench->behind ? draw(bench, 4) : 0;
        int result = run_group(bench->real, bench->leased, *number, puts, settles, ids);
        if (result < 0) {
            assert_true(result == -EIO || result == -ENOSPC);
            failed++;
        } else {
            assert_int_equal(
                run_group(bench->model, bench->model_leased, *number, puts, settles, model_ids), 0);
            leased_after(bench->leased, bench->leased_count, settles, ids, puts);
            leased_after(bench->model_leased, bench->leased_count, settles, model_ids, puts);
            bench->leased_count = bench->leased_count + puts - settles;
        }
        *number += puts;
    }
    return failed;
}

static void every_call_fails_once(int kinds, int length, const char *title)
{
    unsigned failures = 0;

    int last = (kinds & FAULT_READ) != 0 ? 6 : 60;

    for (int n = 0; n < last; n += 1 + n / 5) {
        struct bench bench;
        unsigned number = 1;
        bench_begin(&bench, (uint64_t)n + 1);
        if ((kinds & FAULT_READ) != 0) /* more than the cache holds, or nothing is ever read */
            bench.behind = 1500;
        do {
            assert_int_equal(run_groups(&bench, &number, 3), 0);
        } while (bench.leased_count < bench.behind);
        fault_begin(kinds, n, length);
        failures += run_groups(&bench, &number, 8);
        fault_begin(0, 0, 0);
        /* What was reported is what is there: now, after a crash, and after closing. */
        same_contents(bench.real, bench.model);
        assert_int_equal(run_groups(&bench, &number, 2), 0);
        check_as_after_a_crash(&bench);
        spool_backend_close(&bench.real);
        bench.real = open_sqlite(&bench.settings);
        same_contents(bench.real, bench.model);
        bench_end(&bench);
    }
    printf("%s: %u failed groups\n", title, failures);
    assert_true(failures > 0);
}

static void writes_fail(void **state)
{
    (void)state;
    every_call_fails_once(FAULT_WRITE, 1, "one write");
    every_call_fails_once(FAULT_WRITE, 40, "forty writes");
}

static void the_disk_is_full(void **state)
{
    (void)state;
    every_call_fails_once(FAULT_WRITE | FAULT_FULL, 40, "disk full");
}

static void flushes_fail(void **state)
{
    (void)state;
    every_call_fails_once(FAULT_SYNC, 1, "one flush");
    every_call_fails_once(FAULT_SYNC, 5, "five flushes");
}

static void reads_fail(void **state)
{
    (void)state;
    every_call_fails_once(FAULT_READ, 2, "two reads");
}

/* ---- a real limit ---- */

static void a_file_size_limit(void **state)
{
    struct bench bench;
    struct rlimit before, limit;
    unsigned number = 1;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    bench_begin(&bench, 7);
    assert_int_equal(run_groups(&bench, &number, 3), 0);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 300000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    unsigned failed = run_groups(&bench, &number, 40);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(failed > 0);
    same_contents(bench.real, bench.model);
    assert_int_equal(run_groups(&bench, &number, 3), 0);
    check_as_after_a_crash(&bench);
    bench_end(&bench);
}

/* ---- the service under faults ---- */

#define MESSAGES 3000

struct service {
    struct mailbox worker, sink;
    struct spool *spool;
    unsigned char safe[MESSAGES], delivered[MESSAGES];
    unsigned answered, safe_count, unavailable;
};

static struct service service;

static void no_wake(struct mailbox *mailbox)
{
    (void)mailbox;
}

static unsigned number_of(const struct message *message)
{
    return (unsigned)strtoul(message->body.data + 1, NULL, 10);
}

static void on_answer(struct spool_put *put)
{
    unsigned number = number_of(put->message);

    service.answered++;
    if (put->outcome == SPOOL_SAFE) {
        service.safe[number] = 1;
        service.safe_count++;
    } else {
        assert_int_equal(put->outcome, SPOOL_UNAVAILABLE);
        service.unavailable++;
    }
    spool_put_free(&put);
}

static void on_entry(void *context, struct spool_entry *entry)
{
    (void)context;
    service.delivered[number_of(entry->message)]++;
    entry->verdict.kind = VERDICT_ACCEPTED;
    spool_settle(service.spool, entry);
}

static void on_name(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void drain_until(const unsigned *counter, unsigned wanted)
{
    for (int tries = 0; tries < 40000; tries++) {
        mailbox_drain(&service.worker);
        mailbox_drain(&service.sink);
        if (*counter >= wanted)
            return;
        nanosleep(&(struct timespec){0, 500000}, NULL);
    }
    fail_msg("%u instead of %u", *counter, wanted);
}

static void put_number(unsigned number)
{
    const struct spool_target target = {"r", lanes[number % 2]};
    struct spool_put *put = spool_put_new(make_message(number), &target, 1);

    put->reply_to = &service.worker;
    put->on_answer = on_answer;
    spool_put(service.spool, put);
}

static void nothing_safe_is_lost_under_random_faults(void **state)
{
    const struct spool_settings settings = {.group_rows = 16};
    const struct spool_sink sink = {&service.sink, on_entry, on_name, on_name, NULL};
    struct bench bench;

    (void)state;
    bench_begin(&bench, 99);
    memset(&service, 0, sizeof service);
    mailbox_init(&service.worker, no_wake);
    mailbox_init(&service.sink, no_wake);
    service.spool = spool_new(bench.real, &settings, clock_system(), NULL);
    assert_non_null(service.spool);
    spool_set_sink(service.spool, &sink);
    spool_route_open(service.spool, "r");
    for (unsigned number = 0; number < MESSAGES; number += 20) {
        if (number % 500 == 0)
            fault_begin(number % 1000 == 0 ? FAULT_SYNC : FAULT_WRITE, 10, 2);
        for (unsigned i = number; i < number + 20; i++)
            put_number(i);
        unsigned before = service.unavailable;
        drain_until(&service.answered, number + 20);
        if (service.unavailable > before) /* as a sender that tries again a little later */
            nanosleep(&(struct timespec){0, 150000000}, NULL);
    }
    fault_begin(0, 0, 0);
    nanosleep(&(struct timespec){0, 700000000}, NULL);
    for (int i = 0; i < 200; i++) {
        mailbox_drain(&service.sink);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    spool_free(&service.spool);
    mailbox_drain(&service.worker);
    bench.real = open_sqlite(&bench.settings);
    struct spool_totals totals;
    spool_backend_totals(bench.real, &totals);
    printf("safe %u, unavailable %u, left %lu\n", service.safe_count, service.unavailable,
           (unsigned long)totals.queued);
    assert_true(service.unavailable > 0);
    assert_int_equal(totals.queued, 0);
    for (unsigned i = 0; i < MESSAGES; i++)
        assert_int_equal(service.delivered[i], service.safe[i]); /* each safe one, and once */
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_fail),
        cmocka_unit_test(the_disk_is_full),
        cmocka_unit_test(flushes_fail),
        cmocka_unit_test(reads_fail),
        cmocka_unit_test(a_file_size_limit),
        cmocka_unit_test(nothing_safe_is_lost_under_random_faults),
    };

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    fault_register();
    return cmocka_run_group_tests_name("spool faults", tests, NULL, NULL);
}

/* links: spool loop base */
/* wrap: statvfs fstatvfs fallocate */
/* timeout: 300 */
/*
 * A disk of a few megabytes, as SQLite and the spool see it: writes that would need more than there is
 * fail. Mostly nothing is added to it and the other writer doesn't go: what was acknowledged must be
 * delivered, once and in order, and then messages must be taken again.
 * SPOOL_SEED=N repeats the random walk.
 */
#include "spool/spool.h"
#include "support/spool_files.h"

#include <errno.h>
#include <psa/crypto.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <time.h>

#include <cmocka.h>

#define MIB (INT64_C(1) << 20)
#define BLOCK 4096

/* ---- the disk ---- */

static struct spool_files disk_files;
static atomic_llong disk_bytes;  /* its size; 0: no limit */
static atomic_llong other_bytes; /* of another writer */
/* Files that SQLite locks (0) and those that it doesn't (1) have methods of their own. */
static const sqlite3_io_methods *real_methods[2];
static sqlite3_io_methods disk_methods[2];
static sqlite3_vfs disk_vfs, *real_vfs;

int __real_fallocate(int fd, int mode, off_t offset, off_t length);
int __wrap_statvfs(const char *path, struct statvfs *ret);
int __wrap_fstatvfs(int fd, struct statvfs *ret);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length);

static int64_t blocks_of(int64_t bytes)
{
    return (bytes + BLOCK - 1) / BLOCK;
}

static int64_t file_blocks(const char *path)
{
    struct stat status;

    return stat(path, &status) < 0 ? 0 : blocks_of(status.st_size);
}

static int64_t free_blocks(void)
{
    return (int64_t)atomic_load(&disk_bytes) / BLOCK -
           blocks_of((int64_t)atomic_load(&other_bytes)) - file_blocks(disk_files.database) -
           file_blocks(disk_files.wal) - file_blocks(disk_files.reserve);
}

/* Whether a file of this size may become as large as that. */
static bool disk_allows(int64_t size, int64_t wanted)
{
    return atomic_load(&disk_bytes) == 0 || wanted <= size ||
           blocks_of(wanted) - blocks_of(size) <= free_blocks();
}

static int disk_write(sqlite3_file *file, const void *data, int count, sqlite3_int64 offset)
{
    const sqlite3_io_methods *real = real_methods[file->pMethods == &disk_methods[1] ? 1 : 0];
    sqlite3_int64 size = 0;

    if (real->xFileSize(file, &size) == SQLITE_OK && !disk_allows(size, offset + count))
        return SQLITE_FULL;
    return real->xWrite(file, data, count, offset);
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    int result = real_vfs->xOpen(vfs, name, file, flags, ret_flags);

    if (result != SQLITE_OK || file->pMethods == NULL)
        return result;
    int which = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? 0 : 1;
    if (real_methods[which] == NULL) {
        real_methods[which] = file->pMethods;
        disk_methods[which] = *file->pMethods;
        disk_methods[which].xWrite = disk_write;
    }
    file->pMethods = &disk_methods[which];
    return result;
}

int __wrap_statvfs(const char *path, struct statvfs *ret)
{
    int64_t left = free_blocks();

    (void)path;
    *ret = (struct statvfs){.f_bsize = BLOCK, .f_frsize = BLOCK};
    ret->f_blocks = (fsblkcnt_t)atomic_load(&disk_bytes) / BLOCK;
    ret->f_bfree = ret->f_bavail = left < 0 ? 0 : (fsblkcnt_t)left;
    return 0;
}

int __wrap_fstatvfs(int fd, struct statvfs *ret)
{
    (void)fd;
    return __wrap_statvfs(NULL, ret);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t length)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -1;
    if (!disk_allows(status.st_size, offset + length)) {
        errno = ENOSPC;
        return -1;
    }
    return __real_fallocate(fd, mode, offset, length);
}

static void disk_register(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    disk_vfs = *real_vfs;
    disk_vfs.zName = "disk";
    disk_vfs.xOpen = disk_open;
    sqlite3_vfs_register(&disk_vfs, 1);
}

/* ---- the spool on it ---- */

#define MESSAGES 20000
#define LANES 2

struct bench {
    struct spool_backend_settings settings;
    struct spool *spool;
    struct mailbox worker, sink;
    struct list_node held;
    bool accept; /* the sink settles at once; else it holds */
    enum spool_outcome outcome;
    enum reason reason;
    bool repeated;
    unsigned answered, safe_count, delivered_count;
    unsigned last[LANES]; /* delivered of this lane */
    unsigned char safe[MESSAGES], delivered[MESSAGES];
};

static struct bench bench;
static atomic_bool called;

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
    bench.answered++;
    bench.outcome = put->outcome;
    bench.reason = put->reason;
    bench.repeated = put->repeated;
    if (put->outcome == SPOOL_SAFE && !put->repeated) {
        bench.safe[number_of(put->message)] = 1;
        bench.safe_count++;
    }
    spool_put_free(&put);
}

static void settle(struct spool_entry *entry)
{
    unsigned number = number_of(entry->message), *last = &bench.last[number % LANES];

    assert_true(*last == 0 || number > *last);
    *last = number;
    bench.delivered[number]++;
    bench.delivered_count++;
    entry->verdict.kind = VERDICT_ACCEPTED;
    spool_settle(bench.spool, entry);
}

static void on_entry(void *context, struct spool_entry *entry)
{
    (void)context;
    if (bench.accept) {
        settle(entry);
        return;
    }
    list_init(&entry->node);
    list_append(&bench.held, &entry->node);
}

static void on_name(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void rest(void)
{
    mailbox_drain(&bench.worker);
    mailbox_drain(&bench.sink);
    nanosleep(&(struct timespec){0, 200000}, NULL);
}

static struct spool_statistics statistics(void)
{
    struct spool_statistics now;

    spool_statistics(bench.spool, &now);
    return now;
}

/* As long as it takes; a spool that has stopped for ever is told by its numbers. */
#define EVENTUALLY(condition)                                                                      \
    do {                                                                                           \
        int tries = 0;                                                                             \
        while (!(condition) && tries++ < 20000)                                                    \
            rest();                                                                                \
        if (!(condition)) {                                                                        \
            struct spool_statistics now = statistics();                                            \
            fail_msg(                                                                              \
                "never: %s (safe %u, delivered %u, queued %lu, full %d, failed %d, free %ld)",     \
                #condition, bench.safe_count, bench.delivered_count,                               \
                (unsigned long)now.totals.queued, now.full, now.failed,                            \
                (long)free_blocks() * BLOCK);                                                      \
        }                                                                                          \
    } while (0)

static void begin(void)
{
    static const struct spool_settings settings = {.group_rows = 64};
    const struct spool_sink sink = {&bench.sink, on_entry, on_name, on_name, NULL};
    struct spool_backend *backend = NULL;
    char error[512];

    if (spool_sqlite_open(&bench.settings, 1000, &backend, error) < 0)
        fail_msg("%s", error);
    mailbox_init(&bench.worker, no_wake);
    mailbox_init(&bench.sink, no_wake);
    list_init(&bench.held);
    bench.spool = spool_new(backend, &settings, clock_system(), NULL);
    assert_non_null(bench.spool);
    spool_set_sink(bench.spool, &sink);
    spool_route_open(bench.spool, "r");
}

/* Held entries come back without a verdict; their rows stay. */
static void end(void)
{
    struct list_node *node;

    while ((node = list_pop_front(&bench.held)) != NULL) {
        struct spool_entry *entry = LIST_ENTRY(node, struct spool_entry, node);
        entry->released = true;
        spool_settle(bench.spool, entry);
    }
    spool_set_sink(bench.spool, NULL);
    mailbox_drain(&bench.sink);
    while ((node = list_pop_front(&bench.held)) != NULL) {
        struct spool_entry *entry = LIST_ENTRY(node, struct spool_entry, node);
        entry->released = true;
        spool_settle(bench.spool, entry);
    }
    spool_free(&bench.spool);
    mailbox_drain(&bench.worker);
}

static void new_disk(int64_t bytes, int64_t reserve)
{
    memset(&bench, 0, sizeof bench);
    spool_files_make(&disk_files);
    atomic_store(&disk_bytes, bytes);
    atomic_store(&other_bytes, 0);
    bench.settings = (struct spool_backend_settings){.path = disk_files.database,
                                                     .key_file = disk_files.keys,
                                                     .window_ms = 1000000000,
                                                     .reserve_bytes = reserve};
    begin();
}

static void no_disk(void)
{
    end();
    atomic_store(&disk_bytes, 0);
    spool_files_remove(&disk_files);
}

static void put(unsigned number, size_t size)
{
    static const char *const lanes[LANES] = {"r/a", "r/b"};
    char *body = malloc(size);
    const struct spool_target target = {"r", lanes[number % LANES]};

    memset(body, 'x', size);
    int head = snprintf(body, size, "N%u|", number);
    body[head] = 'x';
    struct message *message = message_new("peer", "adt", body, size);
    message->control_id = span_of(body, (size_t)head - 1);
    struct spool_put *put = spool_put_new(message, &target, 1);
    put->reply_to = &bench.worker;
    put->on_answer = on_answer;
    spool_put(bench.spool, put);
}

static enum spool_outcome ask(unsigned number, size_t size)
{
    unsigned before = bench.answered;

    put(number, size);
    EVENTUALLY(bench.answered > before);
    return bench.outcome;
}

/* Sends until one is not taken. The number of that one. */
static unsigned fill(unsigned number, size_t size)
{
    while (ask(number, size) == SPOOL_SAFE) {
        number++;
        assert_true(number < MESSAGES);
    }
    assert_int_equal(bench.reason, REASON_SPOOL_FULL);
    return number;
}

static void call_is_done(struct spool_call *call)
{
    (void)call;
    atomic_store(&called, true);
}

/* On the spool's thread: nothing changes under its hands. */
static void between_rounds(void (*work)(struct spool_call *call, struct spool *spool,
                                        struct spool_backend *backend),
                           void *context)
{
    struct spool_call call = {.call = work, .done = call_is_done, .context = context};

    atomic_store(&called, false);
    spool_call(bench.spool, &call);
    EVENTUALLY(atomic_load(&called));
    assert_int_equal(call.result, 0);
}

static void take_disk(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    int64_t leave = *(const int64_t *)call->context, left = free_blocks() * BLOCK;

    (void)spool;
    (void)backend;
    if (left > leave)
        atomic_fetch_add(&other_bytes, left - leave);
    call->result = 0;
}

/* Another writer takes all but so much of what is free. */
static void others_leave(int64_t bytes)
{
    between_rounds(take_disk, &bytes);
}

/* It gives back what it has beyond that. */
static void others_go(int64_t bytes)
{
    if (atomic_load(&other_bytes) > bytes)
        atomic_store(&other_bytes, bytes);
}

static void deliver(void)
{
    struct list_node *node;

    bench.accept = true;
    while ((node = list_pop_front(&bench.held)) != NULL)
        settle(LIST_ENTRY(node, struct spool_entry, node));
}

static void all_safe_were_delivered(void)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        if (bench.delivered[i] != bench.safe[i])
            fail_msg("message %u: safe %d, delivered %d times", i, bench.safe[i],
                     bench.delivered[i]);
}

/* All that is queued goes, and then messages are taken again: by itself. */
static void drains_and_opens(unsigned next, size_t size)
{
    deliver();
    EVENTUALLY(bench.delivered_count >= bench.safe_count && statistics().totals.queued == 0);
    EVENTUALLY(!statistics().full && !statistics().failed);
    EVENTUALLY(ask(next, size) == SPOOL_SAFE); /* a large one waits until vacuum is through */
    EVENTUALLY(statistics().totals.queued == 0);
    all_safe_were_delivered();
}

/* ---- the tests ---- */

static void its_own_queue_fills_it(size_t size)
{
    new_disk(8 * MIB, MIB);
    unsigned next = fill(1, size);
    assert_true(bench.safe_count > 3 * MIB / (int64_t)size / 2);
    EVENTUALLY(statistics().full);
    assert_false(statistics().failed);
    assert_int_equal(ask(1, size), SPOOL_SAFE); /* what is safe is said to be */
    assert_true(bench.repeated);
    assert_int_equal(ask(next, size), SPOOL_UNAVAILABLE);
    drains_and_opens(next, size);
    no_disk();
}

static void small_messages_fill_it(void **state)
{
    (void)state;
    its_own_queue_fills_it(2000);
}

static void large_messages_fill_it(void **state)
{
    (void)state;
    its_own_queue_fills_it(40000);
}

/* These are refused one by one, before there is no room for small ones. */
static void those_that_are_refused_alone_get_their_room(void **state)
{
    (void)state;
    new_disk(8 * MIB, MIB);
    unsigned next = fill(1, 900000);
    assert_int_equal(ask(next, 2000), SPOOL_SAFE);
    drains_and_opens(next + 1, 900000);
    no_disk();
}

static void another_writer_fills_it(void **state)
{
    static const int64_t left[] = {0, 100000, 5500000};

    (void)state;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        new_disk(64 * MIB, 4 * MIB);
        unsigned next = 1;
        while (next < 800)
            assert_int_equal(ask(next++, 2000), SPOOL_SAFE);
        others_leave(left[i]);
        assert_int_equal(ask(MESSAGES - 1, 16000000), SPOOL_UNAVAILABLE);
        next = fill(next, 2000);
        EVENTUALLY(statistics().full);
        drains_and_opens(next, 2000);
        no_disk();
    }
}

/* The WAL is gone at an orderly end: nothing but the reserve is there to write into. */
static void another_writer_fills_it_before_a_start(void **state)
{
    (void)state;
    new_disk(32 * MIB, 2 * MIB);
    unsigned next = 1;
    while (next < 500)
        assert_int_equal(ask(next++, 2000), SPOOL_SAFE);
    end();
    atomic_store(&other_bytes, free_blocks() * BLOCK);
    begin();
    assert_true(statistics().full);
    assert_int_equal(ask(next, 2000), SPOOL_UNAVAILABLE);
    drains_and_opens(next, 2000);
    no_disk();
}

static void a_large_message_is_refused_alone(void **state)
{
    (void)state;
    new_disk(64 * MIB, 4 * MIB);
    assert_int_equal(ask(1, 2000), SPOOL_SAFE);
    assert_int_equal(ask(2, 40000000), SPOOL_UNAVAILABLE);
    assert_int_equal(bench.reason, REASON_SPOOL_FULL);
    assert_int_equal(ask(3, 2000), SPOOL_SAFE);
    assert_int_equal(ask(4, 20000000), SPOOL_SAFE);
    drains_and_opens(5, 2000);
    no_disk();
}

static void without_a_reserve_it_still_opens(void **state)
{
    (void)state;
    new_disk(16 * MIB, 0);
    assert_int_equal(file_blocks(disk_files.reserve), 0);
    unsigned next = fill(1, 40000);
    EVENTUALLY(statistics().full);
    atomic_fetch_add(&disk_bytes, 64 * MIB);
    drains_and_opens(next, 40000);
    no_disk();
}

/* What is kept needs room to settle: the reserve lasts for some. */
static void what_is_kept_uses_up_the_reserve(void **state)
{
    (void)state;
    new_disk(8 * MIB, MIB);
    bench.settings.retain_ms = 1000000000000000;
    spool_configure(bench.spool, &bench.settings);
    fill(1, 2000);
    deliver();
    EVENTUALLY(statistics().totals.kept >= 300);
    EVENTUALLY(statistics().totals.queued == 0 || statistics().failed);
    bench.settings.retain_ms = 0; /* they go, and make room */
    spool_configure(bench.spool, &bench.settings);
    EVENTUALLY(statistics().totals.kept == 0 && statistics().totals.queued == 0);
    EVENTUALLY(!statistics().full);
    all_safe_were_delivered();
    no_disk();
}

/* ---- crashes ---- */

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

static void copy_files(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct spool_files *copy = call->context;

    (void)spool;
    (void)backend;
    copy_file(disk_files.database, copy->database);
    copy_file(disk_files.wal, copy->wal);
    copy_file(disk_files.reserve, copy->reserve);
    call->result = 0;
}

/* The files as kill -9 would leave them: copied while the spool's thread does nothing else. */
static void crash_copy(struct spool_files *ret_copy)
{
    spool_files_make(ret_copy);
    between_rounds(copy_files, ret_copy);
}

static void it_starts_after_crashes_on_a_full_disk(void **state)
{
    struct spool_files copy;

    (void)state;
    new_disk(8 * MIB, MIB);
    unsigned next = fill(1, 2000);
    for (int crash = 0; crash < 40; crash++) {
        others_leave(0);
        crash_copy(&copy);
        long long limit = atomic_exchange(&disk_bytes, 0);
        end();
        spool_files_remove(&disk_files);
        disk_files = copy;
        bench.settings.path = disk_files.database;
        bench.settings.key_file = disk_files.keys;
        atomic_store(&disk_bytes, limit);
        begin();
        EVENTUALLY(statistics().totals.queued == bench.safe_count);
        assert_int_equal(ask(next, 2000), SPOOL_UNAVAILABLE);
    }
    drains_and_opens(next, 2000);
    no_disk();
}

/* ---- any which way ---- */

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void put_some(unsigned *next)
{
    unsigned before = bench.answered, count = 1 + draw(100);
    size_t size = draw(6) == 0 ? 20000 + draw(300000) : 100 + draw(6000);

    for (unsigned i = 0; i < count; i++)
        put((*next)++, size);
    EVENTUALLY(bench.answered == before + count);
}

/* Fills the disk, with others at work on it, and has it drained, all of it or a part. */
static void fill_and_drain(unsigned *next)
{
    others_leave((4 + draw(6)) * MIB);
    while (!statistics().full) {
        put_some(next);
        if (draw(8) == 0)
            others_leave(INT64_C(200000) * draw(3));
        if (draw(4) == 0)
            deliver();
        if (draw(2) == 0)
            bench.accept = false;
    }
    put_some(next);
    deliver();
    if (draw(2) == 0)
        EVENTUALLY(statistics().totals.queued == 0);
    others_go(draw(4) * MIB);
    EVENTUALLY(!statistics().full && !statistics().failed);
    bench.accept = draw(2) == 0;
}

static void nothing_safe_is_lost_on_a_full_disk(void **state)
{
    const char *seed = getenv("SPOOL_SEED");
    unsigned next = 1;

    (void)state;
    random_state = seed == NULL ? 7 : strtoull(seed, NULL, 10);
    new_disk(12 * MIB, MIB);
    for (int round = 0; round < 8; round++)
        fill_and_drain(&next);
    printf("safe %u of %u\n", bench.safe_count, next - 1);
    assert_true(bench.safe_count < next - 1);
    drains_and_opens(next, 2000);
    no_disk();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_messages_fill_it),
        cmocka_unit_test(large_messages_fill_it),
        cmocka_unit_test(those_that_are_refused_alone_get_their_room),
        cmocka_unit_test(another_writer_fills_it),
        cmocka_unit_test(another_writer_fills_it_before_a_start),
        cmocka_unit_test(a_large_message_is_refused_alone),
        cmocka_unit_test(without_a_reserve_it_still_opens),
        cmocka_unit_test(what_is_kept_uses_up_the_reserve),
        cmocka_unit_test(it_starts_after_crashes_on_a_full_disk),
        cmocka_unit_test(nothing_safe_is_lost_on_a_full_disk),
    };

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    disk_register();
    return cmocka_run_group_tests_name("a full disk", tests, NULL, NULL);
}

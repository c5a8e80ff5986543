/* links: spool base */
/* wrap: sqlite3_prepare_v3 */
/*
 * Files that are damaged, or of an older build: they open, and nothing loops or is lost besides.
 */
#include "spool/record_index.h"
#include "spool/sqlite_private.h"
#include "support/spool_files.h"

#include <errno.h>
#include <psa/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct spool_files files;
static struct spool_backend *backend;
static const char *prepare_fails; /* statements that begin so can't be prepared */

int __real_sqlite3_prepare_v3(sqlite3 *database, const char *sql, int length, unsigned flags,
                              sqlite3_stmt **statement, const char **tail);
int __wrap_sqlite3_prepare_v3(sqlite3 *database, const char *sql, int length, unsigned flags,
                              sqlite3_stmt **statement, const char **tail);

int __wrap_sqlite3_prepare_v3(sqlite3 *database, const char *sql, int length, unsigned flags,
                              sqlite3_stmt **statement, const char **tail)
{
    if (prepare_fails != NULL && strncmp(sql, prepare_fails, strlen(prepare_fails)) == 0)
        return SQLITE_NOMEM;
    return __real_sqlite3_prepare_v3(database, sql, length, flags, statement, tail);
}

static void open_spool(void)
{
    const struct spool_backend_settings settings = {
        .path = files.database, .key_file = files.keys, .window_ms = 1000000};
    char error[512] = "";

    if (spool_sqlite_open(&settings, 1000, &backend, error) < 0)
        fail_msg("%s", error);
}

static int make(void **state)
{
    (void)state;
    spool_files_make(&files);
    open_spool();
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    prepare_fails = NULL;
    spool_backend_close(&backend);
    spool_files_remove(&files);
    return 0;
}

/* Closes the spool, and changes its file behind its back. */
static void damage(const char *sql)
{
    sqlite3 *database = NULL;

    spool_backend_close(&backend);
    assert_int_equal(sqlite3_open(files.database, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static struct message *make_message(void)
{
    char *body = strdup("A|");
    struct message *message = message_new("peer", "adt", body, 2);

    message->control_id = span_of(body, 1);
    return message;
}

static uint64_t put(const char *route, const char *lane)
{
    struct message *message = make_message();
    uint64_t id = 0;

    assert_int_equal(spool_backend_begin(backend), 0);
    assert_int_equal(spool_backend_put(backend, message, route, lane, true, 1000, &id), 0);
    assert_int_equal(spool_backend_commit(backend), 0);
    message_release(&message);
    return id;
}

static int move(void)
{
    uint64_t moved = 0;

    assert_int_equal(spool_backend_begin(backend), 0);
    int result = spool_backend_move(backend, "r", "s", &moved);
    spool_backend_rollback(backend);
    return result;
}

static void a_move_of_rows_that_are_not_there_ends(const char *counted)
{
    char text[256];

    put("r", "r/p");
    put("s", "s/p");
    snprintf(text, sizeof text,
             "UPDATE lanes SET %s WHERE name = 'r/p';"
             "INSERT INTO meta VALUES ('move', x'72007300');",
             counted);
    damage(text);
    open_spool(); /* and ends the move */
    struct spool_lane_statistics statistics;
    assert_int_equal(spool_backend_lane_statistics(backend, "s/p", &statistics), 0);
    assert_true(statistics.queued >= 1);
    assert_int_equal(move(), -EBADMSG); /* an operator's call ends, too */
    spool_backend_close(&backend);
    open_spool();
    put("s", "s/p");
}

static void a_move_of_lost_dead_letters_ends(void **state)
{
    (void)state;
    a_move_of_rows_that_are_not_there_ends("dead = dead + 1");
}

static void a_move_of_a_lost_queue_ends(void **state)
{
    (void)state;
    a_move_of_rows_that_are_not_there_ends("queued = queued + 1");
}

/* The outcome is this row's trouble: the disk is well. */
static void a_row_whose_lane_is_gone_is_not_the_disks_error(void **state)
{
    const struct verdict verdict = {.kind = VERDICT_ACCEPTED};

    (void)state;
    uint64_t id = put("r", "r/p");
    struct sqlite_spool *spool = (struct sqlite_spool *)backend;
    assert_int_equal(
        sqlite3_exec(spool->database, "UPDATE messages SET lane = 4711", NULL, NULL, NULL),
        SQLITE_OK);
    fresh_forget(spool, 0);
    assert_int_equal(spool_backend_begin(backend), 0);
    assert_int_equal(spool_backend_settle(backend, id, &verdict, 0, false, false, 1000), -EBADMSG);
    spool_backend_rollback(backend);
}

static void purging_keys_fails_whole(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) { /* each start has an epoch, which seals nothing */
        spool_backend_close(&backend);
        open_spool();
    }
    struct sqlite_spool *spool = (struct sqlite_spool *)backend;
    size_t before = spool->epoch_count;
    assert_true(before >= 4);
    prepare_fails = "DELETE FROM epochs";
    assert_int_equal(spool_backend_begin(backend), 0);
    assert_true(spool_backend_purge(backend, 1000, 10) < 0);
    spool_backend_rollback(backend);
    assert_int_equal(spool->epoch_count, before);
    prepare_fails = NULL;
    assert_int_equal(spool_backend_begin(backend), 0);
    assert_true(spool_backend_purge(backend, 1000, 10) >= 0);
    assert_int_equal(spool_backend_commit(backend), 0);
    assert_int_equal(spool->epoch_count, 1);
    put("r", "r/p");
}

/* Pages that can't be read, of some old message perhaps: the spool works on, and forgets no epoch. */
static void what_cannot_be_counted_stops_nothing(void **state)
{
    (void)state;
    put("r", "r/p");
    damage("UPDATE epochs SET sealed = 0");
    open_spool();
    prepare_fails = "SELECT m.id, m.epoch";
    for (int i = 0; i < 3; i++) {
        assert_int_equal(spool_backend_begin(backend), 0);
        assert_int_equal(spool_backend_purge(backend, 1000, 10), 0);
        assert_int_equal(spool_backend_commit(backend), 0);
    }
    assert_int_equal(((struct sqlite_spool *)backend)->epoch_count, 2);
}

/* The filters of runs had 49152 bytes once. */
static void a_filter_of_another_length_finds_the_same(void **state)
{
    struct message *message = make_message();
    struct spool_record record;

    (void)state;
    for (uint64_t i = 0; i <= RECORD_RUN + 1; i++) {
        if (i % 1024 == 0 || i == RECORD_RUN + 1)
            assert_int_equal(spool_backend_begin(backend), 0);
        uint64_t halves[4] = {0, 0, (i + 1) * UINT64_C(0x9E3779B97F4A7C15), i};
        memcpy(message->digest, halves, 32);
        assert_int_equal(spool_backend_record_put(backend, message, NULL, 1000), 0);
        if (i % 1024 == 1023 || i >= RECORD_RUN)
            assert_int_equal(spool_backend_commit(backend), 0);
    }
    damage("UPDATE runs SET filter = zeroblob(49152)");
    open_spool();
    assert_int_equal(((struct sqlite_spool *)backend)->records.run_count, 1);
    for (uint64_t i = 0; i <= RECORD_RUN + 1; i += 97) {
        uint64_t halves[4] = {0, 0, (i + 1) * UINT64_C(0x9E3779B97F4A7C15), i};
        memcpy(message->digest, halves, 32);
        assert_int_equal(spool_backend_record_find(backend, message->digest, 1000, &record), 0);
        spool_record_clear(&record);
    }
    message_release(&message);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(a_move_of_lost_dead_letters_ends),
        TEST(a_move_of_a_lost_queue_ends),
        TEST(a_row_whose_lane_is_gone_is_not_the_disks_error),
        TEST(purging_keys_fails_whole),
        TEST(what_cannot_be_counted_stops_nothing),
        TEST(a_filter_of_another_length_finds_the_same),
    };

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    return cmocka_run_group_tests_name("spool damage", tests, NULL, NULL);
}

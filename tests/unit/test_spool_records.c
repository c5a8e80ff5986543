/* links: spool base */
/*
 * More records than fit into the recent ones: runs on disk are made, found in, loaded and purged.
 */
#include "spool/record_index.h"

#include "spool/backend.h"
#include "support/spool_files.h"

#include <errno.h>
#include <psa/crypto.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RECORDS (2 * RECORD_RUN + 5000)
#define WINDOW_MS 1000000
#define GROUP 1000

static struct spool_files files;
static struct spool_backend *backend;

static void reopen(void)
{
    const struct spool_backend_settings settings = {
        .path = files.database, .key_file = files.keys, .window_ms = WINDOW_MS};
    char error[512] = "";

    spool_backend_close(&backend);
    if (spool_sqlite_open(&settings, 1000, &backend, error) < 0)
        fail_msg("%s", error);
}

/* Some share the eight bytes that the index compares. */
static void make_digest(unsigned number, uint8_t digest[32])
{
    uint64_t halves[4] = {0, 0, number / 2 * UINT64_C(0x9E3779B97F4A7C15), number};

    memcpy(digest, halves, 32);
}

static void put_records(unsigned first, unsigned count, bool keep)
{
    char *body = strdup("A|");
    struct message *message = message_new("peer", "adt", body, 2);

    message->control_id = span_of(body, 1);
    assert_int_equal(spool_backend_begin(backend), 0);
    for (unsigned i = first; i < first + count; i++) {
        make_digest(i, message->digest);
        assert_int_equal(spool_backend_record_put(backend, message, NULL, i), 0);
    }
    if (keep)
        assert_int_equal(spool_backend_commit(backend), 0);
    else
        spool_backend_rollback(backend);
    message_release(&message);
}

static int find(unsigned number)
{
    struct spool_record record;
    uint8_t digest[32];

    make_digest(number, digest);
    int result = spool_backend_record_find(backend, digest, RECORDS, &record);
    if (result == 0) {
        assert_int_equal(record.recorded_ms, number);
        spool_record_clear(&record);
    }
    return result;
}

static uint64_t record_count(void)
{
    struct spool_totals totals;

    spool_backend_totals(backend, &totals);
    return totals.records;
}

static int64_t count_rows(const char *table)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    char query[64];

    snprintf(query, sizeof query, "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_open(files.database, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, query, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return count;
}

static void check_found(unsigned step)
{
    for (unsigned i = 0; i < RECORDS; i += step)
        assert_int_equal(find(i), 0);
    for (unsigned i = RECORDS; i < RECORDS + 3000; i++)
        assert_int_equal(find(i), -ENOENT);
    assert_int_equal(record_count(), RECORDS);
}

static void runs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RECORDS; i += GROUP) {
        unsigned count = RECORDS - i < GROUP ? RECORDS - i : GROUP;
        if (i / GROUP % 8 == 0) /* also when a run is made in it */
            put_records(i, count, false);
        if (i / GROUP % 10 == 3)
            assert_int_equal(find(i), -ENOENT);
        put_records(i, count, true);
    }
    check_found(7);
    reopen();
    check_found(11);
    put_records(5, 1, true); /* anew: the old one in a run is replaced */
    assert_int_equal(record_count(), RECORDS);
    assert_int_equal(find(5), 0);
}

static void purging_runs(void **state)
{
    int count;

    (void)state;
    do {
        assert_int_equal(spool_backend_begin(backend), 0);
        count = spool_backend_purge(backend, WINDOW_MS + RECORD_RUN + 9999, 2000);
        assert_true(count >= 0);
        assert_int_equal(spool_backend_commit(backend), 0);
    } while (count > 0);
    /* The record of number 5 was written last, with an old time: it goes with its turn. */
    assert_int_equal(record_count(), RECORDS - RECORD_RUN - 9999);
    assert_int_equal(find(RECORD_RUN + 10000), 0);
    spool_backend_close(&backend);
    assert_int_equal(count_rows("runs"), 1);
    assert_true(count_rows("buckets") <= RECORD_BUCKETS);
    reopen();
    assert_int_equal(find(RECORDS - 1), 0);
    do {
        assert_int_equal(spool_backend_begin(backend), 0);
        count = spool_backend_purge(backend, 10 * WINDOW_MS, 5000);
        assert_int_equal(spool_backend_commit(backend), 0);
    } while (count > 0);
    assert_int_equal(record_count(), 0);
    put_records(1, 1, true);
    assert_int_equal(find(1), 0);
    spool_backend_close(&backend);
    assert_int_equal(count_rows("runs"), 0);
    assert_int_equal(count_rows("buckets"), 0);
}

static void a_filter_says_no_to_most(void **state)
{
    struct record_index index;
    struct record_run run;
    struct buffer *buckets = calloc(RECORD_BUCKETS, sizeof *buckets);
    unsigned wrong = 0;

    (void)state;
    record_index_init(&index);
    for (size_t i = 0; i < RECORD_BUCKETS; i++)
        buffer_init(&buckets[i], 1 << 20);
    for (int64_t i = 1; i <= RECORD_RUN; i++)
        assert_int_equal(record_index_add(&index, (uint64_t)i * UINT64_C(0xD6E8FEB86659FD93), i),
                         0);
    assert_int_equal(record_index_build(&index, RECORD_RUN + 1, &run, buckets), 0);
    for (uint64_t i = 1; i <= RECORD_RUN; i++)
        assert_true(record_run_may_hold(&run, i * UINT64_C(0xD6E8FEB86659FD93)));
    for (uint64_t i = RECORD_RUN + 1; i <= 10 * RECORD_RUN; i++)
        wrong += record_run_may_hold(&run, i * UINT64_C(0xD6E8FEB86659FD93));
    printf("%u of %u wrong\n", wrong, 9 * RECORD_RUN);
    assert_true(wrong < 9 * RECORD_RUN / 100);
    assert_int_equal(record_index_adopt(&index, run), 0);
    assert_int_equal(index.count, 0);
    for (size_t i = 0; i < RECORD_BUCKETS; i++)
        buffer_free(&buckets[i]);
    free(buckets);
    record_index_free(&index);
}

static int setup(void **state)
{
    (void)state;
    spool_files_make(&files);
    reopen();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spool_backend_close(&backend);
    spool_files_remove(&files);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(runs), cmocka_unit_test(purging_runs),
                                       cmocka_unit_test(a_filter_says_no_to_most)};

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    return cmocka_run_group_tests_name("spool records", tests, setup, teardown);
}

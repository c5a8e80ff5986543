/* links: spool base */
/*
 * What only SQLite can do wrong: a statement that fails may have rolled the transaction back by
 * itself, and whatever is written behind it would be committed at once, alone.
 */
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
    spool_backend_close(&backend);
    spool_files_remove(&files);
    return 0;
}

static struct message *make_message(const char *id, size_t length)
{
    char *body = malloc(length);

    memset(body, 'x', length);
    memcpy(body, id, strlen(id));
    struct message *message = message_new("peer", "adt", body, length);
    message->control_id = span_of(body, strlen(id));
    assert_int_equal(spool_backend_digest(backend, message), 0);
    return message;
}

static int put(const char *id, size_t length, uint64_t *ret_id)
{
    struct message *message = make_message(id, length);
    int result = spool_backend_put(backend, message, "r", "r/p", false, 1000, ret_id);

    message_release(&message);
    return result;
}

static uint64_t queued(void)
{
    struct spool_totals totals;

    spool_backend_totals(backend, &totals);
    return totals.queued;
}

static void set_maximum_pages(int64_t pages)
{
    struct sqlite_spool *spool = (struct sqlite_spool *)backend;
    char text[64];

    snprintf(text, sizeof text, "PRAGMA max_page_count = %lld", (long long)pages);
    assert_int_equal(sqlite3_exec(spool->database, text, NULL, NULL, NULL), SQLITE_OK);
}

/* The disk is full; one of several acts in a transaction fails by it, the next one goes on. */
static void nothing_is_written_behind_a_failure(void **state)
{
    uint64_t first, second, none;

    (void)state;
    assert_int_equal(spool_backend_begin(backend), 0);
    assert_int_equal(put("A", 100, &first), 0);
    assert_int_equal(put("B", 100, &second), 0);
    assert_int_equal(spool_backend_commit(backend), 0);

    set_maximum_pages(1); /* which counts as: no more than there are */
    assert_int_equal(spool_backend_begin(backend), 0);
    assert_int_equal(put("C", 100000, &none), -ENOSPC);
    assert_true(spool_backend_discard(backend, first, 1000) < 0);
    assert_true(spool_backend_commit(backend) < 0);
    set_maximum_pages(1000000);
    assert_int_equal(queued(), 2);

    spool_backend_close(&backend);
    open_spool();
    assert_int_equal(queued(), 2);
    for (int i = 0; i < 2; i++) {
        struct spool_row row;
        struct message *message = NULL;
        struct answer_bytes *answer = NULL;
        int result = spool_backend_show(backend, i == 0 ? first : second, &row, &message, &answer);
        assert_int_equal(result, 0);
        assert_non_null(message);
        spool_row_clear(&row);
        message_release(&message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_written_behind_a_failure, make, unmake),
    };

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

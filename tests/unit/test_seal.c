/* links: spool base */
/*
 * Sealing, the key file, and what keys mean for a spool in SQLite: a wrong one, a missing one,
 * rotation; and that no content is in the files.
 */
#include "spool/key_file.h"
#include "spool/seal.h"

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

#define CANARY "KANARIENVOGEL^7741^PHI"

/* ---- seal ---- */

static void what_is_sealed_opens_in_its_place_only(void **state)
{
    const uint8_t master[32] = {1}, other[32] = {2}, salt[SEAL_SALT_BYTES] = {3};
    struct seal_key key, reader, wrong;
    struct buffer sealed;
    char plain[16] = "";

    (void)state;
    buffer_init(&sealed, 1000);
    assert_int_equal(seal_key_derive(master, salt, "test", true, &key), 0);
    assert_int_equal(seal_key_derive(master, salt, "test", false, &reader), 0);
    assert_int_equal(seal_key_derive(other, salt, "test", false, &wrong), 0);
    assert_int_equal(seal_close(&key, span_of_string("place"), span_of_string("hello"), &sealed),
                     0);
    assert_int_equal(sealed.length, 5 + SEAL_OVERHEAD);
    assert_int_equal(seal_open(&reader, span_of_string("place"), buffer_span(&sealed), plain), 0);
    assert_memory_equal(plain, "hello", 5);
    assert_int_equal(seal_open(&reader, span_of_string("plane"), buffer_span(&sealed), plain),
                     -EBADMSG);
    assert_int_equal(seal_open(&wrong, span_of_string("place"), buffer_span(&sealed), plain),
                     -EBADMSG);
    for (size_t i = 0; i < sealed.length; i++) {
        sealed.data[i] = (char)(sealed.data[i] ^ 1);
        assert_int_equal(seal_open(&reader, span_of_string("place"), buffer_span(&sealed), plain),
                         -EBADMSG);
        sealed.data[i] = (char)(sealed.data[i] ^ 1);
        assert_int_equal(
            seal_open(&reader, span_of_string("place"), span_of(sealed.data, i), plain), -EBADMSG);
    }
    assert_int_equal(seal_close(&reader, span_of(NULL, 0), span_of(NULL, 0), &sealed), -EIO);
    buffer_free(&sealed);
    seal_key_destroy(&key);
    seal_key_destroy(&reader);
    seal_key_destroy(&wrong);
    seal_key_destroy(&key);
}

static void no_nonce_comes_twice(void **state)
{
    const uint8_t master[32] = {1}, salt[SEAL_SALT_BYTES] = {3};
    struct seal_key key;
    struct buffer sealed;
    char before[8] = "";

    (void)state;
    buffer_init(&sealed, 1000);
    assert_int_equal(seal_key_derive(master, salt, "test", true, &key), 0);
    for (int i = 0; i < 300; i++) {
        buffer_clear(&sealed);
        assert_int_equal(seal_close(&key, span_of(NULL, 0), span_of_string("x"), &sealed), 0);
        assert_true(memcmp(before, sealed.data, 8) < 0); /* big endian: it counts */
        memcpy(before, sealed.data, 8);
    }
    buffer_free(&sealed);
    seal_key_destroy(&key);
}

/* ---- the key file ---- */

static void key_files(void **state)
{
    static const struct {
        const char *text;
        const char *problem; /* NULL: good */
        size_t count;
    } cases[] = {
        {"one " SPOOL_KEY_A, NULL, 1},
        {"# a comment\n\n  one\t" SPOOL_KEY_A " # the current one\r\ntwo " SPOOL_KEY_B "\n", NULL,
         2},
        {"", "no key", 0},
        {"# nothing\n", "no key", 0},
        {"one\n", ":1: a key's name and its 64", 0},
        {"one abc\n", ":1: a key is 64", 0},
        {"one " SPOOL_KEY_A "0\n", ":1: a key is 64", 0},
        {"one " SPOOL_KEY_A "\ntwo z" SPOOL_KEY_A "\n", ":2: a key is 64", 0},
        {"one " SPOOL_KEY_A "\none " SPOOL_KEY_B "\n", ":2: two keys", 0},
        {"o/ne " SPOOL_KEY_A "\n", ":1: a key's name is", 0},
        {"abcdefghijklmnopqrstuvwxyz0123456 " SPOOL_KEY_A "\n", ":1: a key's name is", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct key_file file = {.count = 0};
        char error[512] = "";
        int result = key_file_parse("spool.key", cases[i].text, &file, error);
        if (cases[i].problem == NULL) {
            assert_int_equal(result, 0);
            assert_int_equal(file.count, cases[i].count);
            assert_string_equal(file.keys[0].id, "one");
            assert_int_equal(file.keys[0].key[1], 0xb2);
            continue;
        }
        assert_int_equal(result, -EINVAL);
        if (strstr(error, cases[i].problem) == NULL)
            fail_msg("case %zu: %s", i, error);
        assert_null(strstr(error, "a1b2")); /* nothing of a key */
    }
}

/* ---- keys and a spool ---- */

struct bench {
    struct spool_files files;
    struct spool_backend_settings settings;
    struct spool_backend *backend;
    char error[512];
};

static int reopen(struct bench *bench)
{
    spool_backend_close(&bench->backend);
    bench->error[0] = '\0';
    return spool_sqlite_open(&bench->settings, 1000, &bench->backend, bench->error);
}

static void reopen_well(struct bench *bench)
{
    if (reopen(bench) < 0)
        fail_msg("%s", bench->error);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);

    spool_files_make(&bench->files);
    bench->settings = (struct spool_backend_settings){
        .path = bench->files.database, .key_file = bench->files.keys, .window_ms = 100000};
    *state = bench;
    return reopen(bench);
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    spool_backend_close(&bench->backend);
    spool_files_remove(&bench->files);
    free(bench);
    return 0;
}

static struct message *make_message(void)
{
    char *body = strdup("ID1|ADT|" CANARY);
    struct message *message = message_new("peer", "adt", body, strlen(body));

    message->control_id = span_of(body, 3);
    return message;
}

/* A row with an answer, leased, and a record with an answer. */
static uint64_t put_one(struct bench *bench)
{
    struct verdict verdict = {.kind = VERDICT_RETRY, .answer_is_hl7 = true, .code = "AE"};
    struct message *message = make_message();
    uint64_t id;

    verdict.answer = answer_bytes_new(span_of_string("MSA|AE|" CANARY));
    assert_int_equal(spool_backend_digest(bench->backend, message), 0);
    assert_int_equal(spool_backend_begin(bench->backend), 0);
    assert_int_equal(spool_backend_put(bench->backend, message, "r", "r/p", true, 1000, &id), 0);
    assert_int_equal(spool_backend_settle(bench->backend, id, &verdict, 0, false, false, 1000), 0);
    assert_int_equal(spool_backend_record_put(bench->backend, message, &verdict, 1000), 0);
    assert_int_equal(spool_backend_commit(bench->backend), 0);
    answer_bytes_release(&verdict.answer);
    message_release(&message);
    return id;
}

static void check_one(struct bench *bench, uint64_t id)
{
    struct message *message = NULL, *again = make_message();
    struct answer_bytes *answer = NULL;
    struct spool_record record;
    struct spool_row row;

    assert_int_equal(spool_backend_show(bench->backend, id, &row, &message, &answer), 0);
    assert_non_null(message);
    assert_non_null(answer);
    assert_true(span_equal_string(message->body, "ID1|ADT|" CANARY));
    assert_true(span_equal_string(span_of(answer->data, answer->length), "MSA|AE|" CANARY));
    assert_int_equal(spool_backend_digest(bench->backend, again), 0);
    assert_memory_equal(again->digest, message->digest, 32);
    assert_int_equal(spool_backend_record_find(bench->backend, again->digest, 2000, &record), 0);
    assert_non_null(record.answer);
    spool_record_clear(&record);
    spool_row_clear(&row);
    message_release(&message);
    message_release(&again);
    answer_bytes_release(&answer);
}

static void purge(struct bench *bench)
{
    int count;

    do {
        assert_int_equal(spool_backend_begin(bench->backend), 0);
        count = spool_backend_purge(bench->backend, 2000, 4);
        assert_true(count >= 0);
        assert_int_equal(spool_backend_commit(bench->backend), 0);
    } while (count > 0);
}

/* What the tables hold, as one text. The path through a copy: the spool itself is closed. */
static char *table_text(const struct bench *bench)
{
    static const char *const tables[] = {"state",    "meta",  "keys",     "epochs", "lanes",
                                         "messages", "queue", "outcomes", "records"};
    sqlite3 *database = NULL;
    char *text = NULL, query[64];
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    assert_int_equal(sqlite3_open_v2(bench->files.database, &database, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        sqlite3_stmt *statement = NULL;
        snprintf(query, sizeof query, "SELECT * FROM %s", tables[i]);
        assert_int_equal(sqlite3_prepare_v2(database, query, -1, &statement, NULL), SQLITE_OK);
        while (sqlite3_step(statement) == SQLITE_ROW)
            for (int column = 0; column < sqlite3_column_count(statement); column++) {
                const uint8_t *bytes = sqlite3_column_blob(statement, column);
                for (int b = 0; b < sqlite3_column_bytes(statement, column); b++)
                    fprintf(file, "%02x", bytes[b]);
                fputc(' ', file);
            }
        sqlite3_finalize(statement);
    }
    sqlite3_close(database);
    fclose(file);
    return text;
}

static void refused(struct bench *bench, const char *keys, const char *first, const char *second)
{
    spool_backend_close(&bench->backend);
    char *before = table_text(bench);
    spool_files_keys(&bench->files, keys);
    assert_int_equal(reopen(bench), -EACCES);
    if (strstr(bench->error, first) == NULL || strstr(bench->error, second) == NULL ||
        strstr(bench->error, "spool.key") == NULL)
        fail_msg("%s", bench->error);
    char *after = table_text(bench);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void a_wrong_key_is_refused_and_changes_nothing(void **state)
{
    struct bench *bench = *state;
    uint64_t id = put_one(bench);

    refused(bench, "one " SPOOL_KEY_B "\n", "\"one\"", "not the one that this spool knows");
    spool_files_keys(&bench->files, "one " SPOOL_KEY_A "\n");
    reopen_well(bench);
    check_one(bench, id);
}

static void a_missing_key_is_named_with_what_hangs_on_it(void **state)
{
    struct bench *bench = *state;
    uint64_t id = put_one(bench);

    refused(bench, "two " SPOOL_KEY_B "\n", "\"one\"", " 3 messages and answers");
    spool_files_keys(&bench->files, "two " SPOOL_KEY_B "\none " SPOOL_KEY_A "\n");
    reopen_well(bench);
    check_one(bench, id);
}

static void remember_key(void *context, const char *key_id, bool current, uint64_t sealed)
{
    FILE *file = context;

    fprintf(file, "%s%s=%lu ", key_id, current ? "*" : "", (unsigned long)sealed);
}

static void keys_are(struct bench *bench, const char *wanted)
{
    char text[256] = "";
    FILE *file = fmemopen(text, sizeof text, "w");

    assert_int_equal(spool_backend_keys(bench->backend, remember_key, file), 0);
    fclose(file);
    assert_string_equal(text, wanted);
}

static void keys_rotate(void **state)
{
    struct bench *bench = *state;
    uint64_t id = put_one(bench);

    keys_are(bench, "one*=3 ");
    spool_files_keys(&bench->files, "two " SPOOL_KEY_B "\none " SPOOL_KEY_A "\n");
    reopen_well(bench);
    keys_are(bench, "two*=0 one=3 ");
    check_one(bench, id);
    purge(bench);
    keys_are(bench, "two*=3 one=0 ");
    check_one(bench, id);
    spool_files_keys(&bench->files, "two " SPOOL_KEY_B "\n");
    reopen_well(bench);
    check_one(bench, id);
    refused(bench, "three " SPOOL_KEY_A "\n", "\"two\"", "3 messages");
}

static void a_rotated_key_is_needed_even_for_an_empty_spool(void **state)
{
    struct bench *bench = *state;

    refused(bench, "two " SPOOL_KEY_B "\n", "\"one\"", "both stay for one start");
}

static void every_start_has_a_key_of_its_own(void **state)
{
    struct bench *bench = *state;
    uint64_t ids[3];

    for (size_t i = 0; i < 3; i++) {
        ids[i] = put_one(bench);
        reopen_well(bench);
    }
    for (size_t i = 0; i < 3; i++)
        check_one(bench, ids[i]);
    purge(bench);
    for (size_t i = 0; i < 3; i++)
        check_one(bench, ids[i]);
}

/* ---- rotation while messages are under way ---- */

#define KEYS_TWO_ONE "two " SPOOL_KEY_B "\none " SPOOL_KEY_A "\n"
#define SPOOL_KEY_C "1111111111111111111111111111111111111111111111111111111111111111"

/* A queued row without an outcome, which is what is remembered of it. */
static void put_plain(struct bench *bench, unsigned count)
{
    struct message *message = make_message();
    uint64_t id;

    assert_int_equal(spool_backend_digest(bench->backend, message), 0);
    assert_int_equal(spool_backend_begin(bench->backend), 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(spool_backend_put(bench->backend, message, "r", "r/p", false, 1000, &id),
                         0);
    assert_int_equal(spool_backend_commit(bench->backend), 0);
    message_release(&message);
}

static void rotate(struct bench *bench, const char *keys)
{
    spool_files_keys(&bench->files, keys);
    reopen_well(bench);
}

struct taken {
    uint64_t ids[16];
    unsigned count;
};

static void take_entry(void *context, struct spool_row *row, struct message *message)
{
    struct taken *taken = context;

    taken->ids[taken->count++] = row->id;
    spool_row_clear(row);
    message_release(&message);
}

static struct taken lease_some(struct bench *bench, unsigned limit)
{
    struct taken taken = {.count = 0};

    assert_int_equal(spool_backend_begin(bench->backend), 0);
    assert_true(
        spool_backend_lease(bench->backend, "r/p", limit, 100000, 2000, take_entry, &taken) >= 0);
    assert_int_equal(spool_backend_commit(bench->backend), 0);
    return taken;
}

static void accept_all(struct bench *bench, const struct taken *taken)
{
    const struct verdict verdict = {.kind = VERDICT_ACCEPTED};

    assert_int_equal(spool_backend_begin(bench->backend), 0);
    for (unsigned i = 0; i < taken->count; i++)
        assert_int_equal(
            spool_backend_settle(bench->backend, taken->ids[i], &verdict, 0, false, false, 2000),
            0);
    assert_int_equal(spool_backend_commit(bench->backend), 0);
}

static void purge_slice(struct bench *bench, unsigned limit)
{
    assert_int_equal(spool_backend_begin(bench->backend), 0);
    assert_true(spool_backend_purge(bench->backend, 2000, limit) >= 0);
    assert_int_equal(spool_backend_commit(bench->backend), 0);
}

static void all_are_readable(struct bench *bench, unsigned count)
{
    struct taken taken = lease_some(bench, 16);

    assert_int_equal(taken.count, count);
    accept_all(bench, &taken);
}

/* Leased, then sealed anew, then settled: each row hangs on one key at a time. */
static void messages_survive_a_rotation_while_they_are_delivered(void **state)
{
    struct bench *bench = *state;

    put_plain(bench, 10);
    rotate(bench, KEYS_TWO_ONE);
    struct taken taken = lease_some(bench, 5);
    purge_slice(bench, 5);
    keys_are(bench, "two*=5 one=5 ");
    accept_all(bench, &taken);
    keys_are(bench, "two*=0 one=5 ");
    purge(bench);
    keys_are(bench, "two*=5 one=0 ");
    reopen_well(bench);
    all_are_readable(bench, 5);
}

static void a_rotation_during_an_outage_leaves_nothing_counted(void **state)
{
    struct bench *bench = *state;

    put_plain(bench, 10);
    rotate(bench, KEYS_TWO_ONE);
    struct taken taken = lease_some(bench, 10);
    purge(bench);
    keys_are(bench, "two*=10 one=0 ");
    accept_all(bench, &taken);
    keys_are(bench, "two*=0 one=0 ");
    rotate(bench, "three " SPOOL_KEY_C "\ntwo " SPOOL_KEY_B "\n");
    purge(bench);
    keys_are(bench, "three*=0 two=0 ");
    rotate(bench, "three " SPOOL_KEY_C "\n");
}

/* ---- counters that an older build got wrong ---- */

static void run_sql(struct bench *bench, const char *sql);

static void epoch_is_never_forgotten_while_rows_hang_on_it(struct bench *bench, const char *sql)
{
    put_plain(bench, 10);
    run_sql(bench, sql);
    reopen_well(bench);
    purge(bench);
    keys_are(bench, "one*=10 ");
    reopen_well(bench);
    all_are_readable(bench, 10);
}

static void a_counter_of_nothing_forgets_no_epoch(void **state)
{
    epoch_is_never_forgotten_while_rows_hang_on_it(*state, "UPDATE epochs SET sealed = 0");
}

static void a_counter_below_nothing_is_counted_anew(void **state)
{
    struct bench *bench = *state;

    put_plain(bench, 1);
    run_sql(bench, "UPDATE epochs SET sealed = -5");
    reopen_well(bench);
    keys_are(bench, "one*=1 "); /* not known: at least not called nothing */
    epoch_is_never_forgotten_while_rows_hang_on_it(bench, "UPDATE epochs SET sealed = -5"
                                                          " WHERE id = 1;"
                                                          "DELETE FROM messages WHERE id = 1;"
                                                          "DELETE FROM queue WHERE id = 1");
}

static void a_key_is_needed_by_its_rows_not_by_its_counter(void **state)
{
    struct bench *bench = *state;
    uint64_t id = put_one(bench);
    static const char *const drifts[] = {"UPDATE epochs SET sealed = -3 WHERE id = 1",
                                         "UPDATE epochs SET sealed = 0 WHERE id = 1"};

    for (size_t i = 0; i < 2; i++) {
        rotate(bench, KEYS_TWO_ONE);
        run_sql(bench, drifts[i]);
        refused(bench, "two " SPOOL_KEY_B "\n", "\"one\"", " 3 messages and answers");
    }
    rotate(bench, KEYS_TWO_ONE);
    purge(bench);
    rotate(bench, "two " SPOOL_KEY_B "\n");
    check_one(bench, id);
}

/* Counted too much: the rotation ends all the same, and the old key can go, before or after. */
static void what_is_not_there_needs_no_key(void **state)
{
    struct bench *bench = *state;
    uint64_t id = put_one(bench);

    run_sql(bench, "UPDATE epochs SET sealed = sealed + 7");
    rotate(bench, KEYS_TWO_ONE);
    keys_are(bench, "two*=0 one=10 ");
    purge(bench);
    keys_are(bench, "two*=3 one=0 ");
    run_sql(bench, "INSERT INTO epochs SELECT 99, 'one', salt, 7 FROM epochs LIMIT 1");
    rotate(bench, "two " SPOOL_KEY_B "\n");
    check_one(bench, id);
}

/* Between the slices of a recount the spool works on. */
static void a_recount_sees_what_comes_and_goes_meanwhile(void **state)
{
    struct bench *bench = *state;

    put_plain(bench, 12);
    run_sql(bench, "UPDATE epochs SET sealed = -100");
    reopen_well(bench);
    purge_slice(bench, 4); /* looks at 1 to 4 */
    struct taken taken = lease_some(bench, 6);
    accept_all(bench, &taken); /* removes 1 to 6 */
    put_plain(bench, 3);
    put_one(bench);
    purge(bench);
    keys_are(bench, "one*=12 "); /* 7 to 12, three new ones, one with body, answer and record */
    struct spool_totals totals;
    spool_backend_totals(bench->backend, &totals);
    assert_int_equal(totals.queued, 10);
    run_sql(bench, "UPDATE epochs SET sealed = 0"); /* the epochs counted apart: 6 and 6 */
    reopen_well(bench);
    purge(bench);
    keys_are(bench, "one*=12 ");
}

/* A slice that is rolled back has counted nothing, and sealed nothing anew. */
static void a_slice_that_is_rolled_back_is_done_again(void **state)
{
    struct bench *bench = *state;

    put_plain(bench, 10);
    run_sql(bench, "UPDATE epochs SET sealed = -100");
    rotate(bench, KEYS_TWO_ONE);
    for (int i = 0; i < 8; i++) { /* through both walks, each slice once in vain */
        assert_int_equal(spool_backend_begin(bench->backend), 0);
        assert_true(spool_backend_purge(bench->backend, 2000, 4) >= 0);
        spool_backend_rollback(bench->backend);
        purge_slice(bench, 4);
    }
    keys_are(bench, "two*=10 one=0 ");
    rotate(bench, "two " SPOOL_KEY_B "\n");
    all_are_readable(bench, 10);
}

/* ---- damage ---- */

static void run_sql(struct bench *bench, const char *sql)
{
    sqlite3 *database = NULL;

    spool_backend_close(&bench->backend);
    assert_int_equal(sqlite3_open_v2(bench->files.database, &database, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void ignore_entry(void *context, struct spool_row *row, struct message *message)
{
    (*(int *)context)++;
    spool_row_clear(row);
    message_release(&message);
}

static void a_row_that_was_tampered_with_is_a_dead_letter(void **state)
{
    static const char *const tampering[] = {
        "UPDATE messages SET body = zeroblob(length(body)) WHERE id = 1",
        "UPDATE messages SET peer = 'other' WHERE id = 1",
        "UPDATE messages SET body = (SELECT body FROM messages WHERE id = 2) WHERE id = 1",
        "UPDATE messages SET spans = zeroblob(24) WHERE id = 1",
        "UPDATE messages SET digest = x'ff' || substr(digest, 2) WHERE id = 1",
        "UPDATE messages SET digest = substr(digest, 1, 31) || x'ff' WHERE id = 1",
        "UPDATE messages SET digest = x'00' WHERE id = 1",
        "UPDATE messages SET listener = 'other' WHERE id = 1",
        "UPDATE messages SET batch = 1 WHERE id = 1",
        "UPDATE lanes SET route = 'evil'",
    };
    const size_t last = sizeof tampering / sizeof tampering[0] - 1;
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof tampering / sizeof tampering[0]; i++) {
        struct spool_lane_statistics statistics;
        int leased = 0;
        put_one(bench);
        put_one(bench);
        run_sql(bench, tampering[i]);
        reopen_well(bench);
        assert_int_equal(spool_backend_begin(bench->backend), 0);
        int count =
            spool_backend_lease(bench->backend, "r/p", 10, 10000, 2000, ignore_entry, &leased);
        assert_int_equal(spool_backend_commit(bench->backend), 0);
        assert_int_equal(count, leased);
        assert_int_equal(spool_backend_lane_statistics(bench->backend, "r/p", &statistics), 0);
        assert_int_equal(statistics.dead, i == last ? 2 : 1);
        assert_int_equal(leased, i == last ? 0 : 1);
        teardown(state);
        assert_int_equal(setup(state), 0);
        bench = *state;
    }
}

static int64_t number_of(struct bench *bench, const char *sql)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;

    spool_backend_close(&bench->backend);
    assert_int_equal(sqlite3_open_v2(bench->files.database, &database, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

/* What is done to a dead letter whose answer can't be read any more; the answer is dropped. */
static void replay_it(struct bench *bench)
{
    uint64_t id;

    assert_int_equal(spool_backend_replay(bench->backend, 1, true, 2000, &id), 0);
}

static void move_it(struct bench *bench)
{
    uint64_t moved;

    assert_int_equal(spool_backend_move(bench->backend, "r", "s", &moved), 0);
}

static void seal_it_anew(struct bench *bench)
{
    assert_true(spool_backend_purge(bench->backend, 2000, 100) > 0);
}

static void an_answer_that_is_dropped_weighs_nothing(void **state)
{
    static const struct {
        bool stop_lane;
        void (*act)(struct bench *bench);
    } cases[] = {{true, replay_it}, {false, replay_it}, {true, move_it}, {true, seal_it_anew}};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verdict refused = {.kind = VERDICT_REFUSED};
        struct taken taken;
        put_plain(bench, 1);
        taken = lease_some(bench, 1);
        refused.answer = answer_bytes_new(span_of_string("MSA|AR|" CANARY));
        assert_int_equal(spool_backend_begin(bench->backend), 0);
        assert_int_equal(spool_backend_settle(bench->backend, taken.ids[0], &refused, 0, false,
                                              cases[i].stop_lane, 1000),
                         0);
        assert_int_equal(spool_backend_commit(bench->backend), 0);
        answer_bytes_release(&refused.answer);
        run_sql(bench, "UPDATE outcomes SET answer = zeroblob(length(answer))");
        rotate(bench, KEYS_TWO_ONE);
        assert_int_equal(spool_backend_begin(bench->backend), 0);
        cases[i].act(bench);
        assert_int_equal(spool_backend_commit(bench->backend), 0);
        assert_int_equal(number_of(bench, "SELECT sum(answer_bytes) FROM outcomes"), 0);
        assert_int_equal(number_of(bench, "SELECT sum(bytes) FROM lanes"),
                         number_of(bench, "SELECT sum(bytes + 256) FROM messages"));
        teardown(state);
        assert_int_equal(setup(state), 0);
        bench = *state;
    }
}

static void what_a_message_is_survives_a_restart(void **state)
{
    struct bench *bench = *state;
    struct message *message = make_message();
    struct spool_row row;
    struct answer_bytes *answer = NULL;
    uint64_t id;

    message->batch = message->keep_verdict = true;
    assert_int_equal(spool_backend_digest(bench->backend, message), 0);
    assert_int_equal(spool_backend_begin(bench->backend), 0);
    assert_int_equal(spool_backend_put(bench->backend, message, "r", "r/p", false, 1000, &id), 0);
    assert_int_equal(spool_backend_commit(bench->backend), 0);
    message_release(&message);
    reopen_well(bench);
    assert_int_equal(spool_backend_show(bench->backend, id, &row, &message, &answer), 0);
    assert_non_null(message);
    assert_true(message->batch);
    assert_true(message->keep_verdict);
    assert_true(span_equal_string(message->control_id, "ID1"));
    assert_int_equal(message->facility.length, 0);
    spool_row_clear(&row);
    message_release(&message);
}

/* ---- other files ---- */

static void what_is_no_spool_is_refused(void **state)
{
    struct bench *bench = *state;

    run_sql(bench, "PRAGMA user_version = 99");
    assert_true(reopen(bench) < 0);
    assert_non_null(strstr(bench->error, "newer version"));
    run_sql(bench, "PRAGMA user_version = 1; PRAGMA application_id = 7");
    assert_true(reopen(bench) < 0);
    assert_non_null(strstr(bench->error, "not a spool"));
    FILE *file = fopen(bench->files.database, "w");
    fputs("This is a text, and by no means a database of any kind. It is rather long, though.\n",
          file);
    fclose(file);
    assert_true(reopen(bench) < 0);
    assert_non_null(strstr(bench->error, "spool.db"));
    chmod(bench->files.keys, 0644);
    assert_true(reopen(bench) < 0);
    assert_non_null(strstr(bench->error, "spool.key"));
}

static void files_are_the_owners_alone(void **state)
{
    struct bench *bench = *state;
    struct stat status;

    put_one(bench);
    assert_int_equal(stat(bench->files.database, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(bench->files.wal, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_second_process_is_refused(void **state)
{
    struct bench *bench = *state;
    struct spool_backend *second = NULL;
    char error[512] = "";

    put_one(bench); /* the lock is there from the first write on at the latest */
    assert_int_equal(spool_sqlite_open(&bench->settings, 1000, &second, error), -EBUSY);
    assert_non_null(strstr(error, "in use by another process"));
}

/* ---- no content in the files ---- */

static void encode(const char *text, size_t length, bool base64, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;

    if (!base64) {
        for (size_t i = 0; i < length; i++)
            at += (size_t)snprintf(out + at, 3, "%02x", (unsigned char)text[i]);
        return;
    }
    for (size_t i = 0; i + 3 <= length; i += 3) {
        uint32_t bits = (uint32_t)((unsigned char)text[i] << 16 | (unsigned char)text[i + 1] << 8 |
                                   (unsigned char)text[i + 2]);
        for (int shift = 18; shift >= 0; shift -= 6)
            out[at++] = digits[bits >> shift & 63];
    }
    out[at] = '\0';
}

static void search(const char *path, const char *needle)
{
    size_t length;
    char *data = spool_files_read(path, &length);

    if (data != NULL && memmem(data, length, needle, strlen(needle)) != NULL)
        fail_msg("%s is in %s", needle, path);
    free(data);
}

static void no_content_is_in_the_files(void **state)
{
    struct bench *bench = *state;
    char text[256];

    for (int i = 0; i < 20; i++)
        put_one(bench);
    for (int round = 0; round < 2; round++) {
        const char *const paths[] = {bench->files.database, bench->files.wal};
        for (size_t p = 0; p < 2; p++) {
            search(paths[p], CANARY);
            encode(CANARY, strlen(CANARY), false, text);
            search(paths[p], text);
            for (size_t shift = 0; shift < 3; shift++) {
                encode(&CANARY[shift], strlen(CANARY) - shift, true, text);
                search(paths[p], text);
            }
        }
        spool_backend_close(&bench->backend); /* all of it is in the database file then */
    }
}

int main(void)
{
#define WITH_SPOOL(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens_in_its_place_only),
        cmocka_unit_test(no_nonce_comes_twice),
        cmocka_unit_test(key_files),
        WITH_SPOOL(a_wrong_key_is_refused_and_changes_nothing),
        WITH_SPOOL(a_missing_key_is_named_with_what_hangs_on_it),
        WITH_SPOOL(keys_rotate),
        WITH_SPOOL(a_rotated_key_is_needed_even_for_an_empty_spool),
        WITH_SPOOL(every_start_has_a_key_of_its_own),
        WITH_SPOOL(messages_survive_a_rotation_while_they_are_delivered),
        WITH_SPOOL(a_rotation_during_an_outage_leaves_nothing_counted),
        WITH_SPOOL(a_counter_of_nothing_forgets_no_epoch),
        WITH_SPOOL(a_counter_below_nothing_is_counted_anew),
        WITH_SPOOL(a_key_is_needed_by_its_rows_not_by_its_counter),
        WITH_SPOOL(what_is_not_there_needs_no_key),
        WITH_SPOOL(a_recount_sees_what_comes_and_goes_meanwhile),
        WITH_SPOOL(a_slice_that_is_rolled_back_is_done_again),
        WITH_SPOOL(a_row_that_was_tampered_with_is_a_dead_letter),
        WITH_SPOOL(an_answer_that_is_dropped_weighs_nothing),
        WITH_SPOOL(what_a_message_is_survives_a_restart),
        WITH_SPOOL(what_is_no_spool_is_refused),
        WITH_SPOOL(files_are_the_owners_alone),
        WITH_SPOOL(a_second_process_is_refused),
        WITH_SPOOL(no_content_is_in_the_files),
    };

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}

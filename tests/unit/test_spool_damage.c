/* links: spool loop base */
/* wrap: sqlite3_prepare_v3 */
/*
 * Files that are damaged, or of an older build: they open, and nothing loops or is lost besides.
 */
#include "spool/record_index.h"
#include "spool/spool_private.h"
#include "spool/sqlite_private.h"
#include "support/spool_files.h"

#include <errno.h>
#include <psa/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

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
    if (backend != NULL)
        assert_int_equal(spool_backend_digest(backend, message), 0);
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
    assert_int_equal(spool_backend_begin(backend), 0);
    assert_true(spool_backend_purge(backend, 1000, 10) < 0);
    spool_backend_rollback(backend);
    for (int i = 0; i < 3; i++) { /* it isn't tried again: the rest of the purge works */
        assert_int_equal(spool_backend_begin(backend), 0);
        assert_int_equal(spool_backend_purge(backend, 1000, 10), 0);
        assert_int_equal(spool_backend_commit(backend), 0);
    }
    assert_int_equal(((struct sqlite_spool *)backend)->epoch_count, 2);
}

/* Older builds said only in the column, which no seal covers, whether a message is a batch; and nothing of
 * the sender's character set. */
static void a_batch_of_an_older_build_is_one(void **state)
{
    struct message *message = make_message(), *found = NULL;
    struct answer_bytes *answer = NULL;
    uint8_t spans[24] = {[7] = 1}; /* the control id is "A" */
    sqlite3_stmt *statement = NULL;
    struct spool_row row;

    (void)state;
    uint64_t id = put("r", "r/p");
    struct sqlite_spool *spool = (struct sqlite_spool *)backend;
    const struct seal_place place = {'b', (int64_t)id, "peer",
                                     "r", "r/p",       span_of(spans, sizeof spans)};
    assert_int_equal(keys_seal(spool, &place, message->body), 0);
    assert_int_equal(sqlite3_prepare_v2(spool->database,
                                        "UPDATE messages SET batch = 1, spans = ?1, body = ?2", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    statement_bind_span(statement, 1, span_of(spans, sizeof spans));
    statement_bind_span(statement, 2, buffer_span(&spool->scratch));
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    assert_int_equal(spool_backend_show(backend, id, &row, &found, &answer), 0);
    assert_non_null(found);
    assert_true(found->batch);
    assert_false(found->keep_verdict);
    assert_int_equal(found->character_set, 0);
    assert_false(found->normalise_segment_ends);
    spool_row_clear(&row);
    message_release(&found);
    message_release(&message);
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

/* ---- the service: one damaged row is one message's trouble ---- */

static struct {
    struct spool *spool;
    struct metrics *metrics;
    struct mailbox worker, sink;
    struct spool_entry *entries[64];
    struct spool_put *answer;
    size_t entry_count;
} service;

static void no_wake(struct mailbox *mailbox)
{
    (void)mailbox;
}

static void on_answer(struct spool_put *answered)
{
    service.answer = answered;
}

static void on_entry(void *context, struct spool_entry *entry)
{
    (void)context;
    service.entries[service.entry_count++] = entry;
}

static void on_name(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void drain(void)
{
    mailbox_drain(&service.worker);
    mailbox_drain(&service.sink);
}

/* Waits until the expression holds, ten seconds at most. */
#define EVENTUALLY(expression)                                                                     \
    do {                                                                                           \
        for (int tries_ = 0; drain(), !(expression) && tries_ < 20000; tries_++)                   \
            nanosleep(&(struct timespec){0, 500000}, NULL);                                        \
        assert_true(expression);                                                                   \
    } while (0)

static void start_service(void)
{
    const struct spool_sink sink = {&service.sink, on_entry, on_name, on_name, NULL};
    const struct spool_settings settings = {.group_rows = 64};

    memset(&service, 0, sizeof service);
    mailbox_init(&service.worker, no_wake);
    mailbox_init(&service.sink, no_wake);
    service.metrics = metrics_new();
    service.spool = spool_new(backend, &settings, clock_system(), service.metrics);
    assert_non_null(service.spool);
    backend = NULL; /* the service's */
    spool_set_sink(service.spool, &sink);
    spool_route_open(service.spool, "r");
}

static void stop_service(void)
{
    spool_free(&service.spool);
    drain();
    metrics_free(service.metrics);
}

static int unmake_service(void **state)
{
    if (service.spool != NULL)
        stop_service();
    return unmake(state);
}

/* A message of lane r/in comes in, and is safe. */
static void intake_is_open(void)
{
    const struct spool_target target = {"r", "r/in"};
    struct spool_put *mine = spool_put_new(make_message(), &target, 1);

    assert_non_null(mine);
    mine->reply_to = &service.worker;
    mine->on_answer = on_answer;
    service.answer = NULL;
    spool_put(service.spool, mine);
    EVENTUALLY(service.answer != NULL);
    assert_int_equal(mine->outcome, SPOOL_SAFE);
    assert_false(mine->repeated);
    spool_put_free(&mine);
}

static size_t entries_of(const char *lane)
{
    size_t count = 0;

    for (size_t i = 0; i < service.entry_count; i++)
        count += strcmp(service.entries[i]->lane, lane) == 0;
    return count;
}

static bool call_is_done;

static void on_done(struct spool_call *call)
{
    (void)call;
    call_is_done = true;
}

struct lanes_text {
    char text[256];
    size_t length;
};

static void write_lane(void *context, const char *route, const char *lane,
                       const struct spool_lane_statistics *statistics)
{
    struct lanes_text *text = context;

    (void)route;
    if (strcmp(lane, "r/in") != 0)
        text->length +=
            (size_t)snprintf(text->text + text->length, sizeof text->text - text->length,
                             "%s %d/%d ", lane, (int)statistics->queued, (int)statistics->dead);
}

static struct lanes_text lanes_text;

static void ask_lanes(struct spool_call *call, struct spool *spool, struct spool_backend *asked)
{
    (void)spool;
    call->result = spool_backend_lanes(asked, write_lane, &lanes_text);
}

static void lanes_are(const char *wanted)
{
    struct spool_call call = {.call = ask_lanes, .reply_to = &service.worker, .done = on_done};

    memset(&lanes_text, 0, sizeof lanes_text);
    call_is_done = false;
    spool_call(service.spool, &call);
    EVENTUALLY(call_is_done);
    assert_int_equal(call.result, 0);
    assert_string_equal(lanes_text.text, wanted);
}

/* Two rows in r/a, the first of them damaged, and one in r/b. */
static void one_damaged_row(const char *sql, size_t delivered, const char *lanes)
{
    put("r", "r/a");
    put("r", "r/a");
    put("r", "r/b");
    damage(sql);
    open_spool();
    start_service();
    EVENTUALLY(entries_of("r/a") == delivered && entries_of("r/b") == 1);
    intake_is_open();
    lanes_are(lanes);
    struct spool_statistics statistics;
    spool_statistics(service.spool, &statistics);
    assert_false(statistics.failed);
    assert_int_equal(metric_value(service.spool->counters.failures), 0);
}

static void a_queued_id_without_a_row_is_passed_over(void **state)
{
    (void)state;
    one_damaged_row("DELETE FROM messages WHERE id = 1", 1, "r/a 1/0 r/b 1/0 ");
}

static void a_row_without_a_lane_is_a_dead_letter_of_its_queue(void **state)
{
    (void)state;
    one_damaged_row("UPDATE messages SET lane = 4711 WHERE id = 1", 1, "r/a 1/1 r/b 1/0 ");
}

static void a_row_of_another_lane_is_a_dead_letter_of_its_queue(void **state)
{
    (void)state;
    one_damaged_row("UPDATE messages SET lane = 2 WHERE id = 1", 1, "r/a 1/1 r/b 1/0 ");
}

/* The last page of the file that holds this text becomes one that can't be read. */
static void damage_page(struct span text)
{
    size_t length, page = 0;

    spool_backend_close(&backend);
    char *data = spool_files_read(files.database, &length);
    for (size_t at = 4096; at < length; at += 4096)
        if (memmem(data + at, 4096, text.data, text.length) != NULL)
            page = at;
    assert_true(page > 0);
    FILE *file = fopen(files.database, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)page, SEEK_SET), 0);
    for (int i = 0; i < 4096; i++)
        fputc(0xff, file);
    assert_int_equal(fclose(file), 0);
    free(data);
}

static uint64_t put_large(const char *lane, const char *peer, size_t length)
{
    char *body = calloc(1, length);
    struct message *message = message_new(peer, "adt", body, length);
    uint64_t id = 0;

    assert_int_equal(spool_backend_digest(backend, message), 0);
    assert_int_equal(spool_backend_begin(backend), 0);
    assert_int_equal(spool_backend_put(backend, message, "r", lane, true, 1000, &id), 0);
    assert_int_equal(spool_backend_commit(backend), 0);
    message_release(&message);
    return id;
}

/* Each row of r/a has a page of its own. What of it is queued can't be known, so it stays. */
static void pages_that_cannot_be_read_hold_one_lane(void **state)
{
    (void)state;
    put_large("r/a", "the-peer-of-a", 2500);
    put_large("r/b", "peer", 2500);
    put_large("r/b", "peer", 2500);
    damage_page(span_of_string("the-peer-of-a"));
    open_spool();
    start_service();
    EVENTUALLY(entries_of("r/b") == 2);
    intake_is_open();
    lanes_are("r/a 1/0 r/b 2/0 ");
    assert_int_equal(entries_of("r/a"), 0);
    assert_int_equal(metric_value(service.spool->counters.failures), 0);
}

/* Only the body's own pages are damaged: it is a dead letter, once the lane is tried again. */
static void a_body_that_cannot_be_read_is_a_dead_letter(void **state)
{
    char text[16];

    (void)state;
    put_large("r/a", "peer", 20000);
    put_large("r/a", "peer", 2500);
    struct sqlite_spool *spool = (struct sqlite_spool *)backend;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(spool->database,
                                        "SELECT substr(body, 12000, 16) FROM messages WHERE id = 1",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    memcpy(text, sqlite3_column_blob(statement, 0), sizeof text);
    sqlite3_finalize(statement);
    damage_page(span_of(text, sizeof text));
    open_spool();
    start_service();
    EVENTUALLY(entries_of("r/a") == 1);
    assert_int_equal(service.entries[0]->id, 2);
    intake_is_open();
    lanes_are("r/a 1/1 ");
    assert_int_equal(metric_value(service.spool->counters.failures), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
#define SERVICE_TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake_service)
    const struct CMUnitTest tests[] = {
        TEST(a_move_of_lost_dead_letters_ends),
        TEST(a_move_of_a_lost_queue_ends),
        TEST(a_row_whose_lane_is_gone_is_not_the_disks_error),
        TEST(purging_keys_fails_whole),
        TEST(what_cannot_be_counted_stops_nothing),
        TEST(a_batch_of_an_older_build_is_one),
        TEST(a_filter_of_another_length_finds_the_same),
        SERVICE_TEST(a_queued_id_without_a_row_is_passed_over),
        SERVICE_TEST(a_row_without_a_lane_is_a_dead_letter_of_its_queue),
        SERVICE_TEST(a_row_of_another_lane_is_a_dead_letter_of_its_queue),
        SERVICE_TEST(a_body_that_cannot_be_read_is_a_dead_letter),
        SERVICE_TEST(pages_that_cannot_be_read_hold_one_lane),
    };

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    return cmocka_run_group_tests_name("spool damage", tests, NULL, NULL);
}

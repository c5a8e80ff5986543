/* links: spool loop base */
/*
 * The spool's service over the memory backend: this thread is the worker and the sink, each with a
 * mailbox that it drains by hand; the spool's thread is real.
 */
#include "spool/spool.h"
#include "spool/spool_private.h"
#include "support/faulty_spool.h"

#include <errno.h>
#include <psa/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define HELD_MAX 4096

struct bench {
    struct spool *spool;
    struct faulty_spool *faulty;
    struct metrics *metrics;
    struct mailbox worker, sink;
    struct spool_put *answers[HELD_MAX]; /* in order of arrival */
    size_t answer_count;
    struct spool_entry *entries[HELD_MAX];
    size_t entry_count;
    struct spool_notice *notice;
    char revoked[64], resumed[64];
    int calls_done;
};

static struct bench *bench; /* callbacks without a context of their own */

static void no_wake(struct mailbox *mailbox)
{
    (void)mailbox;
}

static void on_answer(struct spool_put *put)
{
    assert_true(bench->answer_count < HELD_MAX);
    bench->answers[bench->answer_count++] = put;
}

static void on_entry(void *context, struct spool_entry *entry)
{
    assert_ptr_equal(context, bench);
    assert_true(bench->entry_count < HELD_MAX);
    bench->entries[bench->entry_count++] = entry;
}

static void on_revoked(void *context, const char *route)
{
    (void)context;
    snprintf(bench->revoked, sizeof bench->revoked, "%s", route);
}

static void on_resumed(void *context, const char *lane)
{
    (void)context;
    snprintf(bench->resumed, sizeof bench->resumed, "%s", lane);
}

static void drain(void)
{
    mailbox_drain(&bench->worker);
    mailbox_drain(&bench->sink);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Waits until the expression holds, ten seconds at most. */
#define EVENTUALLY(expression)                                                                     \
    do {                                                                                           \
        for (int tries_ = 0; drain(), !(expression) && tries_ < 20000; tries_++)                   \
            nanosleep(&(struct timespec){0, 500000}, NULL);                                        \
        assert_true(expression);                                                                   \
    } while (0)

static void start(const struct spool_backend_settings *settings, int group_rows, int group_wait_us)
{
    struct spool_backend *memory;
    char error[512];

    assert_int_equal(spool_memory_open(settings, 0, &memory, error), 0);
    bench = calloc(1, sizeof *bench);
    bench->faulty = faulty_spool_new(memory);
    bench->metrics = metrics_new();
    mailbox_init(&bench->worker, no_wake);
    mailbox_init(&bench->sink, no_wake);
    const struct spool_settings service = {group_rows, group_wait_us};
    bench->spool = spool_new(&bench->faulty->backend, &service, clock_system(), bench->metrics);
    assert_non_null(bench->spool);
    const struct spool_sink sink = {&bench->sink, on_entry, on_resumed, on_revoked, bench};
    spool_set_sink(bench->spool, &sink);
    spool_route_open(bench->spool, "r");
}

static void start_plain(void)
{
    start(&(struct spool_backend_settings){.window_ms = 86400000}, 64, 0);
}

static void forget_answers(void)
{
    for (size_t i = 0; i < bench->answer_count; i++)
        spool_put_free(&bench->answers[i]);
    bench->answer_count = 0;
}

static int stop(void **state)
{
    (void)state;
    if (bench == NULL)
        return 0;
    spool_free(&bench->spool);
    drain();
    forget_answers();
    spool_notice_free(&bench->notice);
    metrics_free(bench->metrics);
    free(bench);
    bench = NULL;
    return 0;
}

/* "A|1": control id A. */
static struct message *make_message(const char *text, size_t padding)
{
    size_t length = strlen(text) + padding;
    char *body = malloc(length + 1);
    const char *bar = strchr(text, '|');

    memset(body, 'x', length + 1);
    memcpy(body, text, strlen(text));
    struct message *message = message_new("peer", "listener", body, length);
    message->control_id = span_of(body, bar == NULL ? strlen(text) : (size_t)(bar - text));
    message->received_wall_ms = 1000;
    return message;
}

static struct spool_put *make_put(const char *text, const char *lane, size_t padding)
{
    const struct spool_target target = {"r", lane};
    struct spool_put *put = spool_put_new(make_message(text, padding), &target, 1);

    put->reply_to = &bench->worker;
    put->on_answer = on_answer;
    return put;
}

static void put_stored(const char *text, const char *lane)
{
    spool_put(bench->spool, make_put(text, lane, 0));
}

static void put_delivered(const char *text, const char *lane, bool wait, int64_t deadline_in_ms)
{
    struct spool_put *put = make_put(text, lane, 0);

    put->delivered = true;
    put->wait = wait;
    put->deadline_ms = clock_monotonic_ms(clock_system()) + deadline_in_ms;
    spool_put(bench->spool, put);
}

static void settle(size_t index, enum verdict_kind kind)
{
    struct spool_entry *entry = bench->entries[index];

    entry->verdict.kind = kind;
    snprintf(entry->verdict.code, sizeof entry->verdict.code,
             kind == VERDICT_ACCEPTED ? "AA" : "AE");
    bench->entries[index] = NULL;
    spool_settle(bench->spool, entry);
}

static void release(size_t index)
{
    bench->entries[index]->released = true;
    spool_settle(bench->spool, bench->entries[index]);
    bench->entries[index] = NULL;
}

static const char *entry_text(size_t index)
{
    static char text[64];
    struct span body = bench->entries[index]->message->body;

    snprintf(text, sizeof text, "%.*s", (int)body.length, body.data);
    return text;
}

/* ---- calls ---- */

struct waiting_call {
    struct spool_call call;
    void (*work)(struct waiting_call *call, struct spool *spool, struct spool_backend *backend);
    uint64_t id, new_id;
    bool flag;
    struct spool_totals totals;
    long sequence;
};

static void call_done(struct spool_call *call)
{
    (void)call;
    bench->calls_done++;
}

static void call_work(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct waiting_call *mine = (struct waiting_call *)call;

    mine->work(mine, spool, backend);
}

static int run_call(struct waiting_call *call)
{
    int before = bench->calls_done;

    call->call.call = call_work;
    call->call.done = call_done;
    call->call.reply_to = &bench->worker;
    spool_call(bench->spool, &call->call);
    EVENTUALLY(bench->calls_done > before);
    return call->call.result;
}

static void work_totals(struct waiting_call *call, struct spool *spool,
                        struct spool_backend *backend)
{
    (void)spool;
    spool_backend_totals(backend, &call->totals);
}

static struct spool_totals totals(void)
{
    struct waiting_call call = {.work = work_totals};

    assert_int_equal(run_call(&call), 0);
    return call.totals;
}

static void work_replay(struct waiting_call *call, struct spool *spool,
                        struct spool_backend *backend)
{
    (void)backend;
    call->call.result = spool_replay(spool, call->id, call->flag, &call->new_id);
}

static void work_discard(struct waiting_call *call, struct spool *spool,
                         struct spool_backend *backend)
{
    (void)backend;
    call->call.result = spool_discard(spool, call->id);
}

static void work_sequence(struct waiting_call *call, struct spool *spool,
                          struct spool_backend *backend)
{
    (void)spool;
    call->call.result = spool_backend_sequence_get(backend, "listener/peer", &call->sequence);
}

/* ---- stored ---- */

static void stored_is_answered_and_handed_out(void **state)
{
    (void)state;
    start_plain();
    struct spool_put *put = make_put("A|1", "r/p", 0);
    put->sequence_set = true;
    put->sequence_key = strdup("listener/peer");
    put->sequence_last = 17;
    spool_put(bench->spool, put);
    EVENTUALLY(bench->answer_count == 1 && bench->entry_count == 1);
    assert_int_equal(bench->answers[0]->outcome, SPOOL_SAFE);
    assert_false(bench->answers[0]->repeated);
    assert_false(bench->entries[0]->transient);
    assert_string_equal(bench->entries[0]->lane, "r/p");
    struct waiting_call sequence = {.work = work_sequence};
    assert_int_equal(run_call(&sequence), 0);
    assert_int_equal(sequence.sequence, 17);
    settle(0, VERDICT_ACCEPTED);
    EVENTUALLY(totals().queued == 0);
    assert_int_equal(totals().records, 1);
}

static void a_group_is_one_commit(void **state)
{
    (void)state;
    start_plain();
    atomic_store(&bench->faulty->commit_delay_us, 20000);
    int before = atomic_load(&bench->faulty->commits);
    char text[32];
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "M%d|", i);
        put_stored(text, "r/p");
    }
    EVENTUALLY(bench->answer_count == 50 && bench->entry_count == 50);
    /* One that was taken first, one with all the others; lease and purge may add their own. */
    assert_true(atomic_load(&bench->faulty->commits) - before <= 5);
    for (size_t i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "M%zu|", i);
        assert_string_equal(entry_text(i), text);
        settle(i, VERDICT_ACCEPTED);
    }
    EVENTUALLY(totals().queued == 0);
}

/* What a call sees of the spool holds every put that was there before it, in however many groups. */
static void a_call_is_behind_the_puts_before_it(void **state)
{
    char text[32];

    (void)state;
    start(&(struct spool_backend_settings){.window_ms = 86400000}, 1, 0);
    atomic_store(&bench->faulty->commit_delay_us, 20000);
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "M%d|", i);
        put_stored(text, "r/p");
    }
    assert_int_equal(totals().queued, 10);
    EVENTUALLY(bench->answer_count == 10 && bench->entry_count == 10);
    for (size_t i = 0; i < 10; i++)
        settle(i, VERDICT_ACCEPTED);
    EVENTUALLY(totals().queued == 0);
}

static void a_repeat_is_answered_from_the_record(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|1", "r/p");
    EVENTUALLY(bench->answer_count == 1);
    put_stored("A|1", "r/p");
    EVENTUALLY(bench->answer_count == 2);
    put_stored("A|2", "r/p"); /* the same control id with other bytes is another message */
    EVENTUALLY(bench->answer_count == 3);
    assert_true(bench->answers[1]->repeated);
    assert_int_equal(bench->answers[1]->outcome, SPOOL_SAFE);
    assert_false(bench->answers[2]->repeated);
    assert_int_equal(totals().queued, 2);
}

static void copies_in_one_group_are_stored_once(void **state)
{
    (void)state;
    start_plain();
    atomic_store(&bench->faulty->commit_delay_us, 20000);
    put_stored("first|", "r/p"); /* keeps the spool busy while the copies gather */
    for (int i = 0; i < 3; i++)
        put_stored("A|1", "r/p");
    EVENTUALLY(bench->answer_count == 4);
    int repeats = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(bench->answers[i]->outcome, SPOOL_SAFE);
        repeats += bench->answers[i]->repeated;
    }
    assert_int_equal(repeats, 2);
    assert_int_equal(totals().queued, 2);
}

static void without_control_id_nothing_is_a_repeat(void **state)
{
    (void)state;
    start_plain();
    put_stored("|same", "r/p");
    put_stored("|same", "r/p");
    EVENTUALLY(bench->answer_count == 2);
    assert_false(bench->answers[0]->repeated || bench->answers[1]->repeated);
    assert_int_equal(totals().queued, 2);
    assert_int_equal(totals().records, 0);
}

static void several_targets_are_all_or_none(void **state)
{
    (void)state;
    start(&(struct spool_backend_settings){.window_ms = 1000,
                                           .maximum_bytes = SPOOL_ROW_OVERHEAD + 100},
          64, 0);
    const struct spool_target targets[] = {{"r", "r/p"}, {"s", "s/p"}};
    struct spool_put *put = spool_put_new(make_message("A|1", 0), targets, 2);
    put->reply_to = &bench->worker;
    put->on_answer = on_answer;
    spool_put(bench->spool, put);
    EVENTUALLY(bench->answer_count == 1);
    assert_int_equal(bench->answers[0]->outcome, SPOOL_UNAVAILABLE);
    assert_int_equal(bench->answers[0]->reason, REASON_SPOOL_FULL);
    assert_int_equal(totals().queued, 0);
}

/* ---- full and failing ---- */

static bool is_full(void)
{
    struct spool_statistics statistics;

    spool_statistics(bench->spool, &statistics);
    return statistics.full;
}

static bool is_failed(void)
{
    struct spool_statistics statistics;

    spool_statistics(bench->spool, &statistics);
    return statistics.failed;
}

static void full_is_said_and_clears(void **state)
{
    (void)state;
    start(&(struct spool_backend_settings){.window_ms = 1000,
                                           .maximum_bytes = 2 * SPOOL_ROW_OVERHEAD + 100},
          64, 0);
    put_stored("A|", "r/p");
    put_stored("B|", "r/p");
    put_stored("C|", "r/p");
    EVENTUALLY(bench->answer_count == 3 && is_full() && bench->entry_count == 2);
    assert_int_equal(bench->answers[2]->outcome, SPOOL_UNAVAILABLE);
    assert_int_equal(bench->answers[2]->reason, REASON_SPOOL_FULL);
    settle(0, VERDICT_ACCEPTED);
    EVENTUALLY(!is_full());
    put_stored("C|", "r/p");
    EVENTUALLY(bench->answer_count == 4);
    assert_int_equal(bench->answers[3]->outcome, SPOOL_SAFE);
    assert_false(bench->answers[3]->repeated);
}

static void a_failed_commit_makes_nothing_safe(void **state)
{
    (void)state;
    start_plain();
    atomic_store(&bench->faulty->commit_error, -EIO);
    put_stored("A|", "r/p");
    EVENTUALLY(bench->answer_count == 1 && is_failed());
    assert_int_equal(bench->answers[0]->outcome, SPOOL_UNAVAILABLE);
    assert_int_equal(bench->answers[0]->reason, REASON_SPOOL_ERROR);
    assert_int_equal(bench->entry_count, 0);
    /* While it fails puts are answered at once, without a commit for each. */
    int before = atomic_load(&bench->faulty->failed_commits);
    for (int i = 0; i < 20; i++)
        put_stored("B|", "r/p");
    EVENTUALLY(bench->answer_count == 21);
    assert_true(atomic_load(&bench->faulty->failed_commits) - before <= 1);
    /* It finds out by itself that the disk works again. */
    atomic_store(&bench->faulty->commit_error, 0);
    EVENTUALLY(!is_failed());
    put_stored("A|", "r/p");
    EVENTUALLY(bench->answer_count == 22 && bench->entry_count == 1);
    assert_int_equal(bench->answers[21]->outcome, SPOOL_SAFE);
    assert_false(bench->answers[21]->repeated);
    assert_int_equal(totals().queued, 1);
}

static void a_message_that_never_fits_says_full_until_it_is_empty(void **state)
{
    (void)state;
    start(&(struct spool_backend_settings){.window_ms = 1000,
                                           .maximum_bytes = 10 * SPOOL_ROW_OVERHEAD},
          64, 0);
    put_stored("A|", "r/p");
    EVENTUALLY(bench->answer_count == 1 && bench->entry_count == 1);
    spool_put(bench->spool, make_put("B|", "r/p", 100 * SPOOL_ROW_OVERHEAD));
    EVENTUALLY(bench->answer_count == 2 && is_full());
    put_stored("C|", "r/p"); /* what fits is taken all the same */
    EVENTUALLY(bench->answer_count == 3 && bench->entry_count == 2);
    assert_int_equal(bench->answers[2]->outcome, SPOOL_SAFE);
    assert_true(is_full());
    settle(0, VERDICT_ACCEPTED);
    settle(1, VERDICT_ACCEPTED);
    EVENTUALLY(!is_full());
}

static void settlements_outlive_a_failed_commit(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    EVENTUALLY(bench->entry_count == 1);
    atomic_store(&bench->faulty->commit_error, -EIO);
    settle(0, VERDICT_ACCEPTED);
    EVENTUALLY(is_failed());
    atomic_store(&bench->faulty->commit_error, 0);
    EVENTUALLY(!is_failed() && totals().queued == 0);
    assert_int_equal(bench->entry_count, 1); /* and it is not delivered again */
}

/* ---- a full disk ---- */

static void fill_disk(void)
{
    atomic_store(&bench->faulty->disk_is_full, true);
    atomic_store(&bench->faulty->put_error, -ENOSPC);
}

static void a_full_disk_stops_messages_only(void **state)
{
    char text[32];

    (void)state;
    start_plain();
    for (int i = 0; i < 100; i++) { /* more than the window */
        snprintf(text, sizeof text, "M%d|", i);
        put_stored(text, "r/p");
    }
    EVENTUALLY(bench->answer_count == 100 && bench->entry_count == 64);
    fill_disk();
    put_stored("UNWRITABLE|", "r/p");
    EVENTUALLY(bench->answer_count == 101 && is_full());
    assert_int_equal(bench->answers[100]->outcome, SPOOL_UNAVAILABLE);
    assert_int_equal(bench->answers[100]->reason, REASON_SPOOL_FULL);
    put_stored("small|", "r/p"); /* would fit, and gets nothing of what is left */
    put_stored("M7|", "r/p");
    EVENTUALLY(bench->answer_count == 103);
    assert_int_equal(bench->answers[101]->reason, REASON_SPOOL_FULL);
    assert_int_equal(bench->answers[102]->outcome, SPOOL_SAFE);
    assert_true(bench->answers[102]->repeated);
    for (size_t i = 0; i < 100; i++) { /* what waits on disk follows, each once */
        EVENTUALLY(bench->entry_count > i);
        snprintf(text, sizeof text, "M%zu|", i);
        assert_string_equal(entry_text(i), text);
        settle(i, VERDICT_ACCEPTED);
    }
    EVENTUALLY(totals().queued == 0);
    assert_true(is_full());
    assert_false(is_failed());
    atomic_store(&bench->faulty->disk_is_full, false);
    EVENTUALLY(!is_full());
    put_stored("small|", "r/p");
    EVENTUALLY(bench->answer_count == 104 && bench->entry_count == 101);
    assert_int_equal(bench->answers[103]->outcome, SPOOL_SAFE);
    assert_false(bench->answers[103]->repeated);
}

static void the_reserve_is_for_what_is_settled(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    put_stored("B|", "r/p");
    EVENTUALLY(bench->entry_count == 2);
    atomic_store(&bench->faulty->has_reserve, true);
    fill_disk();
    put_stored("UNWRITABLE|", "r/p");
    EVENTUALLY(bench->answer_count == 3);
    assert_true(atomic_load(&bench->faulty->has_reserve)); /* nothing had to be settled */
    atomic_store(&bench->faulty->settle_error, -ENOSPC);
    settle(0, VERDICT_ACCEPTED);
    settle(1, VERDICT_ACCEPTED);
    EVENTUALLY(totals().queued == 0);
    assert_false(atomic_load(&bench->faulty->has_reserve));
    assert_true(is_full());
    assert_false(is_failed());
    assert_int_equal(bench->entry_count, 2);
}

static void without_any_room_settlements_wait(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    EVENTUALLY(bench->entry_count == 1);
    fill_disk();
    atomic_store(&bench->faulty->settle_error, -ENOSPC);
    settle(0, VERDICT_ACCEPTED);
    EVENTUALLY(is_failed());
    put_stored("B|", "r/p");
    EVENTUALLY(bench->answer_count == 2);
    assert_int_equal(bench->answers[1]->reason, REASON_SPOOL_FULL);
    atomic_store(&bench->faulty->settle_error, 0);
    EVENTUALLY(totals().queued == 0 && !is_failed());
    assert_true(is_full());
    atomic_store(&bench->faulty->disk_is_full, false);
    EVENTUALLY(!is_full());
    assert_int_equal(bench->entry_count, 1);
}

/* ---- what can't be written ---- */

static void an_unwritable_put_fails_alone(void **state)
{
    char text[32];

    (void)state;
    start_plain();
    atomic_store(&bench->faulty->put_error, -ENAMETOOLONG);
    atomic_store(&bench->faulty->commit_delay_us, 20000);
    put_stored("first|", "r/p"); /* keeps the spool busy while the group gathers */
    for (int i = 0; i < 10; i++) {
        put_stored("first|", "r/p"); /* answered from the record */
        snprintf(text, sizeof text, i == 3 || i == 7 ? "UNWRITABLE%d|" : "M%d|", i);
        put_stored(text, "r/p");
        put_stored(text, "r/p"); /* its copy gets the same answer */
    }
    EVENTUALLY(bench->answer_count == 31 && bench->entry_count == 9);
    for (size_t i = 0; i < bench->answer_count; i++) {
        const struct spool_put *put = bench->answers[i];
        bool unwritable = put->message->body.data[0] == 'U';
        assert_int_equal(put->outcome, unwritable ? SPOOL_UNAVAILABLE : SPOOL_SAFE);
        assert_int_equal(put->reason, unwritable ? REASON_SPOOL_ERROR : REASON_NONE);
    }
    static const char *const order[] = {"first|", "M0|", "M1|", "M2|", "M4|",
                                        "M5|",    "M6|", "M8|", "M9|"};
    for (size_t i = 0; i < 9; i++)
        assert_string_equal(entry_text(i), order[i]);
    assert_int_equal(totals().queued, 9);
    assert_false(is_failed());
    assert_int_equal(atomic_load(&bench->faulty->failed_commits), 0);
}

static void an_answer_that_cannot_be_written_is_left_out(void **state)
{
    (void)state;
    start_plain();
    atomic_store(&bench->faulty->answer_error, -EFBIG);
    put_stored("A|", "r/p");
    EVENTUALLY(bench->entry_count == 1);
    bench->entries[0]->verdict.answer = answer_bytes_new(span_of_string("MSH|ANSWER"));
    settle(0, VERDICT_REFUSED);
    EVENTUALLY(totals().dead == 1);
    assert_int_equal(totals().queued, 0);
    assert_false(is_failed());
}

static void an_unwritable_settlement_blocks_nobody(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    put_delivered("N|", "r/q", true, 5000); /* its record is written all the same */
    EVENTUALLY(bench->entry_count == 2);
    size_t stored = bench->entries[0]->transient ? 1 : 0;
    atomic_store(&bench->faulty->settle_error, -EBADMSG);
    bench->entries[stored]->verdict.answer = answer_bytes_new(span_of_string("MSH|ANSWER"));
    settle(stored, VERDICT_ACCEPTED);
    settle(1 - stored, VERDICT_ACCEPTED);
    put_stored("B|", "r/b");
    EVENTUALLY(bench->answer_count == 3 && bench->entry_count >= 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(bench->answers[i]->outcome, SPOOL_SAFE);
    assert_false(is_failed());
    atomic_store(&bench->faulty->settle_error, 0);
    /* It was never settled, so it is handed out again. */
    EVENTUALLY(bench->entry_count == 4);
    assert_string_equal(entry_text(3), "A|");
    settle(2, VERDICT_ACCEPTED);
    settle(3, VERDICT_ACCEPTED);
    EVENTUALLY(totals().queued == 0);
    assert_int_equal(totals().records, 3);
}

static void an_unwritable_stop_comes_back_as_the_lanes_head(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    put_stored("B|", "r/p");
    EVENTUALLY(bench->entry_count == 2);
    atomic_store(&bench->faulty->settle_error, -EMSGSIZE);
    bench->entries[0]->stop_lane = true;
    settle(0, VERDICT_REFUSED);
    EVENTUALLY(bench->entry_count == 3);
    assert_string_equal(entry_text(2), "A|");
    assert_true(bench->entries[2]->resumes_lane);
    atomic_store(&bench->faulty->settle_error, 0);
    settle(2, VERDICT_ACCEPTED);
    settle(1, VERDICT_ACCEPTED);
    EVENTUALLY(totals().queued == 0);
}

static void a_full_disk_is_called_full(void **state)
{
    (void)state;
    start_plain();
    atomic_store(&bench->faulty->commit_error, -ENOSPC);
    put_stored("A|", "r/p");
    EVENTUALLY(bench->answer_count == 1);
    assert_int_equal(bench->answers[0]->reason, REASON_SPOOL_FULL);
    atomic_store(&bench->faulty->commit_error, 0);
    EVENTUALLY(!is_failed());
}

/* ---- the window ---- */

static void the_window_bounds_what_is_out(void **state)
{
    char text[32];

    (void)state;
    start_plain();
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "M%d|", i);
        put_stored(text, "r/p");
    }
    EVENTUALLY(bench->answer_count == 300);
    pause_ms(20);
    drain();
    assert_int_equal(bench->entry_count, SPOOL_LANE_WINDOW);
    for (size_t i = 0; i < 300; i++) {
        EVENTUALLY(bench->entry_count > i);
        snprintf(text, sizeof text, "M%zu|", i);
        assert_string_equal(entry_text(i), text);
        if (i > 0)
            settle(i - 1, VERDICT_ACCEPTED);
    }
    settle(299, VERDICT_ACCEPTED);
    EVENTUALLY(totals().queued == 0);
    assert_int_equal(bench->entry_count, 300);
}

static void large_messages_go_one_at_a_time(void **state)
{
    char text[32];

    (void)state;
    start_plain();
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "L%d|", i);
        spool_put(bench->spool, make_put(text, "r/p", SPOOL_LANE_WINDOW_BYTES));
    }
    EVENTUALLY(bench->answer_count == 3);
    for (size_t i = 0; i < 3; i++) {
        EVENTUALLY(bench->entry_count == i + 1);
        pause_ms(5);
        drain();
        assert_int_equal(bench->entry_count, i + 1);
        settle(i, VERDICT_ACCEPTED);
    }
    EVENTUALLY(totals().queued == 0);
}

static size_t count_out(void)
{
    size_t count = 0;

    pause_ms(30);
    drain();
    for (size_t i = 0; i < bench->entry_count; i++)
        count += bench->entries[i] != NULL;
    return count;
}

static void first_entries_have_a_budget(void **state)
{
    enum { LANES = 6, EACH = 2 };
    const size_t length = (size_t)SPOOL_FIRST_BYTES / 2 + 4096; /* the second one is over it */
    char text[32], lane[32];

    (void)state;
    start_plain();
    for (int i = 0; i < LANES * EACH; i++) {
        snprintf(text, sizeof text, "M%d|", i);
        snprintf(lane, sizeof lane, "r/%d", i % LANES);
        spool_put(bench->spool, make_put(text, lane, i < LANES ? length : 0));
    }
    EVENTUALLY(bench->answer_count == LANES * EACH && bench->entry_count >= 2);
    assert_int_equal(count_out(), 2);
    forget_answers();
    put_delivered("T|", "r/t", true, 10000); /* waits behind the lanes of disk */
    assert_int_equal(count_out(), 2);
    /* Another route's store has nothing to do with it. */
    spool_route_open(bench->spool, "s");
    struct spool_put *other = make_put("S|", "s/p", 0);
    other->targets[0].route = "s";
    spool_put(bench->spool, other);
    EVENTUALLY(bench->entry_count == 3);
    for (size_t i = 0; i < LANES * EACH + 2; i++) { /* each gets its turn, oldest first */
        EVENTUALLY(bench->entry_count > i && bench->entries[i] != NULL);
        settle(i, VERDICT_ACCEPTED);
        size_t large = 0;
        count_out();
        for (size_t j = i + 1; j < bench->entry_count; j++)
            large += bench->entries[j]->message->body.length > length;
        assert_true(large <= 2);
    }
    EVENTUALLY(totals().queued == 0 && bench->answer_count == 2);
}

static void lanes_read_ahead_within_one_budget(void **state)
{
    enum { LANES = 20 };
    const size_t length = (size_t)SPOOL_LANE_WINDOW_BYTES / 4;
    char text[32], lane[32];
    int64_t bytes = 0;

    (void)state;
    start_plain();
    spool_route_close(bench->spool, "r"); /* all from disk */
    for (int i = 0; i < LANES * 4; i++) {
        snprintf(text, sizeof text, "M%d|", i);
        snprintf(lane, sizeof lane, "r/%d", i % LANES);
        spool_put(bench->spool, make_put(text, lane, length));
    }
    EVENTUALLY(bench->answer_count == LANES * 4);
    spool_route_open(bench->spool, "r");
    EVENTUALLY(bench->entry_count >= LANES);
    assert_true(count_out() >= LANES);
    for (size_t i = 0; i < bench->entry_count; i++)
        bytes += (int64_t)bench->entries[i]->message->body.length;
    assert_true(bytes <= SPOOL_AHEAD_BYTES + LANES * (int64_t)(2 * length));
    for (size_t i = 0; i < LANES * 4; i++) {
        EVENTUALLY(bench->entry_count > i);
        settle(i, VERDICT_ACCEPTED);
    }
    EVENTUALLY(totals().queued == 0);
}

static void a_lane_without_order_has_a_wider_window(void **state)
{
    char text[32];

    (void)state;
    start_plain();
    for (int i = 0; i < SPOOL_LANE_WINDOW_UNORDERED + 10; i++) {
        snprintf(text, sizeof text, "M%d|", i);
        put_stored(text, "r/*");
    }
    EVENTUALLY(bench->answer_count == SPOOL_LANE_WINDOW_UNORDERED + 10);
    pause_ms(20);
    drain();
    assert_int_equal(bench->entry_count, SPOOL_LANE_WINDOW_UNORDERED);
}

/* ---- delivered ---- */

static void delivered_is_answered_by_the_verdict(void **state)
{
    (void)state;
    start_plain();
    put_delivered("A|1", "r/p", true, 5000);
    EVENTUALLY(bench->entry_count == 1);
    assert_true(bench->entries[0]->transient);
    pause_ms(10);
    drain();
    assert_int_equal(bench->answer_count, 0);
    bench->entries[0]->verdict.answer = answer_bytes_new(span_of_string("MSH|ANSWER"));
    bench->entries[0]->verdict.answer_is_hl7 = true;
    settle(0, VERDICT_ACCEPTED);
    EVENTUALLY(bench->answer_count == 1);
    assert_int_equal(bench->answers[0]->outcome, SPOOL_SAFE);
    assert_string_equal(bench->answers[0]->verdict.code, "AA");
    assert_int_equal(totals().queued, 0);
    /* The record answers the repeat, with the store's answer. */
    put_delivered("A|1", "r/p", true, 5000);
    EVENTUALLY(bench->answer_count == 2);
    assert_true(bench->answers[1]->repeated);
    assert_string_equal(bench->answers[1]->verdict.code, "AA");
    assert_int_equal(bench->answers[1]->verdict.answer->length, 10);
    assert_int_equal(bench->entry_count, 1);
}

static void put_delivered_numbered(const char *text, long number)
{
    struct spool_put *put = make_put(text, "r/p", 0);

    put->delivered = put->wait = true;
    put->deadline_ms = clock_monotonic_ms(clock_system()) + 5000;
    put->sequence_set = true;
    put->sequence_key = strdup("listener/peer");
    put->sequence_last = number;
    spool_put(bench->spool, put);
}

/* A crash between the answer and the commit would lose the number, and the sender's next message would
 * be refused for its own. */
static void a_sequence_number_is_on_disk_before_the_answer(void **state)
{
    struct waiting_call sequence = {.work = work_sequence};

    (void)state;
    start_plain();
    put_delivered_numbered("A|1", 17);
    EVENTUALLY(bench->entry_count == 1);
    atomic_store(&bench->faulty->commit_delay_us, 200000);
    int before = atomic_load(&bench->faulty->commits);
    settle(0, VERDICT_ACCEPTED);
    EVENTUALLY(bench->answer_count == 1);
    assert_true(atomic_load(&bench->faulty->commits) > before);
    assert_int_equal(bench->answers[0]->outcome, SPOOL_SAFE);
    atomic_store(&bench->faulty->commit_delay_us, 0);
    assert_int_equal(run_call(&sequence), 0);
    assert_int_equal(sequence.sequence, 17);
}

/* The store has it: the sender need not wait for our disk. The number is written when that works. */
static void a_sequence_number_that_cannot_be_written_holds_up_no_answer(void **state)
{
    struct waiting_call sequence = {.work = work_sequence};

    (void)state;
    start_plain();
    put_delivered_numbered("A|1", 17);
    put_delivered_numbered("B|1", 18);
    EVENTUALLY(bench->entry_count == 2);
    atomic_store(&bench->faulty->commit_error, -EIO);
    settle(0, VERDICT_ACCEPTED);
    EVENTUALLY(bench->answer_count == 1 && is_failed());
    assert_int_equal(bench->answers[0]->outcome, SPOOL_SAFE);
    settle(1, VERDICT_ACCEPTED);
    EVENTUALLY(bench->answer_count == 2);
    assert_int_equal(bench->answers[1]->outcome, SPOOL_SAFE);
    atomic_store(&bench->faulty->commit_error, 0);
    EVENTUALLY(!is_failed());
    assert_int_equal(run_call(&sequence), 0);
    assert_int_equal(sequence.sequence, 18);
}

static void delivered_failures_are_tried_anew(void **state)
{
    static const struct {
        enum verdict_kind kind;
        enum spool_outcome outcome;
        enum reason reason;
    } cases[] = {{VERDICT_REFUSED, SPOOL_REFUSED, REASON_REFUSED_BY_STORE},
                 {VERDICT_RETRY, SPOOL_UNAVAILABLE, REASON_STORE_UNAVAILABLE},
                 {VERDICT_OPERATOR, SPOOL_UNAVAILABLE, REASON_STORE_UNAVAILABLE},
                 {VERDICT_UNKNOWN, SPOOL_UNKNOWN, REASON_ANSWER_DEADLINE},
                 {VERDICT_ACCEPTED, SPOOL_SAFE, REASON_NONE}};

    (void)state;
    start_plain();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_delivered("A|1", "r/p", true, 5000);
        EVENTUALLY(bench->entry_count == i + 1);
        settle(i, cases[i].kind);
        EVENTUALLY(bench->answer_count == i + 1);
        assert_int_equal(bench->answers[i]->outcome, cases[i].outcome);
        assert_int_equal(bench->answers[i]->reason, cases[i].reason);
        assert_false(bench->answers[i]->repeated);
    }
    assert_int_equal(totals().records, 1);
    assert_int_equal(totals().dead, 0);
}

/* What an earlier run had under way when it ended may be at the store: rows that it left, and for a while
 * whatever a sender repeats. */
static void an_earlier_runs_messages_are_in_doubt(void **state)
{
    (void)state;
    start_plain();
    struct spool_put *put = make_put("A|", "r/p", 0);
    put->message->connection = 99; /* of this run */
    spool_put(bench->spool, put);
    put_delivered("B|", "r/q", true, 20000);
    EVENTUALLY(bench->entry_count == 2);
    assert_false(bench->entries[0]->in_doubt);
    assert_false(bench->entries[1]->in_doubt); /* there was no earlier run */
    release(0);
    settle(1, VERDICT_REFUSED);
    EVENTUALLY(bench->entry_count == 3); /* the row again, read this time */
    assert_false(bench->entries[2]->in_doubt);
    settle(2, VERDICT_ACCEPTED);

    atomic_store(&bench->faulty->doubt_ms, 3600000);
    put_stored("C|", "r/p"); /* without a connection, as after a restart */
    put_delivered("B|", "r/q", true, 20000);
    EVENTUALLY(bench->entry_count == 5);
    size_t stored = bench->entries[3]->transient ? 4 : 3;
    assert_false(bench->entries[stored]->in_doubt); /* as it came in */
    assert_true(bench->entries[7 - stored]->in_doubt);
    release(stored);
    settle(7 - stored, VERDICT_REFUSED);
    EVENTUALLY(bench->entry_count == 6);
    assert_true(bench->entries[5]->in_doubt); /* as it is read */
    settle(5, VERDICT_ACCEPTED);

    atomic_store(&bench->faulty->doubt_ms, 1); /* the window has passed */
    pause_ms(2);
    put_delivered("B|", "r/q", true, 20000);
    EVENTUALLY(bench->entry_count == 7);
    assert_false(bench->entries[6]->in_doubt);
    settle(6, VERDICT_ACCEPTED);
}

static void a_copy_waits_for_the_first_ones_outcome(void **state)
{
    (void)state;
    start_plain();
    put_delivered("A|1", "r/p", true, 5000);
    put_delivered("A|1", "r/p", true, 5000);
    put_stored("A|1", "r/p"); /* by another listener, even */
    EVENTUALLY(bench->entry_count == 1);
    pause_ms(10);
    drain();
    assert_int_equal(bench->entry_count, 1);
    assert_int_equal(bench->answer_count, 0);
    settle(0, VERDICT_UNKNOWN);
    EVENTUALLY(bench->answer_count == 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(bench->answers[i]->outcome, SPOOL_UNKNOWN);
    assert_int_equal(totals().records, 0);
}

static void delivered_waits_behind_what_is_stored(void **state)
{
    char text[32];

    (void)state;
    start_plain();
    for (int i = 0; i < SPOOL_LANE_WINDOW + 5; i++) {
        snprintf(text, sizeof text, "S%d|", i);
        put_stored(text, "r/p");
    }
    put_delivered("T|", "r/p", true, 20000);
    put_stored("last|", "r/p");
    EVENTUALLY(bench->answer_count == SPOOL_LANE_WINDOW + 6);
    for (size_t i = 0; i < SPOOL_LANE_WINDOW + 7; i++) {
        EVENTUALLY(bench->entry_count > i);
        if (i > 0)
            assert_true(bench->entries[i]->id > bench->entries[i - 1]->id);
        if (i == SPOOL_LANE_WINDOW + 5)
            assert_string_equal(entry_text(i), "T|");
        if (i == SPOOL_LANE_WINDOW + 6)
            assert_string_equal(entry_text(i), "last|");
        if (i > 0)
            settle(i - 1, VERDICT_ACCEPTED);
    }
    settle(SPOOL_LANE_WINDOW + 6, VERDICT_ACCEPTED);
    EVENTUALLY(totals().queued == 0 && bench->answer_count == SPOOL_LANE_WINDOW + 7);
}

static void delivered_has_a_deadline_while_it_waits(void **state)
{
    (void)state;
    start_plain();
    spool_route_close(bench->spool, "r");
    put_delivered("A|1", "r/p", true, 30);
    put_delivered("B|1", "r/p", false, 20000); /* doesn't want to wait */
    EVENTUALLY(bench->answer_count == 2);
    assert_int_equal(bench->answers[0]->reason, REASON_STORE_UNAVAILABLE);
    assert_int_equal(bench->answers[1]->reason, REASON_ANSWER_DEADLINE);
    assert_int_equal(bench->answers[1]->outcome, SPOOL_UNAVAILABLE);
    assert_int_equal(bench->entry_count, 0);
}

static void delivered_to_two_needs_both(void **state)
{
    const struct spool_target targets[] = {{"r", "r/p"}, {"s", "s/p"}};

    (void)state;
    start_plain();
    spool_route_open(bench->spool, "s");
    for (size_t round = 0; round < 2; round++) {
        struct spool_put *put = spool_put_new(make_message("A|1", 0), targets, 2);
        put->reply_to = &bench->worker;
        put->on_answer = on_answer;
        put->delivered = put->wait = true;
        put->deadline_ms = clock_monotonic_ms(clock_system()) + 5000;
        spool_put(bench->spool, put);
        EVENTUALLY(bench->entry_count == 2 * round + 2);
        settle(2 * round, VERDICT_ACCEPTED);
        pause_ms(5);
        drain();
        assert_int_equal(bench->answer_count, round);
        settle(2 * round + 1, round == 0 ? VERDICT_RETRY : VERDICT_ACCEPTED);
        EVENTUALLY(bench->answer_count == round + 1);
        assert_int_equal(bench->answers[round]->outcome,
                         round == 0 ? SPOOL_UNAVAILABLE : SPOOL_SAFE);
    }
}

static void answers_that_are_owed_come_at_the_end(void **state)
{
    (void)state;
    start_plain();
    put_delivered("A|1", "r/p", true, 20000);
    EVENTUALLY(bench->entry_count == 1);
    put_delivered("A|1", "r/p", true, 20000);
    spool_free(&bench->spool);
    drain();
    assert_int_equal(bench->answer_count, 2);
    assert_int_equal(bench->answers[0]->reason, REASON_SHUTDOWN);
}

/* ---- lanes, routes, operators ---- */

static void a_kept_entry_is_written_down(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    EVENTUALLY(bench->entry_count == 1);
    struct spool_entry *entry = bench->entries[0];
    entry->verdict = (struct verdict){.kind = VERDICT_RETRY, .status = 503, .about_message = true};
    entry->verdict.answer = answer_bytes_new(span_of_string("busy"));
    entry->retry_due_wall_ms = 4711;
    entry->keep = true;
    spool_settle(bench->spool, entry);
    assert_null(entry->verdict.answer);
    entry->keep = false;
    release(0);
    EVENTUALLY(bench->entry_count == 2); /* after a second */
    assert_int_equal(bench->entries[1]->attempts, 1);
    assert_int_equal(bench->entries[1]->counted_attempts, 1);
    assert_int_equal(bench->entries[1]->due_wall_ms, 4711);
    settle(1, VERDICT_ACCEPTED);
    EVENTUALLY(totals().queued == 0);
}

static void closing_a_route_revokes(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    put_stored("B|", "r/p");
    EVENTUALLY(bench->entry_count == 2);
    spool_route_close(bench->spool, "r");
    EVENTUALLY(strcmp(bench->revoked, "r") == 0);
    release(0);
    release(1);
    put_stored("C|", "r/p");
    EVENTUALLY(bench->answer_count == 3);
    pause_ms(SPOOL_HOLD_MS + 50);
    drain();
    assert_int_equal(bench->entry_count, 2);
    spool_route_open(bench->spool, "r");
    EVENTUALLY(bench->entry_count == 5);
    assert_string_equal(entry_text(2), "A|");
    assert_string_equal(entry_text(3), "B|");
    assert_string_equal(entry_text(4), "C|");
}

/* Two reloads take a route away and put it back while one is in flight; it fails only then. */
static void nothing_overtakes_what_was_out_when_a_route_closed(void **state)
{
    static const char *const lanes[] = {"r/p", "r/*"};

    (void)state;
    start_plain();
    for (size_t i = 0; i < 2; i++) {
        put_stored(i == 0 ? "A|" : "U|", lanes[i]);
        EVENTUALLY(bench->entry_count == i + 1);
    }
    spool_route_close(bench->spool, "r");
    put_stored("B|1", lanes[0]);
    put_stored("B|2", lanes[1]);
    put_delivered("C|", lanes[0], true, 10000);
    spool_route_open(bench->spool, "r");
    put_stored("D|", lanes[0]);
    /* Only the lane without order goes on. */
    EVENTUALLY(bench->answer_count == 5 && bench->entry_count == 3);
    pause_ms(30);
    drain();
    assert_int_equal(bench->entry_count, 3);
    assert_string_equal(entry_text(2), "B|2");
    settle(0, VERDICT_RETRY);
    EVENTUALLY(bench->entry_count == 7);
    static const char *const order[] = {"A|", "B|1", "C|", "D|"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(entry_text(3 + i), order[i]);
}

static void fill_and_stop(size_t count)
{
    char text[32];

    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "M%zu|", i);
        put_stored(text, "r/p");
    }
    EVENTUALLY(bench->answer_count == count && bench->entry_count > 0);
    bench->entries[0]->stop_lane = true;
}

static void a_stopped_lane_resumes_by_replay(void **state)
{
    (void)state;
    start_plain();
    fill_and_stop(SPOOL_LANE_WINDOW + 8);
    uint64_t id = bench->entries[0]->id;
    settle(0, VERDICT_REFUSED);
    EVENTUALLY(totals().dead == 1);
    pause_ms(5);
    drain();
    assert_int_equal(bench->entry_count, SPOOL_LANE_WINDOW); /* nothing follows */
    struct waiting_call replay = {.work = work_replay, .id = id};
    assert_int_equal(run_call(&replay), 0);
    assert_int_equal(replay.new_id, id);
    EVENTUALLY(bench->entry_count == SPOOL_LANE_WINDOW + 1);
    assert_int_equal(bench->entries[SPOOL_LANE_WINDOW]->id, id);
    assert_true(bench->entries[SPOOL_LANE_WINDOW]->resumes_lane);
    settle(SPOOL_LANE_WINDOW, VERDICT_ACCEPTED);
    for (size_t i = 1; i < SPOOL_LANE_WINDOW; i++)
        settle(i, VERDICT_ACCEPTED);
    EVENTUALLY(bench->entry_count == SPOOL_LANE_WINDOW + 9);
    assert_false(bench->entries[SPOOL_LANE_WINDOW + 1]->resumes_lane);
}

/* The sink stops the lane until it hears of the replay: that must not be lost with a failed read. */
static void a_replayed_head_resumes_its_lane_after_a_failed_read(void **state)
{
    (void)state;
    start_plain();
    fill_and_stop(3);
    uint64_t id = bench->entries[0]->id;
    settle(0, VERDICT_REFUSED);
    EVENTUALLY(totals().dead == 1);
    atomic_store(&bench->faulty->lease_error, -EIO);
    struct waiting_call replay = {.work = work_replay, .id = id};
    assert_int_equal(run_call(&replay), 0);
    EVENTUALLY(bench->entry_count == 4);
    assert_int_equal(atomic_load(&bench->faulty->lease_error), 0);
    assert_int_equal(bench->entries[3]->id, id);
    assert_true(bench->entries[3]->resumes_lane);
}

static void a_stopped_lane_resumes_by_discard(void **state)
{
    (void)state;
    start_plain();
    fill_and_stop(3);
    struct waiting_call discard = {.work = work_discard, .id = bench->entries[1]->id};
    assert_int_equal(run_call(&discard), -EBUSY);
    discard.id = bench->entries[0]->id;
    settle(0, VERDICT_REFUSED);
    EVENTUALLY(totals().dead == 1);
    put_stored("M9|", "r/p");
    EVENTUALLY(bench->answer_count == 4);
    assert_int_equal(run_call(&discard), 0);
    EVENTUALLY(strcmp(bench->resumed, "r/p") == 0 && bench->entry_count == 4);
    put_stored("M0|", "r/p"); /* discarded: new again */
    EVENTUALLY(bench->answer_count == 5 && bench->entry_count == 5);
    assert_false(bench->answers[4]->repeated);
    discard.id = 4711;
    assert_int_equal(run_call(&discard), -ENOENT);
}

static void replay_in_a_lane_that_went_on(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    put_stored("B|", "r/p");
    EVENTUALLY(bench->entry_count == 2);
    struct waiting_call replay = {.work = work_replay, .id = bench->entries[0]->id};
    settle(0, VERDICT_REFUSED);
    EVENTUALLY(totals().dead == 1);
    assert_int_equal(run_call(&replay), -EXDEV);
    assert_int_equal(totals().dead, 1);
    replay.flag = true;
    assert_int_equal(run_call(&replay), 0);
    EVENTUALLY(bench->entry_count == 3);
    assert_int_equal(bench->entries[2]->id, replay.new_id);
    assert_string_equal(entry_text(2), "A|");
}

static void a_move_waits_for_what_is_out(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    put_stored("B|", "r/p");
    EVENTUALLY(bench->entry_count == 2);
    struct spool_call move = {.done = call_done, .reply_to = &bench->worker};
    spool_move(bench->spool, &move, "r", "s");
    EVENTUALLY(strcmp(bench->revoked, "r") == 0);
    release(1);
    pause_ms(5);
    drain();
    assert_int_equal(bench->calls_done, 0); /* one is in flight */
    settle(0, VERDICT_ACCEPTED);
    EVENTUALLY(bench->calls_done == 1);
    assert_int_equal(move.result, 1);
    spool_route_open(bench->spool, "s");
    EVENTUALLY(bench->entry_count == 3);
    assert_string_equal(bench->entries[2]->lane, "s/p");
    assert_string_equal(entry_text(2), "B|");
    put_stored("C|", "r/p"); /* the old route still works */
    EVENTUALLY(bench->entry_count == 4);
}

static void a_revoked_route_can_be_discarded(void **state)
{
    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    EVENTUALLY(bench->entry_count == 1);
    struct waiting_call discard = {.work = work_discard, .id = bench->entries[0]->id};
    discard.call.call = call_work;
    discard.call.done = call_done;
    discard.call.reply_to = &bench->worker;
    spool_call_revoked(bench->spool, &discard.call, "r");
    EVENTUALLY(strcmp(bench->revoked, "r") == 0);
    release(0);
    EVENTUALLY(bench->calls_done == 1);
    assert_int_equal(discard.call.result, 0);
    assert_int_equal(totals().queued, 0);
}

static void on_notice(void *context, struct spool_notice *notice)
{
    (void)context;
    bench->notice = notice; /* read after the settlement's answer, which comes behind it */
}

static void a_final_verdict_is_noticed(void **state)
{
    (void)state;
    start_plain();
    spool_set_notice(bench->spool, on_notice, NULL);
    struct spool_put *put = make_put("A|", "r/p", 0);
    put->message->connection = 99;
    spool_put(bench->spool, put);
    EVENTUALLY(bench->entry_count == 1);
    settle(0, VERDICT_REFUSED);
    EVENTUALLY(totals().dead == 1);
    assert_non_null(bench->notice);
    assert_int_equal(bench->notice->connection, 99);
    assert_int_equal(bench->notice->verdict.kind, VERDICT_REFUSED);
}

static void put_that_asks(const char *text, bool keep_verdict)
{
    struct spool_put *put = make_put(text, "r/p", 0);

    put->message->keep_verdict = keep_verdict;
    spool_put(bench->spool, put);
}

/* Its connection may be gone, and with retain 0 the row is. */
static void a_final_verdict_is_kept_for_repeats_that_ask(void **state)
{
    static const struct {
        bool keep;
        enum verdict_kind kind;
        const char *said, *code;
        enum verdict_kind kept;
        size_t answer;
    } cases[] = {
        {true, VERDICT_ACCEPTED, "AA", "AA", VERDICT_ACCEPTED, 10},
        {true, VERDICT_REFUSED, "AE", "AE", VERDICT_REFUSED, 10},
        {true, VERDICT_ACCEPTED, "", "AA", VERDICT_ACCEPTED, 0},
        {true, VERDICT_REFUSED, "", "AR", VERDICT_REFUSED, 0},
        {false, VERDICT_REFUSED, "AE", "", VERDICT_ACCEPTED, 0},
    };

    (void)state;
    start_plain();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16];
        snprintf(text, sizeof text, "A%zu|", i);
        put_that_asks(text, cases[i].keep);
        EVENTUALLY(bench->answer_count == 2 * i + 1 && bench->entry_count == i + 1);
        struct verdict *verdict = &bench->entries[i]->verdict;
        verdict->kind = cases[i].kind;
        snprintf(verdict->code, sizeof verdict->code, "%s", cases[i].said);
        if (cases[i].said[0] != '\0') {
            verdict->answer = answer_bytes_new(span_of_string("MSH|ANSWER"));
            verdict->answer_is_hl7 = true;
        }
        spool_settle(bench->spool, bench->entries[i]);
        EVENTUALLY(totals().queued == 0);
        put_that_asks(text, cases[i].keep);
        EVENTUALLY(bench->answer_count == 2 * i + 2);
        const struct spool_put *repeat = bench->answers[2 * i + 1];
        assert_int_equal(repeat->outcome, SPOOL_SAFE);
        assert_true(repeat->repeated);
        assert_string_equal(repeat->verdict.code, cases[i].code);
        assert_int_equal(repeat->verdict.kind, cases[i].kept);
        assert_int_equal(repeat->verdict.answer == NULL ? 0 : repeat->verdict.answer->length,
                         cases[i].answer);
    }
    assert_int_equal(totals().records, sizeof cases / sizeof cases[0]);
}

static void what_is_counted_shows(void **state)
{
    struct buffer text;

    (void)state;
    start_plain();
    put_stored("A|", "r/p");
    put_stored("A|", "r/p");
    EVENTUALLY(bench->answer_count == 2);
    pause_ms(SPOOL_REFRESH_MS + 200);
    buffer_init(&text, 1 << 20);
    assert_int_equal(metrics_render(bench->metrics, &text), 0);
    assert_int_equal(buffer_append_byte(&text, '\0'), 0);
    assert_non_null(strstr(text.data, "mllpgw_spool_queued{route=\"r\"} 1\n"));
    assert_non_null(strstr(text.data, "mllpgw_spool_retransmissions_total 1\n"));
    assert_non_null(strstr(text.data, "mllpgw_spool_rows_per_commit_count"));
    assert_non_null(strstr(text.data, "mllpgw_spool_failed 0\n"));
    buffer_free(&text);
}

/* ---- many threads ---- */

struct sender {
    pthread_t thread;
    struct mailbox mailbox;
    int number, answered, safe;
    bool waiting;
};

static void sender_answer(struct spool_put *put)
{
    struct sender *sender = put->context;

    sender->answered++;
    sender->safe += put->outcome == SPOOL_SAFE && !put->repeated;
    sender->waiting = false;
    spool_put_free(&put);
}

static void *sender_run(void *context)
{
    struct sender *sender = context;
    char text[32], lane[16];

    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "T%dM%d|", sender->number, i);
        snprintf(lane, sizeof lane, "r/%d", sender->number);
        struct spool_put *put = make_put(text, lane, 0);
        put->reply_to = &sender->mailbox;
        put->on_answer = sender_answer;
        put->context = sender;
        sender->waiting = true;
        spool_put(bench->spool, put);
        while (sender->waiting)
            if (mailbox_drain(&sender->mailbox) == 0)
                nanosleep(&(struct timespec){0, 20000}, NULL);
    }
    return NULL;
}

static void many_senders_and_one_sink(void **state)
{
    struct sender senders[4] = {{0}};
    size_t settled = 0;

    (void)state;
    start(&(struct spool_backend_settings){.window_ms = 86400000}, 64, 200);
    for (int i = 0; i < 4; i++) {
        senders[i].number = i;
        mailbox_init(&senders[i].mailbox, no_wake);
        pthread_create(&senders[i].thread, NULL, sender_run, &senders[i]);
    }
    while (settled < 800) {
        EVENTUALLY(bench->entry_count > settled);
        while (settled < bench->entry_count)
            settle(settled++, VERDICT_ACCEPTED);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_int_equal(senders[i].safe, 200);
    }
    EVENTUALLY(totals().queued == 0);
    assert_int_equal(totals().records, 800);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, stop)
    const struct CMUnitTest tests[] = {
        TEST(stored_is_answered_and_handed_out),
        TEST(a_group_is_one_commit),
        TEST(a_call_is_behind_the_puts_before_it),
        TEST(a_repeat_is_answered_from_the_record),
        TEST(copies_in_one_group_are_stored_once),
        TEST(without_control_id_nothing_is_a_repeat),
        TEST(several_targets_are_all_or_none),
        TEST(full_is_said_and_clears),
        TEST(a_message_that_never_fits_says_full_until_it_is_empty),
        TEST(a_failed_commit_makes_nothing_safe),
        TEST(settlements_outlive_a_failed_commit),
        TEST(a_full_disk_stops_messages_only),
        TEST(the_reserve_is_for_what_is_settled),
        TEST(without_any_room_settlements_wait),
        TEST(an_unwritable_put_fails_alone),
        TEST(an_answer_that_cannot_be_written_is_left_out),
        TEST(an_unwritable_settlement_blocks_nobody),
        TEST(an_unwritable_stop_comes_back_as_the_lanes_head),
        TEST(a_full_disk_is_called_full),
        TEST(the_window_bounds_what_is_out),
        TEST(large_messages_go_one_at_a_time),
        TEST(first_entries_have_a_budget),
        TEST(lanes_read_ahead_within_one_budget),
        TEST(a_lane_without_order_has_a_wider_window),
        TEST(delivered_is_answered_by_the_verdict),
        TEST(delivered_failures_are_tried_anew),
        TEST(a_sequence_number_is_on_disk_before_the_answer),
        TEST(a_sequence_number_that_cannot_be_written_holds_up_no_answer),
        TEST(an_earlier_runs_messages_are_in_doubt),
        TEST(a_copy_waits_for_the_first_ones_outcome),
        TEST(delivered_waits_behind_what_is_stored),
        TEST(delivered_has_a_deadline_while_it_waits),
        TEST(delivered_to_two_needs_both),
        TEST(answers_that_are_owed_come_at_the_end),
        TEST(a_kept_entry_is_written_down),
        TEST(closing_a_route_revokes),
        TEST(nothing_overtakes_what_was_out_when_a_route_closed),
        TEST(a_stopped_lane_resumes_by_replay),
        TEST(a_replayed_head_resumes_its_lane_after_a_failed_read),
        TEST(a_stopped_lane_resumes_by_discard),
        TEST(replay_in_a_lane_that_went_on),
        TEST(a_move_waits_for_what_is_out),
        TEST(a_revoked_route_can_be_discarded),
        TEST(a_final_verdict_is_noticed),
        TEST(a_final_verdict_is_kept_for_repeats_that_ask),
        TEST(what_is_counted_shows),
        TEST(many_senders_and_one_sink),
    };

    if (psa_crypto_init() != PSA_SUCCESS)
        return 1;
    return cmocka_run_group_tests_name("spool service", tests, NULL, NULL);
}

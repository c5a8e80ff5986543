/*
 * Records of safe messages: written in order of time, found through record_index.
 */
#include "spool/sqlite_private.h"

#include <errno.h>
#include <stdlib.h>

#define RECORD_DIGEST_BYTES 16 /* message_record_id(): no two messages of a listener share them */

/* ---- loading ---- */

/* A filter of another length is from before RECORD_FILTER_BYTES was changed. What it says can't be
 * read; one that always says "perhaps" finds the same records, until the run's window is over. */
static void filter_load(uint8_t filter[RECORD_FILTER_BYTES], struct span stored)
{
    if (stored.length == RECORD_FILTER_BYTES)
        memcpy(filter, stored.data, RECORD_FILTER_BYTES);
    else
        memset(filter, 0xff, RECORD_FILTER_BYTES);
}

static int runs_load(struct sqlite_spool *spool)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RUNS);
    int result;

    while ((result = statement_step(spool, statement)) == 1) {
        struct span filter = statement_span(statement, 2);
        struct record_run run = {sqlite3_column_int64(statement, 0),
                                 sqlite3_column_int64(statement, 1), malloc(RECORD_FILTER_BYTES)};
        result = -ENOMEM;
        if (run.filter != NULL) {
            filter_load(run.filter, filter);
            result = record_index_adopt(&spool->records, run);
        }
        if (result < 0) {
            sqlite3_reset(statement);
            return result;
        }
    }
    return result;
}

static int recent_load(struct sqlite_spool *spool)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORDS_AFTER);
    int result;

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, spool->records.recent_first - 1);
    while ((result = statement_step(spool, statement)) == 1) {
        struct span digest = statement_span(statement, 1);
        result = digest.length != RECORD_DIGEST_BYTES /* damaged: it will not be found */
                     ? 0
                     : record_index_add(&spool->records, record_key((const uint8_t *)digest.data),
                                        sqlite3_column_int64(statement, 0));
        if (result < 0) {
            sqlite3_reset(statement);
            return result;
        }
    }
    return result;
}

int records_load(struct sqlite_spool *spool)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORD_BOUNDS);

    int result = runs_load(spool);
    if (result == 0)
        result = recent_load(spool);
    if (result == 0)
        result = statement_step(spool, statement);
    if (result < 0)
        return result;
    spool->next_record = sqlite3_column_int64(statement, 0) + 1;
    sqlite3_reset(statement);
    /* Numbers that runs have used up are not used again, whatever was removed since. */
    if (spool->next_record < spool->records.recent_first)
        spool->next_record = spool->records.recent_first;
    return 0;
}

/* ---- runs ---- */

static int run_write_buckets(struct sqlite_spool *spool, int64_t first,
                             const struct buffer buckets[RECORD_BUCKETS])
{
    for (unsigned i = 0; i < RECORD_BUCKETS; i++) {
        sqlite3_stmt *statement = statement_get(spool, STATEMENT_BUCKET_INSERT);
        if (statement == NULL)
            return database_error(spool);
        if (buckets[i].length == 0)
            continue;
        sqlite3_bind_int64(statement, 1, first * RECORD_BUCKETS + i);
        statement_bind_span(statement, 2, buffer_span(&buckets[i]));
        int result = statement_run(spool, statement);
        if (result < 0)
            return result;
    }
    return 0;
}

static int run_write(struct sqlite_spool *spool, const struct record_run *run,
                     const struct buffer buckets[RECORD_BUCKETS])
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RUN_INSERT);

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, run->first);
    sqlite3_bind_int64(statement, 2, run->last);
    statement_bind_span(statement, 3, span_of(run->filter, RECORD_FILTER_BYTES));
    int result = statement_run(spool, statement);
    return result < 0 ? result : run_write_buckets(spool, run->first, buckets);
}

int records_begin(struct sqlite_spool *spool)
{
    struct buffer *buckets;
    struct record_run run = {.filter = NULL};

    spool->next_record_before = spool->next_record;
    if (spool->next_record - spool->records.recent_first < RECORD_RUN || spool->short_of_room)
        return 0;
    buckets = calloc(RECORD_BUCKETS, sizeof *buckets);
    if (buckets == NULL)
        return 0; /* later, then */
    for (size_t i = 0; i < RECORD_BUCKETS; i++)
        buffer_init(&buckets[i], SIZE_MAX / 2);
    int64_t end = spool->records.recent_first + 65536;
    int result = record_index_build(
        &spool->records, end < spool->next_record ? end : spool->next_record, &run, buckets);
    if (result == 0) {
        result = run_write(spool, &run, buckets);
        if (result == 0)
            spool->run = run;
        else
            free(run.filter);
    } else {
        result = 0;
    }
    for (size_t i = 0; i < RECORD_BUCKETS; i++)
        buffer_free(&buckets[i]);
    free(buckets);
    return result;
}

void records_committed(struct sqlite_spool *spool)
{
    struct record_run run = spool->run;

    spool->run.filter = NULL;
    /* Without memory for one more run its records stay recent, and it is made again. */
    if (run.filter != NULL)
        (void)!record_index_adopt(&spool->records, run);
}

void records_rollback(struct sqlite_spool *spool)
{
    free(spool->run.filter);
    spool->run.filter = NULL;
    if (spool->next_record != spool->next_record_before)
        record_index_forget(&spool->records, spool->next_record_before);
    spool->next_record = spool->next_record_before;
}

/* ---- finding ---- */

struct record_search {
    struct sqlite_spool *spool;
    const uint8_t *digest;
    int64_t sequence; /* of the one found */
};

/* 1: this is it; 0: go on; or an error. */
static int record_compare(void *context, int64_t sequence)
{
    struct record_search *search = context;
    sqlite3_stmt *statement = statement_get(search->spool, STATEMENT_RECORD_GET);

    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, sequence);
    int result = statement_step(search->spool, statement);
    if (result <= 0)
        return result;
    struct span digest = statement_span(statement, 0);
    bool same = digest.length == RECORD_DIGEST_BYTES &&
                memcmp(digest.data, search->digest, RECORD_DIGEST_BYTES) == 0;
    sqlite3_reset(statement);
    if (same)
        search->sequence = sequence;
    return same ? 1 : 0;
}

static int run_search(struct sqlite_spool *spool, const struct record_run *run, uint64_t key,
                      struct record_search *search)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_BUCKET_GET);

    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, run->first * RECORD_BUCKETS + record_bucket_of(key));
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result;
    result = record_bucket_search(statement_span(statement, 0), run, key, record_compare, search);
    sqlite3_reset(statement);
    return result;
}

/* 1: found, its sequence number in search; 0: there is none. */
static int record_search(struct sqlite_spool *spool, const uint8_t *digest,
                         struct record_search *search)
{
    uint64_t key = record_key(digest);

    *search = (struct record_search){spool, digest, 0};
    int result = record_index_recent(&spool->records, key, record_compare, search);
    for (size_t i = spool->records.run_count; i > 0 && result == 0; i--)
        if (record_run_may_hold(&spool->records.runs[i - 1], key))
            result = run_search(spool, &spool->records.runs[i - 1], key, search);
    if (result == 0)
        memcpy(spool->absent, digest, RECORD_DIGEST_BYTES);
    spool->absent_known = result == 0;
    return result;
}

/* A record's answer belongs to the digest, not to a row, peer or lane. */
static struct seal_place record_place(int64_t sequence, const void *digest)
{
    return (struct seal_place){'r', sequence, "", "", "", span_of(digest, RECORD_DIGEST_BYTES)};
}

static int record_read(struct sqlite_spool *spool, sqlite3_stmt *statement, int64_t sequence,
                       struct spool_record *ret_record)
{
    struct spool_record record = {.recorded_ms = sqlite3_column_int64(statement, 1),
                                  .answer_is_hl7 = sqlite3_column_int(statement, 3) != 0};
    struct span code = statement_span(statement, 2);
    char *plain = NULL;
    size_t length;

    if (code.length < sizeof record.code && code.length > 0)
        memcpy(record.code, code.data, code.length);
    if (sqlite3_column_int64(statement, 4) != 0) {
        const struct seal_place place = record_place(sequence, sqlite3_column_blob(statement, 0));
        int result = keys_unseal(spool, &place, sqlite3_column_int64(statement, 4),
                                 statement_span(statement, 5), &plain, &length);
        if (result == -ENOMEM)
            return result;
        /* A damaged answer doesn't make the message less safe: the repeat is told so without it. */
        if (result == 0)
            record.answer = answer_bytes_new(span_of(plain, length));
        free(plain);
        record.answer_is_hl7 = record.answer_is_hl7 && record.answer != NULL;
    }
    *ret_record = record;
    return 0;
}

int sqlite_record_find(struct spool_backend *backend, const uint8_t digest[32], int64_t now_ms,
                       struct spool_record *ret_record)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct record_search search;

    int result = record_search(spool, message_record_id(digest), &search);
    if (result <= 0)
        return result == 0 ? -ENOENT : result;
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORD_FULL);
    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, search.sequence);
    result = statement_step(spool, statement);
    if (result <= 0)
        return result == 0 ? -EIO : result;
    if (now_ms - sqlite3_column_int64(statement, 1) >= spool->settings.window_ms)
        result = -ENOENT;
    else
        result = record_read(spool, statement, search.sequence, ret_record);
    sqlite3_reset(statement);
    return result;
}

/* ---- removing ---- */

/* answer_epoch: 0, or what its answer is sealed with. */
static int record_delete(struct sqlite_spool *spool, int64_t sequence, int64_t answer_epoch)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORD_DELETE);

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, sequence);
    int result = statement_run(spool, statement);
    if (result < 0)
        return result;
    if (answer_epoch != 0)
        keys_forget(spool, answer_epoch, 'r', sequence);
    spool->state.records--;
    return 0;
}

int records_remove(struct sqlite_spool *spool, struct span digest)
{
    struct record_search search;

    int result = record_search(spool, (const uint8_t *)digest.data, &search);
    if (result <= 0)
        return result;
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORD_FULL);
    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, search.sequence);
    result = statement_step(spool, statement);
    if (result <= 0)
        return result;
    int64_t answer_epoch = sqlite3_column_int64(statement, 4);
    sqlite3_reset(statement);
    return record_delete(spool, search.sequence, answer_epoch);
}

static int run_drop_first(struct sqlite_spool *spool)
{
    int64_t first = spool->records.runs[0].first;
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RUN_DELETE);

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, first);
    int result = statement_run(spool, statement);
    statement = statement_get(spool, STATEMENT_BUCKETS_DELETE);
    if (result < 0 || statement == NULL)
        return result < 0 ? result : database_error(spool);
    sqlite3_bind_int64(statement, 1, first * RECORD_BUCKETS);
    sqlite3_bind_int64(statement, 2, (first + 1) * RECORD_BUCKETS);
    result = statement_run(spool, statement);
    if (result == 0) /* rolled back or not: all that it leads to is past the window */
        record_index_drop_first(&spool->records);
    return result;
}

/* Oldest first, as they were written. A time in the far future (a clock that was wrong) must not
 * hold up the others. */
static int record_purge_first(struct sqlite_spool *spool, int64_t now_ms)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORD_FIRST);
    int64_t window = spool->settings.window_ms;

    int result = statement_step(spool, statement);
    if (result <= 0)
        return result;
    int64_t sequence = sqlite3_column_int64(statement, 0);
    int64_t age = now_ms - sqlite3_column_int64(statement, 1);
    int64_t epoch = sqlite3_column_int64(statement, 2);
    sqlite3_reset(statement);
    if (age < window && age >= -window - 86400000)
        return 0;
    result = record_delete(spool, sequence, epoch);
    if (result == 0 && spool->records.run_count > 0 && sequence >= spool->records.runs[0].last)
        result = run_drop_first(spool);
    return result < 0 ? result : 1;
}

int records_purge(struct sqlite_spool *spool, int64_t now_ms, unsigned limit)
{
    unsigned count = 0;

    while (count < limit) {
        int result = record_purge_first(spool, now_ms);
        if (result < 0)
            return result;
        if (result == 0)
            break;
        count++;
    }
    return (int)count;
}

/* ---- writing ---- */

static int record_insert(struct sqlite_spool *spool, int64_t sequence,
                         const struct message *message, const struct verdict *verdict,
                         int64_t now_ms)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORD_INSERT);
    const struct answer_bytes *answer = verdict == NULL ? NULL : verdict->answer;
    int result = 0;

    if (answer != NULL) {
        const struct seal_place place = record_place(sequence, message_record_id(message->digest));
        result = keys_seal(spool, &place, span_of(answer->data, answer->length));
    }
    if (result == 0 && statement == NULL)
        result = database_error(spool);
    if (result < 0)
        return result;
    sqlite3_clear_bindings(statement); /* most have neither code nor answer */
    sqlite3_bind_int64(statement, 1, sequence);
    statement_bind_span(statement, 2,
                        span_of(message_record_id(message->digest), RECORD_DIGEST_BYTES));
    sqlite3_bind_int64(statement, 3, now_ms);
    if (verdict != NULL && verdict->code[0] != '\0')
        statement_bind_text(statement, 4, verdict->code);
    if (answer != NULL) {
        sqlite3_bind_int(statement, 5, verdict->answer_is_hl7);
        sqlite3_bind_int64(statement, 6, keys_current(spool)->id);
        statement_bind_span(statement, 7, buffer_span(&spool->scratch));
    }
    return statement_run(spool, statement);
}

int sqlite_record_put(struct spool_backend *backend, const struct message *message,
                      const struct verdict *verdict, int64_t now_ms)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    const uint8_t *id = message_record_id(message->digest);
    int64_t sequence = spool->next_record;
    int result = 0;

    /* One that is past the window may still be there; mostly it was looked for a moment ago. */
    if (!spool->absent_known || memcmp(spool->absent, id, RECORD_DIGEST_BYTES) != 0)
        result = records_remove(spool, span_of(id, RECORD_DIGEST_BYTES));
    spool->absent_known = false;
    if (result == 0)
        result = record_insert(spool, sequence, message, verdict, now_ms);
    if (result == 0)
        result = record_index_add(&spool->records, record_key(id), sequence);
    if (result < 0) {
        spool->failed = true;
        return result;
    }
    spool->next_record++;
    spool->state.records++;
    return 0;
}

/* ---- sealing anew ---- */

static int record_reseal(struct sqlite_spool *spool, int64_t sequence)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORD_FULL);
    struct spool_record record = {0};
    struct message message = {.references = 1}; /* only its digest is looked at */
    struct verdict verdict = {0};

    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, sequence);
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result;
    int64_t recorded_ms = sqlite3_column_int64(statement, 1);
    int64_t epoch = sqlite3_column_int64(statement, 4);
    if (sqlite3_column_bytes(statement, 0) != RECORD_DIGEST_BYTES) { /* damaged, and stays so */
        sqlite3_reset(statement);
        return 0;
    }
    memcpy(message.digest + MESSAGE_STABLE_ID_BYTES, sqlite3_column_blob(statement, 0),
           RECORD_DIGEST_BYTES);
    result = record_read(spool, statement, sequence, &record);
    sqlite3_reset(statement);
    if (result < 0)
        return result;
    memcpy(verdict.code, record.code, sizeof verdict.code);
    verdict.answer = record.answer;
    verdict.answer_is_hl7 = record.answer_is_hl7;
    result = record_insert(spool, sequence, &message, &verdict, recorded_ms);
    if (result == 0)
        keys_forget(spool, epoch, 'r', sequence);
    spool_record_clear(&record);
    return result;
}

/* Answers that hang on an older key: looks at no more than limit records a call. How many it looked
 * at; 0: all have been. */
int records_reseal(struct sqlite_spool *spool, unsigned limit)
{
    unsigned count = 0;

    for (; count < limit; count++) {
        sqlite3_stmt *statement = statement_get(spool, STATEMENT_RECORDS_AFTER);
        if (statement != NULL)
            sqlite3_bind_int64(statement, 1, spool->reseal.record);
        int result = statement_step(spool, statement);
        if (result <= 0)
            return result < 0 ? result : (int)count;
        int64_t sequence = sqlite3_column_int64(statement, 0);
        const struct sqlite_epoch *epoch = keys_epoch(spool, sqlite3_column_int64(statement, 2));
        sqlite3_reset(statement);
        if (epoch != NULL && !epoch->current_key)
            result = record_reseal(spool, sequence);
        if (result < 0)
            return result;
        spool->reseal.record = sequence;
    }
    return (int)count;
}

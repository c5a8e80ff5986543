/*
 * What is done in the background: rows and records that are past their time go, what hangs on an
 * older key is sealed anew, the file shrinks.
 */
#include "spool/sqlite_private.h"

#include <errno.h>

#define VACUUM_PAGES 512
#define VACUUM_FROM 4096 /* free pages: below that the file stays as large as it is */
/* On a full disk: all goes back, in transactions that are small enough for it. */
#define VACUUM_PAGES_SHORT 64

/* ---- purge ---- */

static int purge_kept_one(struct sqlite_spool *spool, int64_t before_ms)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_OUTCOME_KEPT);
    struct row_view view;

    if (statement != NULL) {
        sqlite3_bind_int64(statement, 1, before_ms);
        sqlite3_bind_int64(statement, 2, 1);
    }
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result;
    int64_t id = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    result = row_get(spool, id, &view);
    if (result == 0)
        result = row_remove(spool, &view);
    else if (result == -ENOENT) /* damage: without its message it is nothing */
        result = outcome_delete(spool, id);
    view_done(spool);
    return result < 0 ? result : 1;
}

static int purge_kept(struct sqlite_spool *spool, int64_t now_ms, unsigned limit)
{
    unsigned count = 0;

    while (count < limit && spool->totals.kept > 0) {
        int result = purge_kept_one(spool, now_ms - spool->settings.retain_ms);
        if (result < 0)
            return result;
        if (result == 0)
            break;
        count++;
    }
    return (int)count;
}

/* Looks at no more than limit messages a call; how many it looked at, 0 when all have been. */
static int reseal_messages(struct sqlite_spool *spool, unsigned limit)
{
    struct row_view view;
    unsigned count = 0;

    for (; count < limit; count++) {
        sqlite3_stmt *statement = statement_get(spool, STATEMENT_MESSAGE_AFTER);
        if (statement != NULL)
            sqlite3_bind_int64(statement, 1, spool->reseal.message);
        int result = statement_step(spool, statement);
        if (result <= 0)
            return result < 0 ? result : (int)count;
        int64_t id = sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
        result = row_get(spool, id, &view);
        if (result < 0)
            return result;
        const struct sqlite_epoch *body = keys_epoch(spool, view.epoch);
        const struct sqlite_epoch *answer = keys_epoch(spool, view.answer_epoch);
        bool placeless = view.lane == spool->no_lane; /* what hangs on its lane can't be opened */
        if (placeless)
            result = 0;
        else if ((body != NULL && !body->current_key) || (answer != NULL && !answer->current_key))
            result = row_reseal(spool, &view, view.lane);
        view_done(spool);
        if (result < 0)
            return result;
        spool->reseal.message = id;
    }
    return (int)count;
}

static int reseal(struct sqlite_spool *spool, unsigned limit)
{
    if (spool->reseal.done || spool->short_of_room || !keys_want_reseal(spool))
        return 0;
    int messages = reseal_messages(spool, limit);
    if (messages != 0)
        return messages;
    int records = records_reseal(spool, limit);
    if (records == 0) {
        /* Nothing is sealed with an older key meanwhile: what still hangs on one is damaged, and stays
         * as it is; or is not there, and was counted wrongly. */
        spool->reseal.done = true;
        spool->recount.wanted = keys_want_reseal(spool);
    }
    return records;
}

/* What is sealed with older keys is sealed anew; keys and epochs that seal nothing are known, and the
 * latter forgotten. */
static int keys_tend(struct sqlite_spool *spool, unsigned limit)
{
    int count = recount(spool, limit);

    if (count == 0)
        count = reseal(spool, limit);
    if (count == 0)
        count = recount(spool, limit);
    return count != 0 ? count : keys_purge(spool);
}

/* The file shrinks once much of it is free; a little is left for what comes next. */
static int vacuum(struct sqlite_spool *spool)
{
    sqlite3_stmt *statement = NULL;
    int64_t free_pages = 0, pages = 0;
    char text[64];

    static const char *const questions[] = {"PRAGMA freelist_count", "PRAGMA page_count"};
    int64_t *const answers[] = {&free_pages, &pages};
    for (size_t i = 0; i < 2; i++) {
        if (sqlite3_prepare_v2(spool->database, questions[i], -1, &statement, NULL) == SQLITE_OK &&
            sqlite3_step(statement) == SQLITE_ROW)
            *answers[i] = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
    }
    int slice = spool->short_of_room ? VACUUM_PAGES_SHORT : VACUUM_PAGES;
    if (free_pages < slice ||
        (!spool->short_of_room && (free_pages < VACUUM_FROM || free_pages < pages / 4)))
        return 0;
    sqlite3_snprintf(sizeof text, text, "PRAGMA incremental_vacuum(%d)", slice);
    int result = database_execute(spool, text);
    return result < 0 ? result : slice;
}

int sqlite_purge(struct spool_backend *backend, int64_t now_ms, unsigned limit)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    int count = purge_kept(spool, now_ms, limit);

    if (count < 0 || (unsigned)count == limit)
        return count;
    int records = records_purge(spool, now_ms, limit - (unsigned)count);
    if (records < 0)
        return records;
    count += records;
    if (count > 0)
        return count;
    count = keys_tend(spool, limit);
    if (count != 0)
        return count;
    count = lanes_purge(spool);
    return count < 0 ? count : vacuum(spool);
}

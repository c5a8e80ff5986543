/*
 * Epochs' counters: with the transaction, and checked against the rows.
 *
 * A counter that is too low would have a key called unneeded, and an epoch forgotten, while messages
 * hang on it; one that is too high would keep a key for ever. So before an epoch is forgotten, and
 * when a counter can't be right, all rows and records are counted: there is no index by epoch (every
 * message would pay for it), so it is a walk, in slices between which the spool works on. What comes
 * or goes meanwhile where the walk has been is noted.
 */
#include "spool/sqlite_private.h"

#include "base/log.h"

#include <errno.h>

/* ---- with the transaction ---- */

int keys_flush(struct sqlite_spool *spool)
{
    int result = 0;

    for (size_t i = 0; i < spool->epoch_count && result == 0; i++) {
        const struct sqlite_epoch *epoch = &spool->epochs[i];
        if (epoch->sealed == epoch->sealed_before)
            continue;
        sqlite3_stmt *statement = statement_get(spool, STATEMENT_EPOCH_UPDATE);
        if (statement == NULL)
            return database_error(spool);
        sqlite3_bind_int64(statement, 1, epoch->id);
        sqlite3_bind_int64(statement, 2, epoch->sealed);
        result = statement_run(spool, statement);
    }
    return result;
}

void keys_committed(struct sqlite_spool *spool)
{
    for (size_t i = 0; i < spool->epoch_count; i++) {
        struct sqlite_epoch *epoch = &spool->epochs[i];
        epoch->sealed_before = epoch->sealed;
        epoch->recounted_before = epoch->recounted;
        epoch->empty_before = epoch->empty;
    }
    spool->recount_before = spool->recount;
    spool->reseal_before = spool->reseal;
}

void keys_rollback(struct sqlite_spool *spool)
{
    for (size_t i = 0; i < spool->epoch_count; i++) {
        struct sqlite_epoch *epoch = &spool->epochs[i];
        epoch->sealed = epoch->sealed_before;
        epoch->recounted = epoch->recounted_before;
        epoch->empty = epoch->empty_before;
    }
    spool->recount = spool->recount_before;
    spool->reseal = spool->reseal_before;
}

/* ---- the look ---- */

int recount_epoch(struct sqlite_spool *spool, int64_t epoch, int64_t *ret_sealed)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_EPOCH_COUNT);

    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, epoch);
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result;
    *ret_sealed = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return 0;
}

/* Whether the walk has been there, or will not come there. */
static bool is_behind(const struct sqlite_recount *walk, char purpose, int64_t id)
{
    if (purpose == 'r')
        return id <= walk->record || id >= walk->end_record;
    return id <= walk->message || id >= walk->end_message;
}

void recount_note(const struct sqlite_spool *spool, struct sqlite_epoch *epoch, char purpose,
                  int64_t id, int direction)
{
    if (spool->recount.running && is_behind(&spool->recount, purpose, id))
        epoch->recounted += direction;
}

/* ---- the walk ---- */

static bool is_due(const struct sqlite_spool *spool)
{
    if (spool->recount.abandoned || spool->recount.wanted)
        return !spool->recount.abandoned;
    for (size_t i = 0; i < spool->epoch_count; i++) {
        const struct sqlite_epoch *epoch = &spool->epochs[i];
        bool last = i + 1 == spool->epoch_count;
        if (epoch->sealed < 0 || (epoch->sealed == 0 && !epoch->empty && !last))
            return true; /* it isn't known, or it is about to be forgotten */
    }
    return false;
}

static void begin(struct sqlite_spool *spool)
{
    spool->recount = (struct sqlite_recount){
        .running = true, .end_message = spool->next_id, .end_record = spool->next_record};
    for (size_t i = 0; i < spool->epoch_count; i++)
        spool->epochs[i].recounted = 0;
}

static void end(struct sqlite_spool *spool)
{
    spool->recount = (struct sqlite_recount){.running = false};
    for (size_t i = 0; i < spool->epoch_count; i++) {
        struct sqlite_epoch *epoch = &spool->epochs[i];
        if (epoch->sealed != epoch->recounted)
            LOG_EVENT(LOG_LEVEL_WARNING, "spool-key-recounted", LOG_STRING("key", epoch->key_id),
                      LOG_INTEGER("counted", epoch->sealed), LOG_INTEGER("found", epoch->recounted),
                      LOG_STRING("consequence", "what was found counts"));
        epoch->sealed = epoch->recounted < 0 ? 1 : epoch->recounted; /* 1: never forgotten */
        epoch->empty = epoch->recounted == 0;
    }
}

static void found(struct sqlite_spool *spool, int64_t epoch_id)
{
    struct sqlite_epoch *epoch = keys_epoch(spool, epoch_id);

    if (epoch != NULL)
        epoch->recounted++;
}

/* Columns: where, then one or two epochs (0 or NULL: nothing is sealed). How many rows, or an error. */
static int walk(struct sqlite_spool *spool, enum statement which, int64_t *at, int64_t below,
                unsigned limit)
{
    sqlite3_stmt *statement = statement_get(spool, which);
    int count = 0, result;

    if (statement != NULL) {
        sqlite3_bind_int64(statement, 1, *at);
        sqlite3_bind_int64(statement, 2, below);
        sqlite3_bind_int64(statement, 3, limit);
    }
    while ((result = statement_step(spool, statement)) == 1) {
        *at = sqlite3_column_int64(statement, 0);
        for (int column = 1; column < sqlite3_column_count(statement); column++)
            found(spool, sqlite3_column_int64(statement, column));
        count++;
    }
    return result < 0 ? result : count;
}

/* A page that can't be read, of some old message perhaps, must not stop the spool: until the next start
 * no epoch is forgotten, and no key is said to be unneeded that may not be. */
static void abandon(struct sqlite_spool *spool)
{
    LOG_EVENT(LOG_LEVEL_ERROR, "spool-keys-uncounted",
              LOG_STRING("reason", sqlite3_errmsg(spool->database)),
              LOG_STRING("consequence", "keys are kept that may not be needed any more"));
    spool->recount = spool->recount_before = (struct sqlite_recount){.abandoned = true};
}

int recount(struct sqlite_spool *spool, unsigned limit)
{
    struct sqlite_recount *at = &spool->recount;

    if (!at->running) {
        if (!is_due(spool))
            return 0;
        begin(spool);
    }
    int count = walk(spool, STATEMENT_RECOUNT_MESSAGES, &at->message, at->end_message, limit);
    if (count == 0)
        count = walk(spool, STATEMENT_RECOUNT_RECORDS, &at->record, at->end_record, limit);
    if (count == 0)
        end(spool);
    if (count < 0 && count != -ENOMEM)
        abandon(spool);
    return count;
}

/* ---- what hangs on which key ---- */

bool keys_want_reseal(const struct sqlite_spool *spool)
{
    for (size_t i = 0; i < spool->epoch_count; i++)
        if (!spool->epochs[i].current_key && spool->epochs[i].sealed != 0)
            return true;
    return false;
}

/* Forgets epochs that seal nothing any more: as many as there were starts, otherwise. Only what a
 * recount has found to be so: an older epoch never seals again, so it stays so. */
int keys_purge(struct sqlite_spool *spool)
{
    size_t kept = 0;
    int result = 0;

    for (size_t i = 0; i < spool->epoch_count; i++) {
        struct sqlite_epoch *epoch = &spool->epochs[i];
        bool last = i + 1 == spool->epoch_count;
        if (result == 0 && !last && epoch->empty && epoch->sealed == 0 &&
            epoch->sealed_before == 0) {
            sqlite3_stmt *statement = statement_get(spool, STATEMENT_EPOCH_DELETE);
            if (statement != NULL)
                sqlite3_bind_int64(statement, 1, epoch->id);
            result =
                statement_run(spool, statement); /* without a statement: what was wrong with it */
            if (result == 0) {
                /* Should this be rolled back, the row stays without harm until the next start. */
                seal_key_destroy(&epoch->key);
                continue;
            }
        }
        spool->epochs[kept++] = *epoch;
    }
    spool->epoch_count = kept;
    return result;
}

/* What isn't known is not nothing: the key may be needed. */
int sqlite_keys(struct spool_backend *backend, spool_keys_each *each, void *context)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    const char *id = spool->key_ids;

    for (size_t i = 0; i < spool->key_count; i++, id += strlen(id) + 1) {
        int64_t sealed = 0;
        for (size_t e = 0; e < spool->epoch_count; e++)
            if (strcmp(spool->epochs[e].key_id, id) == 0)
                sealed += spool->epochs[e].sealed < 0 ? 1 : spool->epochs[e].sealed;
        each(context, id, i == 0, (uint64_t)sealed);
    }
    return 0;
}

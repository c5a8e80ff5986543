/*
 * The spool in SQLite: opening, closing, transactions. sqlite_private.h says what is where.
 */
#include "spool/sqlite_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- transactions ---- */

static void sqlite_rollback(struct spool_backend *backend)
{
    struct sqlite_spool *spool = sqlite_of(backend);

    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        if (spool->statements[i] != NULL)
            sqlite3_reset(spool->statements[i]);
    /* After some errors (a full disk) SQLite has rolled back by itself. */
    if (sqlite3_get_autocommit(spool->database) == 0)
        sqlite3_exec(spool->database, "ROLLBACK", NULL, NULL, NULL);
    lanes_rollback(spool);
    keys_rollback(spool);
    records_rollback(spool);
    leases_rollback(&spool->leases);
    fresh_forget(spool, 0);
    spool->totals = spool->totals_before;
    spool->state = spool->state_written; /* next_id stays: an id that was seen is not used again */
    spool->failed = false;
}

static int sqlite_begin(struct spool_backend *backend)
{
    struct sqlite_spool *spool = sqlite_of(backend);

    spool->failed = false;
    int result = statement_run(spool, statement_get(spool, STATEMENT_BEGIN));
    if (result < 0)
        return result;
    spool->totals_before = spool->totals;
    result = records_begin(spool);
    if (result < 0)
        sqlite_rollback(backend);
    return result;
}

static int state_flush(struct sqlite_spool *spool)
{
    if (memcmp(&spool->state, &spool->state_written, sizeof spool->state) == 0)
        return 0;
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_STATE_UPDATE);
    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, spool->state.next_id);
    sqlite3_bind_int64(statement, 2, spool->state.records);
    return statement_run(spool, statement);
}

static int sqlite_commit(struct spool_backend *backend)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    int result = spool->failed ? -EIO : lanes_flush(spool);

    if (result == 0)
        result = keys_flush(spool);
    if (result == 0)
        result = state_flush(spool);
    if (result == 0)
        result = statement_run(spool, statement_get(spool, STATEMENT_COMMIT));
    if (result < 0) {
        sqlite_rollback(backend);
        return result;
    }
    lanes_committed(spool);
    keys_committed(spool);
    records_committed(spool);
    leases_commit(&spool->leases);
    spool->state_written = spool->state;
    return 0;
}

/* ---- small things ---- */

int sqlite_digest(struct spool_backend *backend, struct message *message)
{
    const struct span parts[] = {span_of_string(message->peer), message->control_id, message->body};

    int result = digest_compute(sqlite_of(backend)->digest_key, parts, 3, message->digest);

    if (result == 0)
        message_fold_listener(message);
    return result;
}

static uint64_t sqlite_reserve_id(struct spool_backend *backend)
{
    return (uint64_t)sqlite_of(backend)->next_id++;
}

static int sqlite_sequence_get(struct spool_backend *backend, const char *key, long *ret_last)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_SEQUENCE_GET);

    *ret_last = -1;
    if (statement != NULL)
        statement_bind_text(statement, 1, key);
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result;
    *ret_last = (long)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return 0;
}

static int sqlite_sequence_put(struct spool_backend *backend, const char *key, long last)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_SEQUENCE_PUT);

    if (statement == NULL)
        return database_error(spool);
    statement_bind_text(statement, 1, key);
    sqlite3_bind_int64(statement, 2, last);
    return statement_run(spool, statement);
}

static void sqlite_configure(struct spool_backend *backend,
                             const struct spool_backend_settings *settings)
{
    struct sqlite_spool *spool = sqlite_of(backend);

    spool->settings.maximum_bytes = settings->maximum_bytes;
    spool->settings.retain_ms = settings->retain_ms;
    spool->settings.window_ms = settings->window_ms;
}

/* ---- close ---- */

static void sqlite_spool_free(struct sqlite_spool *spool)
{
    keys_close(spool);
    lanes_free(spool);
    leases_free(&spool->leases);
    record_index_free(&spool->records);
    free(spool->run.filter);
    buffer_free(&spool->scratch);
    database_close(spool);
    reserve_close(spool);
    free(spool);
}

static void sqlite_close(struct spool_backend *backend)
{
    struct sqlite_spool *spool = sqlite_of(backend);

    if (sqlite3_get_autocommit(spool->database) == 0)
        sqlite_rollback(backend);
    sqlite_spool_free(spool);
}

/* ---- open ---- */

static int64_t sqlite_doubt_ms(const struct spool_backend *backend)
{
    const struct sqlite_spool *spool = (const struct sqlite_spool *)backend;

    return spool->created ? 0 : spool->settings.window_ms;
}

static const struct spool_operations sqlite_operations = {
    .close = sqlite_close,
    .configure = sqlite_configure,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .room = sqlite_room,
    .disk_room = sqlite_disk_room,
    .make_room = sqlite_make_room,
    .reserve = sqlite_reserve,
    .digest = sqlite_digest,
    .doubt_ms = sqlite_doubt_ms,
    .reserve_id = sqlite_reserve_id,
    .put = sqlite_put,
    .record_put = sqlite_record_put,
    .record_find = sqlite_record_find,
    .lease = sqlite_lease,
    .settle = sqlite_settle,
    .release = sqlite_release,
    .replay = sqlite_replay,
    .discard = sqlite_discard,
    .move = sqlite_move,
    .list = sqlite_list,
    .show = sqlite_show,
    .totals = sqlite_totals,
    .lane_statistics = sqlite_lane_statistics,
    .lanes = sqlite_lanes,
    .keys = sqlite_keys,
    .purge = sqlite_purge,
    .sequence_get = sqlite_sequence_get,
    .sequence_put = sqlite_sequence_put,
};

static int state_load(struct sqlite_spool *spool)
{
    sqlite3_stmt *statement = NULL;
    int result = 0;

    if (sqlite3_prepare_v2(spool->database, "SELECT next_id, records FROM state", -1, &statement,
                           NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        result = database_error(spool);
    } else {
        spool->state.next_id = sqlite3_column_int64(statement, 0);
        spool->state.records = sqlite3_column_int64(statement, 1);
        spool->state_written = spool->state;
        spool->next_id = spool->state.next_id;
    }
    sqlite3_finalize(statement);
    return result;
}

static int load(struct sqlite_spool *spool)
{
    int result = state_load(spool);

    if (result == 0)
        result = lanes_load(spool);
    if (result == 0)
        result = records_load(spool);
    return result;
}

/* What the disk had no room for is tried again (attempt 1 and 2) with all that can be had. */
static int open_in(struct sqlite_spool *spool, const struct key_file *keys, int attempt,
                   char ret_error[512])
{
    const char *path = spool->settings.path;
    bool created = false;

    int result = database_open(spool, path, &created, ret_error);
    spool->created = created;
    if (result == 0 && attempt > 0)
        sqlite_make_room(&spool->backend, attempt > 1);
    if (result == 0)
        result = database_begin(spool, path, created, ret_error);
    if (result < 0)
        return result;
    result = keys_open(spool, keys, spool->settings.key_file, created, ret_error);
    if (result < 0)
        return result; /* closing rolls back */
    result = statement_run(spool, statement_get(spool, STATEMENT_COMMIT));
    if (result == 0) {
        keys_committed(spool);
        sqlite3_db_config(spool->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
        reserve_watch(spool);
        result = load(spool);
    }
    if (result == 0)
        result = acts_finish_move(spool);
    if (result < 0)
        snprintf(ret_error, 512, "the spool %s cannot be read: %s (%s)", path, strerror(-result),
                 sqlite3_errmsg(spool->database));
    return result;
}

static int open_once(const struct spool_backend_settings *settings, const struct key_file *keys,
                     int attempt, struct spool_backend **ret_backend, char ret_error[512])
{
    struct sqlite_spool *spool = calloc(1, sizeof *spool);

    ret_error[0] = '\0';
    if (spool == NULL) {
        snprintf(ret_error, 512, "the spool cannot be opened: memory is out");
        return -ENOMEM;
    }
    spool->backend.operations = &sqlite_operations;
    spool->settings = *settings;
    spool->reserve.fd = -1;
    buffer_init(&spool->scratch, SPOOL_SEALED_MAXIMUM);
    leases_init(&spool->leases);
    record_index_init(&spool->records);
    reserve_open(spool);
    int result = lanes_init(spool);
    if (result < 0)
        snprintf(ret_error, 512, "the spool cannot be opened: memory is out");
    else
        result = open_in(spool, keys, attempt, ret_error);
    if (result < 0) {
        sqlite_spool_free(spool);
        return result;
    }
    spool->settings.path = spool->settings.key_file = NULL; /* the caller's */
    *ret_backend = &spool->backend;
    return 0;
}

int spool_sqlite_open(const struct spool_backend_settings *settings, int64_t now_ms,
                      struct spool_backend **ret_backend, char ret_error[512])
{
    struct key_file keys;
    int result = -ENOSPC;

    (void)now_ms;
    ret_error[0] = '\0';
    int read = key_file_read(settings->key_file, &keys, ret_error);
    if (read < 0)
        return read;
    for (int attempt = 0; attempt < 3 && result == -ENOSPC; attempt++)
        result = open_once(settings, &keys, attempt, ret_backend, ret_error);
    key_file_wipe(&keys);
    return result;
}

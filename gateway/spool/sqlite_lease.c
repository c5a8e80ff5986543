/*
 * Putting, leasing and settling rows.
 */
#include "spool/sqlite_private.h"

#include <errno.h>

/* ---- put ---- */

int64_t row_next_id(struct sqlite_spool *spool)
{
    int64_t id = spool->next_id++;

    spool->state.next_id = spool->next_id;
    return id;
}

int sqlite_room(struct spool_backend *backend, int64_t bytes, unsigned rows)
{
    const struct sqlite_spool *spool = sqlite_of(backend);
    int64_t wanted = bytes + (int64_t)rows * SPOOL_ROW_OVERHEAD;

    if (spool->settings.maximum_bytes > 0 &&
        wanted > spool->settings.maximum_bytes - spool->totals.bytes)
        return -ENOSPC;
    return 0;
}

int sqlite_put(struct spool_backend *backend, const struct message *message, const char *route,
               const char *lane_name, bool leased, int64_t now_ms, uint64_t *ret_id)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct sqlite_lane *lane = NULL;

    (void)now_ms;
    int result = sqlite_room(backend, (int64_t)message->body.length, 1);
    if (result < 0)
        return result;
    if (spool->wal_stuck) {
        spool->failed = true;
        return -ENOSPC;
    }
    int64_t id = row_next_id(spool);
    result = lanes_get(spool, lane_name, route, &lane);
    if (result == 0)
        result = message_insert(spool, id, lane, message, (int64_t)message->connection);
    if (result == 0)
        result = queue_insert(spool, lane, id);
    if (result == 0 && leased)
        result = leases_transaction_add(&spool->leases, (uint64_t)id);
    if (result < 0) {
        spool->failed = true;
        return result;
    }
    lanes_count(spool, lane, SPOOL_QUEUED, (int64_t)message->body.length, 0, 1);
    fresh_note(spool, id, lane, (int64_t)message->body.length, keys_current(spool)->id);
    *ret_id = (uint64_t)id;
    return 0;
}

/* ---- lease ---- */

/* 1: handed over; 0: damaged. */
static int lease_row(struct sqlite_spool *spool, const struct row_view *view,
                     struct sqlite_lane *lane, int64_t now_ms, spool_lease_each *each,
                     void *context)
{
    struct message *message = NULL;
    struct spool_row row;

    bool readable = view->lane == lane && view->id != spool->unreadable;
    int result = readable ? row_message(spool, view, &message) : -EBADMSG;
    if (result == -EUCLEAN) /* SQLite writes nothing more now: in the next transaction */
        spool->unreadable = view->id;
    if (result == -EBADMSG)
        return row_is_damaged(spool, view, lane, now_ms);
    if (result == 0)
        result = row_copy(spool, view, &row);
    if (result < 0) {
        message_release(&message);
        return result;
    }
    result = leases_add(&spool->leases, (uint64_t)view->id);
    if (result < 0) {
        message_release(&message);
        spool_row_clear(&row);
        return result;
    }
    if (!view->has_outcome)
        fresh_note(spool, view->id, view->lane, view->bytes, view->epoch);
    row.leased = true;
    each(context, &row, message);
    return 1;
}

/* The lane's next queued id that nobody holds, of [from, below); 0: none. */
static int next_free(struct sqlite_spool *spool, const struct sqlite_lane *lane, int64_t from,
                     int64_t below, int64_t *ret_id)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_QUEUE_LANE);
    int result;

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, lane->id);
    sqlite3_bind_int64(statement, 2, from);
    sqlite3_bind_int64(statement, 3, below);
    *ret_id = 0;
    while ((result = statement_step(spool, statement)) == 1) {
        int64_t id = sqlite3_column_int64(statement, 0);
        if (leases_has(&spool->leases, (uint64_t)id))
            continue;
        *ret_id = id;
        break;
    }
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

int sqlite_lease(struct spool_backend *backend, const char *lane_name, uint64_t below_id,
                 unsigned limit, int64_t limit_bytes, int64_t now_ms, spool_lease_each *each,
                 void *context)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct sqlite_lane *lane = lanes_find(spool, lane_name);
    int64_t below = below_id > INT64_MAX ? INT64_MAX : (int64_t)below_id, bytes = 0, id = 0;
    struct row_view view;
    int count = 0, result = 0;

    if (lane == NULL || lane->now.stopped_by != 0)
        return 0;
    while ((unsigned)count < limit) {
        result = next_free(spool, lane, lane->first_free, below, &id);
        if (result < 0 || id == 0)
            break;
        result = row_get(spool, id, &view);
        if (result == -ENOENT && (result = row_is_lost(spool, lane, id)) == 0)
            continue;
        if (result < 0)
            break;
        bytes += view.bytes;
        if (count > 0 && bytes > limit_bytes)
            break;
        lane->first_free = id + 1; /* before each() may release the row again */
        result = lease_row(spool, &view, lane, now_ms, each, context);
        if (result < 0) {
            lane->first_free = id;
            break;
        }
        count += result;
    }
    if (spool->statements[STATEMENT_MESSAGE_ROW] != NULL)
        sqlite3_reset(spool->statements[STATEMENT_MESSAGE_ROW]);
    /* After a damaged page SQLite commits nothing: what was handed over is leased all the same. */
    return result < 0 && (count == 0 || result == -EUCLEAN) ? result : count;
}

void sqlite_release(struct spool_backend *backend, uint64_t id)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    bool failed = spool->failed;
    struct row_view view;

    if (!leases_has(&spool->leases, id))
        return;
    leases_remove(&spool->leases, id);
    int result = row_get(spool, (int64_t)id, &view);
    if (result == 0 && view.lane != spool->no_lane && view.id < view.lane->first_free)
        view.lane->first_free = view.id;
    else if (spool->failed || result < 0 || view.lane == spool->no_lane)
        /* which lane it is can't be read: look at all from the start */
        LIST_FOREACH_SAFE(node, next, &spool->lanes)
            LIST_ENTRY(node, struct sqlite_lane, node)->first_free = 0;
    spool->failed = failed;
    if (spool->statements[STATEMENT_MESSAGE_ROW] != NULL)
        sqlite3_reset(spool->statements[STATEMENT_MESSAGE_ROW]);
}

/* ---- settle ---- */

/* Only what settling needs: no strings. */
static int settled_get(struct sqlite_spool *spool, int64_t id, struct row_view *ret_view)
{
    const struct fresh_row *fresh = &spool->fresh[(uint64_t)id % SQLITE_FRESH];
    sqlite3_stmt *s;

    if (fresh->id == id && id != 0) {
        *ret_view = (struct row_view){
            .id = id, .lane = fresh->lane, .bytes = fresh->bytes, .epoch = fresh->epoch};
        return 0;
    }
    s = statement_get(spool, STATEMENT_MESSAGE_SETTLED);
    if (s != NULL)
        sqlite3_bind_int64(s, 1, id);
    int result = statement_step(spool, s);
    if (result <= 0)
        return result == 0 ? -ENOENT : result;
    *ret_view = (struct row_view){
        .id = sqlite3_column_int64(s, 0),
        .lane = lanes_by_id(spool, sqlite3_column_int64(s, 1)),
        .bytes = sqlite3_column_int64(s, 2),
        .epoch = sqlite3_column_int64(s, 3),
        .has_outcome = sqlite3_column_type(s, 4) != SQLITE_NULL,
        .state = (enum spool_state)sqlite3_column_int(s, 5),
        .attempts = sqlite3_column_int64(s, 6),
        .counted = sqlite3_column_int64(s, 7),
        .answer_epoch = sqlite3_column_int64(s, 8),
        .answer_bytes = sqlite3_column_int64(s, 9),
    };
    sqlite3_reset(s);
    if (ret_view->lane == NULL) {
        spool->failed = true;
        return -EBADMSG; /* this row's trouble, not the disk's */
    }
    return 0;
}

/* The answer is sealed for the row's place, which needs the peer's name. */
static int seal_answer(struct sqlite_spool *spool, int64_t id, const struct answer_bytes *answer)
{
    struct row_view view;

    int result = row_get(spool, id, &view);
    if (result < 0)
        return result;
    const struct seal_place place = row_place(&view, 'a');
    result = keys_seal(spool, &place, span_of(answer->data, answer->length));
    sqlite3_reset(spool->statements[STATEMENT_MESSAGE_ROW]);
    return result;
}

static int settle_write(struct sqlite_spool *spool, const struct row_view *view,
                        const struct outcome *outcome, const struct answer_bytes *answer)
{
    int64_t answer_bytes = answer == NULL ? 0 : (int64_t)answer->length;
    int result = 0;

    if (answer != NULL)
        result = seal_answer(spool, view->id, answer);
    if (result == 0)
        result = outcome_put(spool, outcome, answer == NULL ? 0 : keys_current(spool)->id,
                             answer_bytes, buffer_span(&spool->scratch));
    if (result == 0 && outcome->state != SPOOL_QUEUED)
        result = queue_delete(spool, view->lane, view->id);
    if (result < 0)
        return result;
    if (view->answer_epoch != 0)
        keys_forget(spool, view->answer_epoch, 'a', view->id);
    lanes_count(spool, view->lane, view->state, view->bytes, view->answer_bytes, -1);
    lanes_count(spool, view->lane, outcome->state, view->bytes, answer_bytes, 1);
    return 0;
}

static int settle_row(struct sqlite_spool *spool, const struct row_view *view,
                      const struct verdict *verdict, int64_t due_ms, bool stop_lane, int64_t now_ms)
{
    bool accepted = verdict->kind == VERDICT_ACCEPTED, refused = verdict->kind == VERDICT_REFUSED;
    bool final = accepted || refused;

    if (accepted && spool->settings.retain_ms <= 0)
        return row_remove(spool, view);
    const struct outcome outcome = {
        .id = view->id,
        .state = accepted  ? SPOOL_KEPT
                 : refused ? SPOOL_DEAD
                           : SPOOL_QUEUED,
        .attempts = view->attempts + 1,
        .counted = view->counted + (verdict->about_message ? 1 : 0),
        .due_ms = final ? 0 : due_ms,
        .settled_ms = final ? now_ms : 0,
        .kind = (int)verdict->kind,
        .status = verdict->status,
        .reason = verdict->reason,
    };
    int result = settle_write(spool, view, &outcome, verdict->answer);
    if (result == 0 && refused && stop_lane)
        view->lane->now.stopped_by = view->id; /* settle_write() has touched it */
    return result;
}

int sqlite_settle(struct spool_backend *backend, uint64_t id, const struct verdict *verdict,
                  int64_t due_ms, bool keep_lease, bool stop_lane, int64_t now_ms)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    bool final = verdict->kind == VERDICT_ACCEPTED || verdict->kind == VERDICT_REFUSED;
    struct row_view view;

    int result = settled_get(spool, (int64_t)id, &view);
    if (result < 0)
        return result;
    if (!leases_has(&spool->leases, id))
        return -ESTALE;
    result = settle_row(spool, &view, verdict, due_ms, stop_lane, now_ms);
    if (result == 0 && (final || !keep_lease)) {
        result = leases_transaction_remove(&spool->leases, id);
        if (!final && view.id < view.lane->first_free)
            view.lane->first_free = view.id;
    }
    if (result < 0)
        spool->failed = true;
    return result;
}

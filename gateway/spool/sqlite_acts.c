/*
 * What an operator does to rows.
 *
 * A row's associated data holds its id, route and lane: whatever changes one of these seals anew.
 */
#include "spool/sqlite_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

void view_done(struct sqlite_spool *spool)
{
    if (spool->statements[STATEMENT_MESSAGE_ROW] != NULL)
        sqlite3_reset(spool->statements[STATEMENT_MESSAGE_ROW]);
}

static struct outcome outcome_of(const struct row_view *view)
{
    return (struct outcome){.id = view->id,
                            .state = view->state,
                            .attempts = view->attempts,
                            .counted = view->counted,
                            .due_ms = view->due_ms,
                            .settled_ms = view->settled_ms,
                            .kind = view->last_kind,
                            .status = view->last_status,
                            .reason = view->last_reason == NULL ? "" : view->last_reason};
}

/* The outcome under a new id or in a new lane; the answer is the old one, for its new place.
 * after->answer_bytes becomes what was written. */
static int outcome_reseal(struct sqlite_spool *spool, const struct row_view *before,
                          struct row_view *after, const struct outcome *outcome)
{
    const struct seal_place place = row_place(after, 'a');
    struct answer_bytes *answer = NULL;

    int result = row_answer(spool, before, &answer);
    if (result < 0 && result != -EBADMSG)
        return result;
    result = 0; /* an answer that can't be read any more is dropped */
    after->answer_bytes = answer == NULL ? 0 : (int64_t)answer->length;
    if (answer != NULL)
        result = keys_seal(spool, &place, span_of(answer->data, answer->length));
    if (result == 0)
        result = outcome_put(spool, outcome, answer == NULL ? 0 : keys_current(spool)->id,
                             after->answer_bytes, buffer_span(&spool->scratch));
    if (result == 0 && before->answer_epoch != 0)
        keys_forget(spool, before->answer_epoch, 'a', before->id);
    answer_bytes_release(&answer);
    return result;
}

/* ---- replay and discard ---- */

static int replay_in_place(struct sqlite_spool *spool, const struct row_view *view)
{
    struct outcome outcome = outcome_of(view);
    struct sqlite_lane *lane = view->lane;
    struct row_view after = *view;

    outcome.state = SPOOL_QUEUED;
    outcome.counted = 0;
    outcome.settled_ms = 0;
    int result = outcome_reseal(spool, view, &after, &outcome);
    if (result == 0)
        result = queue_insert(spool, lane, view->id);
    if (result < 0)
        return result;
    lanes_count(spool, lane, SPOOL_DEAD, view->bytes, view->answer_bytes, -1);
    lanes_count(spool, lane, SPOOL_QUEUED, view->bytes, after.answer_bytes, 1);
    if (lane->now.stopped_by == view->id)
        lane->now.stopped_by = 0;
    return 0;
}

static int replay_at_end(struct sqlite_spool *spool, const struct row_view *view, uint64_t *ret_id)
{
    struct row_view after = *view;
    struct outcome outcome = outcome_of(view);
    struct message *message = NULL;

    int result = row_message(spool, view, &message);
    if (result < 0)
        return result;
    after.id = row_next_id(spool);
    outcome.id = after.id;
    outcome.state = SPOOL_QUEUED;
    outcome.counted = 0;
    outcome.settled_ms = 0;
    result = message_insert(spool, after.id, view->lane, message, (int64_t)message->connection);
    message_release(&message);
    if (result == 0)
        result = outcome_reseal(spool, view, &after, &outcome);
    if (result == 0)
        result = queue_insert(spool, view->lane, after.id);
    if (result < 0)
        return result;
    lanes_count(spool, view->lane, SPOOL_QUEUED, view->bytes, after.answer_bytes, 1);
    struct row_view old = *view;
    old.answer_epoch = 0; /* outcome_reseal() has forgotten it */
    result = row_remove(spool, &old);
    *ret_id = (uint64_t)after.id;
    return result;
}

int sqlite_replay(struct spool_backend *backend, uint64_t id, bool out_of_order, int64_t now_ms,
                  uint64_t *ret_id)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct row_view view;

    (void)now_ms;
    int result = row_get(spool, (int64_t)id, &view);
    if (result == 0 && view.state != SPOOL_DEAD)
        result = -EINVAL;
    if (result == 0 && view.lane->now.stopped_by == view.id) {
        result = replay_in_place(spool, &view);
        if (result == 0)
            *ret_id = id;
    } else if (result == 0) {
        result = out_of_order || spool_lane_is_unordered(view.lane->name)
                     ? replay_at_end(spool, &view, ret_id)
                     : -EXDEV;
    }
    view_done(spool);
    /* Without memory it may be half done. */
    if (result == -ENOMEM)
        spool->failed = true;
    return result;
}

int sqlite_discard(struct spool_backend *backend, uint64_t id, int64_t now_ms)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct row_view view;

    (void)now_ms;
    int result = row_get(spool, (int64_t)id, &view);
    if (result == 0 && view.state == SPOOL_KEPT)
        result = -EINVAL;
    if (result == 0 && leases_has(&spool->leases, id))
        result = -EBUSY;
    if (result == 0)
        result = records_remove(spool,
                                span_of(message_record_id((const uint8_t *)view.digest.data), 16));
    if (result == 0)
        result = row_remove(spool, &view);
    if (result == 0 && view.lane->now.stopped_by == view.id)
        view.lane->now.stopped_by = 0; /* row_remove() has touched it */
    view_done(spool);
    return result;
}

/* ---- move ---- */

static int message_reseal(struct sqlite_spool *spool, const struct row_view *before,
                          const struct row_view *after)
{
    const struct seal_place place = row_place(after, 'b');
    struct message *message = NULL;

    int result = row_message(spool, before, &message);
    if (result == -EBADMSG) { /* damaged before, damaged after */
        if (after->lane == before->lane)
            return 0;
        sqlite3_stmt *statement = statement_get(spool, STATEMENT_MESSAGE_LANE);
        if (statement == NULL)
            return database_error(spool);
        sqlite3_bind_int64(statement, 1, after->id);
        sqlite3_bind_int64(statement, 2, after->lane->id);
        return statement_run(spool, statement);
    }
    if (result == 0)
        result = keys_seal(spool, &place, message->body);
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_MESSAGE_RESEAL);
    if (result == 0 && statement == NULL)
        result = database_error(spool);
    if (result == 0) {
        sqlite3_bind_int64(statement, 1, after->id);
        sqlite3_bind_int64(statement, 2, after->lane->id);
        sqlite3_bind_int64(statement, 3, keys_current(spool)->id);
        sqlite3_bind_int64(statement, 4, (int64_t)message->connection);
        statement_bind_span(statement, 5, buffer_span(&spool->scratch));
        result = statement_run(spool, statement);
        keys_forget(spool, before->epoch, 'b', before->id);
    }
    message_release(&message);
    return result;
}

/* Seals the row anew, for its lane or another one, and counts. */
int row_reseal(struct sqlite_spool *spool, const struct row_view *view, struct sqlite_lane *lane)
{
    struct row_view after = *view;
    struct outcome outcome = outcome_of(view);

    fresh_forget(spool, view->id); /* its lane and epoch are others now */
    after.lane = lane;
    if (lane != view->lane)
        outcome.due_ms = 0; /* the other route's store has asked for no patience */
    int result = message_reseal(spool, view, &after);
    if (result == 0 && view->has_outcome)
        result = outcome_reseal(spool, view, &after, &outcome);
    if (result < 0)
        return result;
    lanes_count(spool, view->lane, view->state, view->bytes, view->answer_bytes, -1);
    lanes_count(spool, lane, view->state, after.bytes, after.answer_bytes, 1);
    return 0;
}

static int row_move(struct sqlite_spool *spool, const struct row_view *view,
                    struct sqlite_lane *lane)
{
    struct sqlite_lane *from = view->lane;

    if (leases_has(&spool->leases, (uint64_t)view->id))
        return -EBUSY;
    int result = row_reseal(spool, view, lane);
    if (result == 0 && view->state == SPOOL_QUEUED) {
        result = queue_delete(spool, from, view->id);
        if (result == 0)
            result = queue_insert(spool, lane, view->id);
    }
    if (result < 0)
        return result;
    if (from->now.stopped_by == view->id) {
        from->now.stopped_by = 0;
        if (lane->now.stopped_by == 0)
            lane->now.stopped_by = view->id;
    }
    return 0;
}

static int move_by_id(struct sqlite_spool *spool, int64_t id, const char *to)
{
    struct sqlite_lane *lane = NULL;
    struct row_view view;

    int result = row_get(spool, id, &view);
    if (result == 0) {
        char *name = spool_lane_moved(view.lane->name, to);
        result = name == NULL ? -ENOMEM : lanes_get(spool, name, to, &lane);
        free(name);
    }
    if (result == 0)
        result = row_move(spool, &view, lane);
    view_done(spool);
    return result;
}

/* The first queued row of the lane; 0: none. */
static int lane_first(struct sqlite_spool *spool, const struct sqlite_lane *lane, int64_t *ret_id)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_QUEUE_LANE);

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, lane->id);
    sqlite3_bind_int64(statement, 2, 0);
    sqlite3_bind_int64(statement, 3, INT64_MAX);
    int result = statement_step(spool, statement);
    *ret_id = result == 1 ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

static int move_lane_queue(struct sqlite_spool *spool, const struct sqlite_lane *lane,
                           const char *to, unsigned limit, unsigned *count)
{
    while (*count < limit && lane->now.queued > 0) {
        int64_t id = 0;
        int result = lane_first(spool, lane, &id);
        if (result < 0 || id == 0)
            return result < 0 ? result : -EBADMSG; /* counted, and not there */
        result = move_by_id(spool, id, to);
        if (result < 0)
            return result;
        (*count)++;
    }
    return 0;
}

/* The next dead or kept row of the route behind spool->move_after; 0: none up to where it is now. Looks
 * at no more than *budget rows. */
static int next_settled(struct sqlite_spool *spool, const char *from, unsigned *budget,
                        int64_t *ret_id, bool *ret_end)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_OUTCOME_AFTER);
    int result = 0;

    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, spool->move_after);
    *ret_id = 0;
    while (*budget > 0 && *ret_id == 0 && (result = statement_step(spool, statement)) == 1) {
        int64_t id = sqlite3_column_int64(statement, 0);
        const struct sqlite_lane *lane = lanes_by_id(spool, sqlite3_column_int64(statement, 1));
        (*budget)--;
        spool->move_after = id;
        if (lane != NULL && strcmp(lane->route, from) == 0)
            *ret_id = id;
    }
    *ret_end = *budget > 0 && *ret_id == 0;
    if (statement != NULL)
        sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

/* Dead and kept rows, in order of ids from spool->move_after on. */
static int move_settled(struct sqlite_spool *spool, const char *from, const char *to,
                        unsigned limit, unsigned *count, bool *ret_end)
{
    unsigned budget = SPOOL_LIST_ROWS;

    while (*count < limit && budget > 0) {
        int64_t id = 0;
        int result = next_settled(spool, from, &budget, &id, ret_end);
        if (result == 0 && id != 0)
            result = move_by_id(spool, id, to);
        if (result < 0 || *ret_end)
            return result;
        if (id == 0)
            continue;
        spool->move_settled++;
        (*count)++;
    }
    return 0;
}

static bool route_has_rows(struct sqlite_spool *spool, const char *route, bool settled_only)
{
    LIST_FOREACH_SAFE(node, next, &spool->lanes) {
        const struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, node);
        if (strcmp(lane->route, route) == 0 &&
            (lane->now.dead > 0 || lane->now.kept > 0 || (!settled_only && lane->now.queued > 0)))
            return true;
    }
    return false;
}

/* *ret_end: all that is settled has been looked at. */
static int move_some(struct sqlite_spool *spool, const char *from, const char *to, unsigned limit,
                     unsigned *count, bool *ret_end)
{
    int result = 0;

    LIST_FOREACH_SAFE(node, next, &spool->lanes) {
        const struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, node);
        if (result == 0 && strcmp(lane->route, from) == 0)
            result = move_lane_queue(spool, lane, to, limit, count);
    }
    if (result == 0 && *count < limit && route_has_rows(spool, from, true))
        result = move_settled(spool, from, to, limit, count, ret_end);
    return result;
}

static int move_check_leases(struct sqlite_spool *spool, const char *from)
{
    struct row_view view;

    for (size_t i = 0; i < spool->leases.capacity; i++) {
        if (spool->leases.slots[i] == 0)
            continue;
        int result = row_get(spool, (int64_t)spool->leases.slots[i], &view);
        bool busy = result == 0 && strcmp(view.lane->route, from) == 0;
        view_done(spool);
        if (busy || (result < 0 && result != -ENOENT))
            return busy ? -EBUSY : result;
    }
    return 0;
}

/* The names, each with its NUL. */
static int move_write_intent(struct sqlite_spool *spool, const char *from, const char *to)
{
    struct buffer names;

    buffer_init(&names, 65536);
    int result = buffer_append(&names, from, strlen(from) + 1);
    if (result == 0)
        result = buffer_append(&names, to, strlen(to) + 1);
    if (result == 0)
        result = meta_put(spool, "move", buffer_span(&names));
    buffer_free(&names);
    return result;
}

int sqlite_move(struct spool_backend *backend, const char *from, const char *to, unsigned limit,
                uint64_t *ret_moved, bool *ret_done)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    unsigned count = 0;
    bool end = false;

    int result = move_check_leases(spool, from);
    if (result == 0)
        result = move_write_intent(spool, from, to);
    if (result < 0)
        return result;
    int64_t after = spool->move_after;
    result = move_some(spool, from, to, limit, &count, &end);
    bool done = result == 0 && !route_has_rows(spool, from, false);
    if (done)
        result = meta_delete(spool, "move");
    else if (result == 0 && end && count == 0 && spool->move_settled == 0)
        result = -EBADMSG; /* all were looked at: what is counted isn't there */
    if (result < 0) {
        spool->move_after = result == -EBADMSG ? 0 : after;
        return result;
    }
    /* At the end of the outcomes, and yet some are left (rows settled meanwhile): once more. */
    if (done || end) {
        spool->move_after = 0;
        spool->move_settled = 0;
    }
    *ret_moved = count;
    *ret_done = done;
    return 0;
}

static int finish_move_slice(struct spool_backend *backend, const char *from, const char *to,
                             bool *ret_done)
{
    uint64_t moved;
    int result = spool_backend_begin(backend);

    if (result < 0)
        return result;
    result = sqlite_move(backend, from, to, sqlite_of(backend)->short_of_room ? 8 : 1024, &moved,
                         ret_done);
    if (result == 0)
        return spool_backend_commit(backend);
    spool_backend_rollback(backend);
    return result;
}

/* A damaged database: what is left can't be moved, now or at the next start, and all other messages
 * must be had all the same. */
static int abandon_move(struct sqlite_spool *spool, const char *from, const char *to)
{
    struct spool_backend *backend = &spool->backend;

    LOG_EVENT(LOG_LEVEL_ERROR, "spool-move-unfinished", LOG_STRING("from", from),
              LOG_STRING("to", to), LOG_STRING("reason", "the spool is damaged"),
              LOG_STRING("consequence", "what could not be moved stays where it is"));
    int result = spool_backend_begin(backend);
    if (result < 0)
        return result;
    result = meta_delete(spool, "move");
    if (result == 0)
        return spool_backend_commit(backend);
    spool_backend_rollback(backend);
    return result;
}

int acts_finish_move(struct sqlite_spool *spool)
{
    char names[65536];
    size_t length = 0;
    bool done = false;

    int result = meta_get(spool, "move", names, sizeof names - 2, &length);
    if (result == -ENOENT)
        return 0;
    if (result < 0)
        return result;
    names[length] = names[length + 1] = '\0'; /* two names, whatever is there */
    const char *to = names + strlen(names) + 1;
    while (!done && result == 0)
        result = finish_move_slice(&spool->backend, names, to, &done);
    return result == -EBADMSG || result == -ENOENT ? abandon_move(spool, names, to) : result;
}

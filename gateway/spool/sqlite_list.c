#include "spool/sqlite_private.h"

#include <errno.h>

/* ---- lists ---- */

static bool matches(const struct row_view *view, const struct spool_filter *filter)
{
    return (filter->route == NULL || strcmp(filter->route, view->lane->route) == 0) &&
           (filter->lane == NULL || strcmp(filter->lane, view->lane->name) == 0) &&
           (filter->peer == NULL || strcmp(filter->peer, view->peer) == 0) &&
           (!filter->by_state || filter->state == view->state);
}

/* Lanes' counters tell that there is nothing to look for. */
static bool may_match(struct sqlite_spool *spool, const struct spool_filter *filter)
{
    if (filter->route == NULL && filter->lane == NULL)
        return true;
    LIST_FOREACH_SAFE(node, next, &spool->lanes) {
        const struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, node);
        const int64_t counts[] = {[SPOOL_QUEUED] = lane->now.queued,
                                  [SPOOL_KEPT] = lane->now.kept,
                                  [SPOOL_DEAD] = lane->now.dead};
        if ((filter->route != NULL && strcmp(filter->route, lane->route) != 0) ||
            (filter->lane != NULL && strcmp(filter->lane, lane->name) != 0))
            continue;
        if (filter->by_state ? counts[filter->state] > 0
                             : lane->now.queued > 0 || lane->now.kept > 0 || lane->now.dead > 0)
            return true;
    }
    return false;
}

struct list_walk {
    sqlite3_stmt *statement;
    int64_t bound; /* it goes no further than this id; INT64_MAX: to the end */
};

/* Kept rows may be many more than dead ones: how far a call looks is known before their messages are
 * looked up. */
static int walk_settled(struct sqlite_spool *spool, int64_t after, enum spool_state state,
                        struct list_walk *ret_walk)
{
    sqlite3_stmt *bound = statement_get(spool, STATEMENT_OUTCOME_BOUND);
    struct list_walk walk = {statement_get(spool, STATEMENT_LIST_SETTLED), INT64_MAX};

    if (bound != NULL) {
        sqlite3_bind_int64(bound, 1, after);
        sqlite3_bind_int64(bound, 2, SPOOL_LIST_ROWS - 1);
    }
    int result = statement_step(spool, bound);
    if (result == 1) {
        walk.bound = sqlite3_column_int64(bound, 0);
        sqlite3_reset(bound);
    }
    if (result < 0 || walk.statement == NULL)
        return result < 0 ? result : database_error(spool);
    sqlite3_bind_int64(walk.statement, 1, after);
    sqlite3_bind_int(walk.statement, 2, (int)state);
    sqlite3_bind_int64(walk.statement, 3, walk.bound);
    *ret_walk = walk;
    return 0;
}

/* The statement that looks at the fewest rows; what it doesn't sort out, matches() does. */
static int walk_begin(struct sqlite_spool *spool, const struct spool_filter *filter,
                      struct list_walk *ret_walk)
{
    const struct sqlite_lane *lane = filter->lane == NULL ? NULL : lanes_find(spool, filter->lane);
    int64_t after = filter->after_id > INT64_MAX ? INT64_MAX : (int64_t)filter->after_id;
    bool queue = lane != NULL && filter->by_state && filter->state == SPOOL_QUEUED;

    if (filter->by_state && filter->state != SPOOL_QUEUED)
        return walk_settled(spool, after, filter->state, ret_walk);
    *ret_walk = (struct list_walk){
        statement_get(spool, queue ? STATEMENT_LIST_LANE_QUEUED : STATEMENT_LIST_ALL), INT64_MAX};
    if (ret_walk->statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(ret_walk->statement, 1, after);
    if (queue)
        sqlite3_bind_int64(ret_walk->statement, 2, lane->id);
    return 0;
}

static int list_row(struct sqlite_spool *spool, const struct row_view *view, spool_list_each *each,
                    void *context)
{
    struct spool_row row;

    int result = row_copy(spool, view, &row);
    if (result < 0)
        return result;
    each(context, &row);
    spool_row_clear(&row);
    return 0;
}

int sqlite_list(struct spool_backend *backend, const struct spool_filter *filter,
                spool_list_each *each, void *context, uint64_t *ret_next)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct list_walk walk = {NULL, INT64_MAX};
    struct row_view view;
    unsigned looked = 0, count = 0;
    uint64_t next = 0;

    if (!may_match(spool, filter)) {
        *ret_next = 0;
        return 0;
    }
    int result = walk_begin(spool, filter, &walk);
    if (result < 0)
        return result;
    while (next == 0 && (result = statement_step(spool, walk.statement)) == 1) {
        row_view(spool, walk.statement, &view);
        if (matches(&view, filter)) {
            result = list_row(spool, &view, each, context);
            count++;
        }
        if (result < 0)
            break;
        if (++looked == SPOOL_LIST_ROWS || (filter->limit > 0 && count == filter->limit))
            next = (uint64_t)view.id;
    }
    sqlite3_reset(walk.statement);
    if (next == 0 && walk.bound != INT64_MAX)
        next = (uint64_t)walk.bound;
    if (result < 0)
        return result;
    *ret_next = next;
    return 0;
}

int sqlite_show(struct spool_backend *backend, uint64_t id, struct spool_row *ret_row,
                struct message **ret_message, struct answer_bytes **ret_answer)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct message *message = NULL;
    struct answer_bytes *answer = NULL;
    struct row_view view;

    int result = row_get(spool, (int64_t)id, &view);
    if (result == 0) {
        result = row_message(spool, &view, &message);
        if (result == 0 || result == -EBADMSG)
            result = row_answer(spool, &view, &answer);
        if (result == 0 || result == -EBADMSG) /* damaged: what can be shown is */
            result = row_copy(spool, &view, ret_row);
    }
    if (spool->statements[STATEMENT_MESSAGE_ROW] != NULL)
        sqlite3_reset(spool->statements[STATEMENT_MESSAGE_ROW]);
    if (result < 0) {
        message_release(&message);
        answer_bytes_release(&answer);
        return result;
    }
    *ret_message = message;
    *ret_answer = answer;
    return 0;
}

/* ---- statistics ---- */

void sqlite_totals(struct spool_backend *backend, struct spool_totals *ret_totals)
{
    const struct sqlite_spool *spool = sqlite_of(backend);

    *ret_totals = spool->totals;
    ret_totals->records = (uint64_t)spool->state.records;
}

static int describe_lane(struct sqlite_spool *spool, struct sqlite_lane *lane,
                         struct spool_lane_statistics *ret_statistics)
{
    *ret_statistics = (struct spool_lane_statistics){.queued = (uint64_t)lane->now.queued,
                                                     .dead = (uint64_t)lane->now.dead,
                                                     .queued_bytes = lane->now.queued_bytes,
                                                     .stopped = lane->now.stopped_by != 0};
    bool failed = spool->failed;
    if (lane->now.queued == 0 || lane->age_unknown)
        return 0;
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_LANE_OLDEST);
    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, lane->id);
    int result = statement_step(spool, statement);
    if (result == 1) {
        ret_statistics->oldest_ms = sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    if (result == -EUCLEAN) { /* all else is known */
        lane->age_unknown = true;
        spool->failed = failed;
        result = 0;
    }
    return result < 0 ? result : 0;
}

int sqlite_lane_statistics(struct spool_backend *backend, const char *name,
                           struct spool_lane_statistics *ret_statistics)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct sqlite_lane *lane = lanes_find(spool, name);

    *ret_statistics = (struct spool_lane_statistics){0};
    return lane == NULL ? 0 : describe_lane(spool, lane, ret_statistics);
}

int sqlite_lanes(struct spool_backend *backend, spool_lanes_each *each, void *context)
{
    struct sqlite_spool *spool = sqlite_of(backend);

    LIST_FOREACH_SAFE(node, next, &spool->lanes) {
        struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, node);
        struct spool_lane_statistics statistics;
        if (lane->now.queued == 0 && lane->now.dead == 0)
            continue;
        int result = describe_lane(spool, lane, &statistics);
        if (result < 0)
            return result;
        each(context, lane->route, lane->name, &statistics);
    }
    return 0;
}

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

/* The statement that looks at the fewest rows; what it doesn't sort out, matches() does. */
static sqlite3_stmt *list_statement(struct sqlite_spool *spool, const struct spool_filter *filter)
{
    const struct sqlite_lane *lane = filter->lane == NULL ? NULL : lanes_find(spool, filter->lane);
    enum statement which = STATEMENT_LIST_ALL;

    if (filter->by_state && filter->state != SPOOL_QUEUED)
        which = STATEMENT_LIST_SETTLED;
    else if (filter->by_state)
        which = lane != NULL ? STATEMENT_LIST_LANE_QUEUED : STATEMENT_LIST_QUEUED;
    sqlite3_stmt *statement = statement_get(spool, which);
    if (statement == NULL)
        return NULL;
    sqlite3_bind_int64(statement, 1,
                       filter->after_id > INT64_MAX ? INT64_MAX : (int64_t)filter->after_id);
    if (which == STATEMENT_LIST_LANE_QUEUED)
        sqlite3_bind_int64(statement, 2, lane->id);
    else if (which == STATEMENT_LIST_SETTLED)
        sqlite3_bind_int(statement, 2, (int)filter->state);
    return statement;
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
                spool_list_each *each, void *context)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct row_view view;
    unsigned count = 0;
    int result;

    if (filter->lane != NULL && lanes_find(spool, filter->lane) == NULL)
        return 0;
    sqlite3_stmt *statement = list_statement(spool, filter);
    while ((result = statement_step(spool, statement)) == 1) {
        row_view(spool, statement, &view);
        result = 0;
        if (matches(&view, filter)) {
            if (filter->limit > 0 && count == filter->limit)
                break;
            result = list_row(spool, &view, each, context);
            count++;
        }
        if (result < 0)
            break;
    }
    if (statement != NULL)
        sqlite3_reset(statement);
    return result < 0 ? result : 0;
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

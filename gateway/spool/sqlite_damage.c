/*
 * Rows that can't be used any more. Each is one message's trouble: its lane goes on, and all others
 * never notice.
 */
#include "spool/sqlite_private.h"

#include "base/log.h"

static int lane_put_right(struct sqlite_spool *spool, const struct sqlite_lane *lane, int64_t id)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_MESSAGE_LANE);

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, lane->id);
    return statement_run(spool, statement);
}

int row_is_damaged(struct sqlite_spool *spool, const struct row_view *view,
                   struct sqlite_lane *lane, int64_t now_ms)
{
    const struct outcome outcome = {.id = view->id,
                                    .state = SPOOL_DEAD,
                                    .attempts = view->attempts,
                                    .counted = view->counted,
                                    .settled_ms = now_ms,
                                    .kind = VERDICT_REFUSED,
                                    .reason = "the stored message cannot be read: damaged"};
    int result = 0;

    if (view->lane != lane) /* it was counted, and is queued, in this one */
        result = lane_put_right(spool, lane, view->id);
    if (result == 0)
        result = queue_delete(spool, lane, view->id);
    if (result == 0)
        result = outcome_put(spool, &outcome, 0, 0, span_of(NULL, 0));
    if (result < 0)
        return result;
    if (view->answer_epoch != 0)
        keys_forget(spool, view->answer_epoch, 'a', view->id);
    lanes_count(spool, lane, SPOOL_QUEUED, view->bytes, view->answer_bytes, -1);
    lanes_count(spool, lane, SPOOL_DEAD, view->bytes, 0, 1);
    LOG_EVENT(LOG_LEVEL_ERROR, "spool-message-damaged", LOG_INTEGER("entry", view->id),
              LOG_STRING("lane", lane->name),
              LOG_STRING("consequence", "it is a dead letter; the lane goes on"));
    return 0;
}

int row_is_lost(struct sqlite_spool *spool, struct sqlite_lane *lane, int64_t id)
{
    int result = queue_delete(spool, lane, id);

    if (result == 0)
        result = outcome_delete(spool, id);
    if (result < 0)
        return result;
    fresh_forget(spool, id);
    lanes_lose(spool, lane);
    LOG_EVENT(LOG_LEVEL_ERROR, "spool-message-lost", LOG_INTEGER("entry", id),
              LOG_STRING("lane", lane->name),
              LOG_STRING("reason", "it is queued, but its row is not there: the spool is damaged"),
              LOG_STRING("consequence", "it cannot be delivered; the lane goes on"));
    return 0;
}

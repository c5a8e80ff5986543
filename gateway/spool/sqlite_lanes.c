/*
 * Lanes are few and their counters are asked for all the time: they live in memory, and what a
 * transaction changed of them is written once, at its commit.
 */
#include "spool/sqlite_private.h"

#include <errno.h>
#include <stdlib.h>

static struct list_node *bucket_of_name(struct sqlite_spool *spool, const char *name)
{
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
    return &spool->lanes_by_name[hash % SQLITE_LANE_BUCKETS];
}

static struct list_node *bucket_of_id(struct sqlite_spool *spool, int64_t id)
{
    return &spool->lanes_by_id[(uint64_t)id % SQLITE_LANE_BUCKETS];
}

static struct sqlite_lane *lane_new(int64_t id, const char *name, const char *route);

int lanes_init(struct sqlite_spool *spool)
{
    list_init(&spool->lanes);
    list_init(&spool->dirty_lanes);
    for (size_t i = 0; i < SQLITE_LANE_BUCKETS; i++) {
        list_init(&spool->lanes_by_name[i]);
        list_init(&spool->lanes_by_id[i]);
    }
    spool->no_lane = lane_new(0, "?/?", "?");
    return spool->no_lane == NULL ? -ENOMEM : 0;
}

static void lane_free(struct sqlite_lane *lane)
{
    list_remove(&lane->by_name);
    list_remove(&lane->by_id);
    list_remove(&lane->node);
    list_remove(&lane->in_dirty);
    free(lane->name);
    free(lane->route);
    free(lane);
}

void lanes_free(struct sqlite_spool *spool)
{
    while (!list_empty(&spool->lanes))
        lane_free(LIST_ENTRY(spool->lanes.next, struct sqlite_lane, node));
    if (spool->no_lane != NULL)
        lane_free(spool->no_lane);
}

static struct sqlite_lane *lane_new(int64_t id, const char *name, const char *route)
{
    struct sqlite_lane *lane = calloc(1, sizeof *lane);

    if (lane == NULL)
        return NULL;
    lane->id = id;
    lane->name = strdup(name);
    lane->route = strdup(route);
    list_init(&lane->by_name);
    list_init(&lane->by_id);
    list_init(&lane->node);
    list_init(&lane->in_dirty);
    if (lane->name == NULL || lane->route == NULL) {
        lane_free(lane);
        return NULL;
    }
    return lane;
}

static struct sqlite_lane *lane_add(struct sqlite_spool *spool, int64_t id, const char *name,
                                    const char *route)
{
    struct sqlite_lane *lane = lane_new(id, name, route);

    if (lane == NULL)
        return NULL;
    list_append(bucket_of_name(spool, name), &lane->by_name);
    list_append(bucket_of_id(spool, id), &lane->by_id);
    list_append(&spool->lanes, &lane->node);
    return lane;
}

int lanes_load(struct sqlite_spool *spool)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_LANES);
    int result;

    while ((result = statement_step(spool, statement)) == 1) {
        struct sqlite_lane *lane = lane_add(spool, sqlite3_column_int64(statement, 0),
                                            (const char *)sqlite3_column_text(statement, 1),
                                            (const char *)sqlite3_column_text(statement, 2));
        if (lane == NULL) {
            sqlite3_reset(statement);
            return -ENOMEM;
        }
        lane->now = (struct lane_counters){.queued = sqlite3_column_int64(statement, 3),
                                           .dead = sqlite3_column_int64(statement, 4),
                                           .kept = sqlite3_column_int64(statement, 5),
                                           .queued_bytes = sqlite3_column_int64(statement, 6),
                                           .bytes = sqlite3_column_int64(statement, 7),
                                           .stopped_by = sqlite3_column_int64(statement, 8)};
        spool->totals.queued += (uint64_t)lane->now.queued;
        spool->totals.dead += (uint64_t)lane->now.dead;
        spool->totals.kept += (uint64_t)lane->now.kept;
        spool->totals.bytes += lane->now.bytes;
    }
    return result;
}

struct sqlite_lane *lanes_find(struct sqlite_spool *spool, const char *name)
{
    LIST_FOREACH_SAFE(node, next, bucket_of_name(spool, name)) {
        struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, by_name);
        if (strcmp(lane->name, name) == 0)
            return lane;
    }
    return NULL;
}

struct sqlite_lane *lanes_by_id(struct sqlite_spool *spool, int64_t id)
{
    LIST_FOREACH_SAFE(node, next, bucket_of_id(spool, id)) {
        struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, by_id);
        if (lane->id == id)
            return lane;
    }
    return NULL;
}

void lanes_touch(struct sqlite_spool *spool, struct sqlite_lane *lane)
{
    if (!list_empty(&lane->in_dirty))
        return;
    lane->before = lane->now;
    list_append(&spool->dirty_lanes, &lane->in_dirty);
}

int lanes_get(struct sqlite_spool *spool, const char *name, const char *route,
              struct sqlite_lane **ret_lane)
{
    struct sqlite_lane *lane = lanes_find(spool, name);
    int64_t id = 1;

    if (lane != NULL) {
        *ret_lane = lane;
        return 0;
    }
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_LANE_INSERT);
    if (statement == NULL)
        return database_error(spool);
    if (!list_empty(&spool->lanes))
        id = LIST_ENTRY(spool->lanes.prev, struct sqlite_lane, node)->id + 1;
    sqlite3_bind_int64(statement, 1, id);
    statement_bind_text(statement, 2, name);
    statement_bind_text(statement, 3, route);
    int result = statement_run(spool, statement);
    if (result < 0)
        return result;
    lane = lane_add(spool, id, name, route);
    if (lane == NULL) {
        spool->failed = true;
        return -ENOMEM;
    }
    lane->created = true;
    lanes_touch(spool, lane);
    *ret_lane = lane;
    return 0;
}

void lanes_count(struct sqlite_spool *spool, struct sqlite_lane *lane, enum spool_state state,
                 int64_t bytes, int64_t answer_bytes, int direction)
{
    int64_t weight = direction * (bytes + answer_bytes + SPOOL_ROW_OVERHEAD);
    uint64_t one = (uint64_t)(int64_t)direction;

    if (lane == spool->no_lane)
        return;
    lanes_touch(spool, lane);
    lane->now.bytes += weight;
    spool->totals.bytes += weight;
    switch (state) {
    case SPOOL_QUEUED:
        lane->age_unknown = false; /* another one may be the first now */
        lane->now.queued += direction;
        lane->now.queued_bytes += direction * bytes;
        spool->totals.queued += one;
        break;
    case SPOOL_DEAD:
        lane->now.dead += direction;
        spool->totals.dead += one;
        break;
    case SPOOL_KEPT:
        lane->now.kept += direction;
        spool->totals.kept += one;
        break;
    }
}

/* With the last one goes the weight of all that were lost. */
void lanes_lose(struct sqlite_spool *spool, struct sqlite_lane *lane)
{
    lanes_count(spool, lane, SPOOL_QUEUED, 0, 0, -1);
    if (lane->now.queued > 0)
        return;
    lane->now.queued_bytes = 0;
    if (lane->now.dead == 0 && lane->now.kept == 0) {
        spool->totals.bytes -= lane->now.bytes;
        lane->now.bytes = 0;
    }
}

int lanes_flush(struct sqlite_spool *spool)
{
    int result = 0;

    LIST_FOREACH_SAFE(node, next, &spool->dirty_lanes) {
        const struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, in_dirty);
        sqlite3_stmt *statement = statement_get(spool, STATEMENT_LANE_UPDATE);
        if (statement == NULL)
            return database_error(spool);
        sqlite3_bind_int64(statement, 1, lane->id);
        sqlite3_bind_int64(statement, 2, lane->now.queued);
        sqlite3_bind_int64(statement, 3, lane->now.dead);
        sqlite3_bind_int64(statement, 4, lane->now.kept);
        sqlite3_bind_int64(statement, 5, lane->now.queued_bytes);
        sqlite3_bind_int64(statement, 6, lane->now.bytes);
        sqlite3_bind_int64(statement, 7, lane->now.stopped_by);
        result = statement_run(spool, statement);
        if (result < 0)
            break;
    }
    return result;
}

void lanes_committed(struct sqlite_spool *spool)
{
    struct list_node *node;

    while ((node = list_pop_front(&spool->dirty_lanes)) != NULL)
        LIST_ENTRY(node, struct sqlite_lane, in_dirty)->created = false;
}

void lanes_rollback(struct sqlite_spool *spool)
{
    struct list_node *node;

    while ((node = list_pop_front(&spool->dirty_lanes)) != NULL) {
        struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, in_dirty);
        if (lane->created) {
            lane_free(lane);
            continue;
        }
        lane->now = lane->before;
        lane->first_free = 0; /* rows may have come back before it */
    }
}

static bool lane_is_empty(const struct sqlite_lane *lane)
{
    return lane->now.queued == 0 && lane->now.dead == 0 && lane->now.kept == 0 &&
           list_empty(&lane->in_dirty);
}

/* Should this be rolled back, the lane's row stays without harm: making the lane anew replaces it. */
int lanes_purge(struct sqlite_spool *spool)
{
    LIST_FOREACH_SAFE(node, next, &spool->lanes) {
        struct sqlite_lane *lane = LIST_ENTRY(node, struct sqlite_lane, node);
        if (!lane_is_empty(lane))
            continue;
        sqlite3_stmt *statement = statement_get(spool, STATEMENT_LANE_DELETE);
        if (statement == NULL)
            return database_error(spool);
        sqlite3_bind_int64(statement, 1, lane->id);
        int result = statement_run(spool, statement);
        if (result < 0)
            return result;
        lane_free(lane);
    }
    return 0;
}

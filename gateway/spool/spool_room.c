/*
 * A disk that fails or is full, a spool that is full: how it is noticed, and how it ends.
 *
 *   failure         nothing can be written: everything waits for the probe
 *   intake_closed   the disk is full: no message is taken, but what is queued is delivered and settled,
 *                   which is what makes room again
 *   full            the message that was refused last doesn't fit; others may
 */
#include "spool/spool_private.h"

#include "base/log.h"

#include <errno.h>

/* So much must be free, besides SPOOL_DISK_ROOM, before intake opens again. */
#define SPOOL_WANTED_MAXIMUM (INT64_C(64) << 20)

static void probe_later(struct spool *spool)
{
    spool->probe_due = false;
    if (timers_start(&spool->timers, &spool->probe, spool_monotonic(spool) + SPOOL_PROBE_MS) < 0)
        spool->probe_due = true; /* no memory for a timer: try at once */
}

static void probe_no_more(struct spool *spool)
{
    spool->probe_due = false;
    timers_stop(&spool->timers, &spool->probe);
}

/* ---- nothing can be written ---- */

void spool_fail(struct spool *spool, int error)
{
    probe_later(spool);
    metric_add(spool->counters.failures, 1);
    if (spool->failure == 0)
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-failed", LOG_STRING("reason", strerror(-error)),
                  LOG_STRING("consequence", "nothing is taken or settled until it works again"));
    spool->failure = -error;
}

void spool_recover(struct spool *spool)
{
    if (spool->failure == 0)
        return;
    spool->failure = 0;
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-works-again",
              LOG_STRING("consequence", spool->intake_closed
                                            ? "what is queued goes on; messages are not yet taken"
                                            : "messages are taken"));
    if (spool->intake_closed)
        probe_later(spool);
    else
        probe_no_more(spool);
}

bool spool_error_is_the_disks(int error)
{
    return error == -ENOSPC || error == -EIO || error == -EROFS || error == -EBUSY ||
           error == -ENOMEM || error == -EUCLEAN;
}

bool spool_error_is_the_lanes(int error)
{
    return error == -EUCLEAN || !spool_error_is_the_disks(error);
}

enum reason spool_failure_reason(const struct spool *spool)
{
    return spool->failure == 0 || spool->failure == ENOSPC ? REASON_SPOOL_FULL : REASON_SPOOL_ERROR;
}

/* ---- the disk is full ---- */

void spool_close_intake(struct spool *spool)
{
    if (spool->group_bytes > spool->failed_bytes)
        spool->failed_bytes = spool->group_bytes;
    spool->resting = true;
    if (spool->intake_closed)
        return;
    spool->intake_closed = true;
    metric_add(spool->counters.failures, 1);
    probe_later(spool);
    LOG_EVENT(LOG_LEVEL_ERROR, "spool-full", LOG_STRING("reason", "the disk is full"),
              LOG_STRING("consequence",
                         "messages are not taken until there is room; what is queued goes on"));
}

/* With what the last group wanted free several times over, or intake would open and close with each
 * message. An empty spool gets no more by waiting: it wants less each time. */
static bool disk_has_room(struct spool *spool)
{
    int64_t wanted = 4 * spool->failed_bytes;
    struct spool_totals totals;

    spool_backend_totals(spool->backend, &totals);
    if (wanted > SPOOL_WANTED_MAXIMUM)
        wanted = SPOOL_WANTED_MAXIMUM;
    if (totals.queued == 0)
        spool->failed_bytes /= 2;
    return spool_backend_reserve(spool->backend, wanted + SPOOL_DISK_ROOM, totals.queued == 0);
}

void spool_begin_intake(struct spool *spool)
{
    if (!disk_has_room(spool))
        spool_close_intake(spool);
}

void spool_probe_intake(struct spool *spool)
{
    spool->resting = false;
    if (!disk_has_room(spool)) { /* what was settled goes back to the disk by purge */
        spool->purge_due = true;
        probe_later(spool);
        return;
    }
    spool->intake_closed = false;
    spool->failed_bytes = 0;
    probe_no_more(spool);
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-has-room", LOG_STRING("reason", "the disk has room"),
              LOG_STRING("consequence", "messages are taken"));
}

void spool_keep_room(struct spool *spool)
{
    int64_t bytes = spool->room_bytes > SPOOL_DISK_ROOM ? spool->room_bytes : SPOOL_DISK_ROOM;

    spool->room_bytes = 0;
    if (!spool->intake_closed)
        (void)!spool_backend_reserve(spool->backend, bytes, true);
}

void spool_trouble(struct spool *spool, int error)
{
    if (error == -ENOSPC)
        spool_close_intake(spool);
    else if (spool->failure == 0)
        spool_fail(spool, error);
}

int spool_transaction(struct spool *spool, int (*work)(struct spool *spool, void *context),
                      void *context)
{
    int result = spool_backend_begin(spool->backend);

    if (result == 0) {
        int done = work(spool, context);
        if (done < 0) {
            spool_backend_rollback(spool->backend);
            return done;
        }
        result = spool_backend_commit(spool->backend);
        if (result == 0)
            return done;
    }
    spool->group_bytes = 0; /* it was no group */
    spool_trouble(spool, result);
    return result;
}

/* ---- one message has no room ---- */

static int64_t room_for(int64_t bytes)
{
    return 2 * bytes + SPOOL_DISK_ROOM;
}

/* What is small is not asked for: whether it fits, the disk says. */
static bool disk_has_room_for(struct spool *spool, int64_t bytes)
{
    return bytes <= SPOOL_LARGE_BYTES || spool_backend_disk_room(spool->backend, room_for(bytes));
}

bool spool_group_takes(struct spool *spool, int64_t bytes)
{
    int64_t all = spool->group_bytes + bytes;

    return spool->group_bytes == 0 || (all <= SPOOL_GROUP_BYTES && disk_has_room_for(spool, all));
}

bool spool_takes(struct spool *spool, int64_t bytes, unsigned rows)
{
    const char *why = NULL;

    if (spool_backend_room(spool->backend, bytes, rows) == -ENOSPC) {
        why = "maximum_bytes is reached";
    } else if (!disk_has_room_for(spool, bytes)) {
        why = "the disk has no room for a message of its size";
        spool->room_bytes = room_for(bytes);
        spool->purge_due = true; /* what the spool's files can spare goes back to the disk */
    }
    if (why == NULL)
        return true;
    spool->full_bytes = bytes + (int64_t)rows * SPOOL_ROW_OVERHEAD;
    if (!spool->full)
        LOG_EVENT(LOG_LEVEL_WARNING, "spool-full", LOG_STRING("reason", why),
                  LOG_STRING("consequence", "messages are not taken until there is room"));
    spool->full = true;
    return false;
}

/* Room again for what was refused last, and with some distance to the limit, so that the log does not
 * tell of every message. What can never fit doesn't keep an empty spool full. */
void spool_check_full(struct spool *spool)
{
    struct spool_totals totals;

    if (!spool->full)
        return;
    spool_backend_totals(spool->backend, &totals);
    if (totals.bytes > 0 &&
        (spool_backend_room(spool->backend, spool->full_bytes + totals.bytes / 20, 0) < 0 ||
         !disk_has_room_for(spool, spool->full_bytes)))
        return;
    spool->full = false;
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-has-room", LOG_STRING("consequence", "messages are taken"));
}

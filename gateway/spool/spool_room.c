/*
 * A disk that fails or is full, a spool that is full: how it is noticed, and how it ends.
 */
#include "spool/spool_private.h"

#include "base/log.h"

#include <errno.h>

static void probe_later(struct spool *spool)
{
    spool->probe_due = false;
    if (timers_start(&spool->timers, &spool->probe, spool_monotonic(spool) + SPOOL_PROBE_MS) < 0)
        spool->probe_due = true; /* no memory for a timer: try at once */
}

void spool_fail(struct spool *spool, int error)
{
    probe_later(spool);
    metric_add(spool->counters.failures, 1);
    if (spool->group_bytes > spool->failed_bytes)
        spool->failed_bytes = spool->group_bytes;
    if (spool->failure == 0)
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-failed", LOG_STRING("reason", strerror(-error)),
                  LOG_STRING("consequence", "nothing is taken until it works again"));
    spool->failure = -error;
}

void spool_recover(struct spool *spool)
{
    if (spool->failure == ENOSPC &&
        !spool_backend_disk_room(spool->backend, 4 * spool->failed_bytes + SPOOL_DISK_ROOM)) {
        probe_later(spool);
        return;
    }
    spool->probe_due = false;
    if (spool->failure == 0)
        return;
    spool->failure = 0;
    spool->failed_bytes = 0;
    timers_stop(&spool->timers, &spool->probe);
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-works-again",
              LOG_STRING("consequence", "messages are taken"));
}

bool spool_error_is_the_disks(int error)
{
    return error == -ENOSPC || error == -EIO || error == -EROFS || error == -EBUSY ||
           error == -ENOMEM;
}

void spool_is_full(struct spool *spool, int64_t bytes, unsigned rows)
{
    spool->full_bytes = bytes + (int64_t)rows * SPOOL_ROW_OVERHEAD;
    if (!spool->full)
        LOG_EVENT(LOG_LEVEL_WARNING, "spool-full", LOG_STRING("reason", "maximum_bytes is reached"),
                  LOG_STRING("consequence", "messages are not taken until there is room"));
    spool->full = true;
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
    spool_fail(spool, result);
    return result;
}

enum reason spool_failure_reason(const struct spool *spool)
{
    return spool->failure == ENOSPC ? REASON_SPOOL_FULL : REASON_SPOOL_ERROR;
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
        spool_backend_room(spool->backend, spool->full_bytes + totals.bytes / 20, 0) < 0)
        return;
    spool->full = false;
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-has-room", LOG_STRING("consequence", "messages are taken"));
}

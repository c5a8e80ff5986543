/*
 * tunnels: mllp-tunneld's status, read from its socket; what is believed of it is admission/tunnel_view.h's.
 *
 * Only reads, and only from tunneld.user: who listens on the socket is asked of the kernel
 * (SO_PEERCRED), and nobody else's word is taken. A line that is malformed, too long or older than the one
 * before ends the connection; it is made again, at intervals that grow.
 * The tunnels' metrics are set from here (tunnel_metrics.h), and each change of state has its log line.
 * Threads: the admin thread, for all of it.
 */
#ifndef MLLPGW_TUNNELS_H
#define MLLPGW_TUNNELS_H

#include "admission/tunnel_view.h"
#include "base/metrics.h"
#include "loop/loop.h"

struct tunnel_reader;

/* Whom it tells, on the loop's thread. */
struct tunnel_reader_owner {
    /* What admission must know is not what it was. False: it could not be acted upon, and is told again
     * within a second. */
    bool (*changed)(void *context);
    /* A line came, made then, and what changed with it has been acted upon. */
    void (*heard)(void *context, int64_t heard_ms);
    void *context;
};

/* NULL: out of memory. */
struct tunnel_reader *tunnel_reader_new(struct loop *loop, struct metrics *metrics,
                                        const struct tunnel_reader_owner *owner);
void tunnel_reader_free(struct tunnel_reader **reader);

/* What is known of the tunnels of a configuration that may come to be used, for rules to be made before it
 * is: nobody has to wait for the next line then. Nothing else changes. NULL: out of memory. Valid until the
 * loop's next iteration; tunnel_reader_use() or tunnel_reader_forget() has to follow. */
const struct tunnel_view *tunnel_reader_prepare(struct tunnel_reader *reader,
                                                const struct config *config);
void tunnel_reader_forget(struct tunnel_reader *reader);
/* Tunnels and socket of this configuration (the prepared one, if one is) from now on. Without tunnels nothing
 * is connected to. */
void tunnel_reader_use(struct tunnel_reader *reader, const struct config *config);

/* What is known now; valid until the loop's next iteration. */
const struct tunnel_view *tunnel_reader_view(const struct tunnel_reader *reader);
/* Why nothing is heard, in words; "" while something is. */
const char *tunnel_reader_problem(const struct tunnel_reader *reader);

#endif

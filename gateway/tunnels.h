/*
 * tunnels: mllp-tunneld's status, read from its socket; what is believed of it is admission/tunnel_view.h's.
 *
 * Only reads, and only from tunneld.user: who listens on the socket is asked of the kernel
 * (SO_PEERCRED), and nobody else's word is taken. A line that is malformed, too long or older than the one
 * before ends the connection; it is made again, at intervals that grow.
 * The tunnels' metrics are set here, and each change of state has its log line.
 * Threads: the admin thread, for all of it.
 */
#ifndef MLLPGW_TUNNELS_H
#define MLLPGW_TUNNELS_H

#include "admission/tunnel_view.h"
#include "base/metrics.h"
#include "loop/loop.h"

struct tunnel_reader;

/* changed: what admission must know is not what it was; on the loop's thread. False: it could not be acted
 * upon, and is told again within a second. NULL: out of memory. */
struct tunnel_reader *tunnel_reader_new(struct loop *loop, struct metrics *metrics,
                                        bool (*changed)(void *context), void *context);
void tunnel_reader_free(struct tunnel_reader **reader);

/* Tunnels and socket of this configuration from now on. Without tunnels nothing is connected to. */
void tunnel_reader_use(struct tunnel_reader *reader, const struct config *config);

/* What is known now; valid until the loop's next iteration. */
const struct tunnel_view *tunnel_reader_view(const struct tunnel_reader *reader);
/* Why nothing is heard, in words; "" while something is. */
const char *tunnel_reader_problem(const struct tunnel_reader *reader);

#endif

/*
 * resolver: DNS names in peers' addresses, looked up off the loops, again every dns_refresh_s.
 *
 * The last good answer is kept for dns_keep_s; then the name admits nobody (semantics, Admission),
 * whether look-ups fail, hang or are not due yet.
 * Threads: made, asked and told on the admin thread's loop; the look-ups run on an offload thread
 * of their own: each may take as long as the name servers' time-outs.
 */
#ifndef MLLPGW_RESOLVER_H
#define MLLPGW_RESOLVER_H

#include "admission/admission.h"
#include "config/config.h"
#include "loop/loop.h"
#include "loop/offload.h"

struct resolver;

/* changed: some name's addresses are not what they were; on the loop's thread. False: it could not be
 * acted upon, and is told again with the next answers, or after ten seconds. offload: nobody else's who can't wait as long
 * as a look-up may take. */
struct resolver *resolver_new(struct loop *loop, struct offload *offload,
                              bool (*changed)(void *context), void *context);
void resolver_free(struct resolver **resolver);

/* Names of this configuration from now on; known ones keep what they have. Starts a look-up at
 * once. On the loop's thread. */
void resolver_use(struct resolver *resolver, const struct config *config);

/* What is known now; valid until the loop's next iteration. */
const struct admission_name *resolver_names(struct resolver *resolver, size_t *ret_count);

#endif

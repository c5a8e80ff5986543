/*
 * tunnels: the configured tunnels as they are, from what charon says over VICI.
 *
 * Whoever owns the VICI client tells what happens, in order:
 *   - the client is connected: nothing to say yet; each tunnel is unknown until it was heard of;
 *   - tunnels_begin_listing() when it asks list-sas, tunnels_take() for each item and event,
 *     tunnels_end_listing() at the answer: at once when connected, then every second or so, as
 *     counters, the beginning of a connection and SAs that end by being rekeyed come by no event;
 *   - tunnels_lost() when the client is lost: all tunnels are unknown, not down.
 * "list-sas noblock" passes over IKE SAs that charon is busy with: such a listing is not whole, and
 * what it does not have is only believed to be gone when the next four do not have it either.
 *
 * Only SAs named TUNNEL_PREFIX + the tunnel's name, IKE SA and CHILD SA alike, are looked at.
 * In events only `up = yes` tells that something is up; states still read INSTALLED in the event
 * that it is down.
 *
 * Pure: no I/O, no clock, no log. Ownership: tunnels_free(). Threads: one.
 * Time: milliseconds of any clock that never steps back.
 */
#ifndef MLLPGW_VPN_TUNNELS_H
#define MLLPGW_VPN_TUNNELS_H

#include "vpn/tunnel.h"

/* The events to follow; `alert` is there from 6.0.3. */
#define TUNNELS_EVENTS                                                                             \
    {                                                                                              \
        "ike-updown", "child-updown", "ike-rekey", "child-rekey", "ike-update", "alert"            \
    }
#define TUNNELS_EVENT_COUNT 6

struct tunnels;

/* The tunnel's state or warnings changed. before: the state until now. */
typedef void tunnels_changed(void *context, const struct tunnel *tunnel, enum tunnel_state before);

/* changed may be NULL. NULL: out of memory. */
struct tunnels *tunnels_new(tunnels_changed *changed, void *context);
void tunnels_free(struct tunnels **tunnels);

/* Other tunnels than until now; those that stay keep what is known of them. wanted must live as long
 * as it is set. 0, or -ENOMEM with everything as it was. */
__attribute__((warn_unused_result)) int tunnels_configure(struct tunnels *tunnels, int64_t now_ms,
                                                          const struct tunnel_wanted *wanted,
                                                          size_t count);
/* A tunnel that stays is told under the settings that it had until this is called: SAs from before have ended,
 * or were set up with the same terms. */
void tunnels_adopt_settings(struct tunnels *tunnels, const char *name);
size_t tunnels_count(const struct tunnels *tunnels);
const struct tunnel *tunnels_at(const struct tunnels *tunnels, size_t index);
/* NULL: there is none. */
const struct tunnel *tunnels_find(const struct tunnels *tunnels, const char *name);
/* Counts up with every change that is worth a line to whoever watches, counters not among them. */
uint64_t tunnels_version(const struct tunnels *tunnels);

void tunnels_begin_listing(struct tunnels *tunnels);
/* whole: false for "noblock". */
void tunnels_end_listing(struct tunnels *tunnels, int64_t now_ms, bool whole);
/* An event's message, or an item of list-sas (event: "list-sa"). 0; -EBADMSG (no tunnel is touched),
 * -ENOMEM or -ENOBUFS: then the picture has a hole that only the next listing mends. */
__attribute__((warn_unused_result)) int tunnels_take(struct tunnels *tunnels, int64_t now_ms,
                                                     const char *event, struct vici_text message);
void tunnels_lost(struct tunnels *tunnels, int64_t now_ms);
/* When what it proves itself with, and others to it, runs out (tunnel.h); by tunnels_judge_ends() it is
 * warned of. */
void tunnels_set_ends(struct tunnels *tunnels, const char *name, const int64_t ends_s[TUNNEL_ENDS]);
/* wall_s: seconds since 1970. */
void tunnels_judge_ends(struct tunnels *tunnels, int64_t now_ms, int64_t wall_s);
/* What went wrong with a tunnel, found out otherwise (a refused `initiate`). */
void tunnels_alert(struct tunnels *tunnels, int64_t now_ms, const char *name, const char *text);

#endif

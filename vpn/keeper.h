/*
 * keeper: what mllp-tunneld does, without I/O of its own: bytes of charon's in and out, time in, a
 * deadline out (as vici_client.h, on which it stands).
 *
 * With each connection to charon it asks `version` and `stats` first. A charon that has the updown
 * plugin is refused: whoever opens its socket could make it run any program as its user; nothing is
 * loaded or told then, all tunnels are unknown. Otherwise it
 *   - takes away what is ours there and not in the configuration (connection, SAs, shared key),
 *   - loads every tunnel: its key, then its connection; charon itself leaves alone what is the same.
 *     One that is to be other than it was loaded (its ends, key, certificate, networks, proposals: all
 *     that charon is told) is taken out, ended and set up anew: nothing goes on under the old terms,
 *   - looks every minute whether all of it is still there, and loads what is not; and whether files of
 *     CRLs changed: they are loaded, and a tunnel is ended when they revoke something new,
 *   - lists the SAs every second and follows events (tunnels.h); SAs of ours whose tunnel is not
 *     configured are ended,
 *   - starts tunnels with start = "start" that are down, after 2 s and then ever less often, up to
 *     once a minute, at most keying_tries times (0: for ever).
 * It logs what happens (tunneld_log.h), and each day again what runs out. Else it never ends a tunnel that
 * is configured, not even at its own end: tunnels outlive it. What it was loaded with is known from load to
 * load, over losses of charon, but not over its own end.
 *
 * Files with keys are read when they are loaded, and wiped from memory right afterwards.
 * Ownership: keeper_free(). The configuration given to keeper_configure() is the keeper's from then on.
 * Threads: one. Time: milliseconds of any clock that never steps back.
 */
#ifndef MLLPGW_VPN_KEEPER_H
#define MLLPGW_VPN_KEEPER_H

#include "config/config.h"
#include "vpn/tunnels.h"
#include "vpn/vici_client.h"

#define KEEPER_LIST_EVERY_MS 1000
#define KEEPER_LOOK_EVERY_MS 60000
#define KEEPER_TRY_MINIMUM_MS 2000
#define KEEPER_TRY_MAXIMUM_MS 60000
#define KEEPER_ANSWER_MS 10000
#define KEEPER_TELL_ENDS_EVERY_MS 86400000

struct keeper;

/* seed: as vici_client_settings'. NULL: out of memory. */
struct keeper *keeper_new(uint64_t seed, int64_t now_ms);
void keeper_free(struct keeper **keeper);

/* 0, and the configuration is the keeper's; or -ENOMEM with everything as it was. */
__attribute__((warn_unused_result)) int keeper_configure(struct keeper *keeper, int64_t now_ms,
                                                         struct config *config);
const struct config *keeper_config(const struct keeper *keeper); /* NULL: none yet */

/* The connection to charon, for whoever owns the socket; as in vici_client.h. */
enum vici_client_state keeper_state(const struct keeper *keeper);
int64_t keeper_deadline_ms(const struct keeper *keeper);
void keeper_tick(struct keeper *keeper, int64_t now_ms);
void keeper_connected(struct keeper *keeper, int64_t now_ms);
void keeper_lost(struct keeper *keeper, int64_t now_ms, const char *reason);
void keeper_feed(struct keeper *keeper, int64_t now_ms, const void *data, size_t length);
const void *keeper_output(const struct keeper *keeper, size_t *ret_length);
void keeper_wrote(struct keeper *keeper, size_t length);

/* The clock that people read, by which certificates run out: seconds since 1970, for the calls that follow. */
void keeper_set_wall_s(struct keeper *keeper, int64_t wall_s);

/* What there is to tell. */
const struct tunnels *keeper_tunnels(const struct keeper *keeper);
bool keeper_is_connected(const struct keeper *keeper); /* to a charon that is not refused */
const char *keeper_charon_version(const struct keeper *keeper); /* NULL: not known */
/* Counts up with every change that is worth a line of status at once. */
uint64_t keeper_version(const struct keeper *keeper);

#endif

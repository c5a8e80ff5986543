/*
 * guards: what makes a tunnel the only way: an nftables table and routes of our own.
 *
 * Nothing forces traffic into a tunnel, nor that what arrives came out of one: without guards clear text
 * to the listener's address passes for the tunnel's, and while the tunnel is down what belongs into it
 * leaves in the clear. The guards drop the one, reject the other, let out of the tunnels nothing but
 * what the listeners of tunnels' peers take (and what path MTU discovery needs, and answers to what
 * this machine asked), forward nothing from or to them, and clamp TCP segments to mss.
 *
 * Everything comes out of a tunnel that came from an ipsec* device (ESP in userspace: kernel-libipsec)
 * or through IPsec (ESP in the kernel). With the wrong one of the two nothing gets through at all:
 * that much is safe.
 *
 * Left alone: loopback; IKE and ESP themselves, neighbour discovery, answers to what this machine
 * asked in the clear, TCP ports that are to stay open without a tunnel (ssh where the tunnel leads to
 * the machine's only address).
 *
 * The table says in a comment what it was made from, so that an older one is recognised.
 * guards_make(), guards_print() and guards_compare() are pure; guards_look() runs nft.
 */
#ifndef MLLPGW_CTL_GUARDS_H
#define MLLPGW_CTL_GUARDS_H

#include "base/span.h"
#include "config/config.h"

#include <stdio.h>

#define GUARDS_TABLE "mllpgw_guard"
/* By these two the routes are known as ours. The metric: a route that somebody else made to exactly the
 * same network wins, and what takes it in the clear is rejected all the same. */
#define GUARDS_ROUTE_PROTOCOL "213"
#define GUARDS_ROUTE_METRIC "1000000"
#define GUARDS_ROUTE_MARK "proto " GUARDS_ROUTE_PROTOCOL " metric " GUARDS_ROUTE_METRIC
#define GUARDS_OPEN_PORTS 8
#define GUARDS_COMMENT_BYTES 128 /* nft takes no more */
#define GUARDS_VERSION_BYTES 33
#define GUARDS_TEXT_BYTES 256

enum guards_esp { GUARDS_USERSPACE, GUARDS_KERNEL };

struct guards_options {
    enum guards_esp esp;
    uint16_t open[GUARDS_OPEN_PORTS]; /* TCP, reachable without a tunnel */
    size_t open_count;
};

enum guards_chain {
    GUARDS_INPUT,
    GUARDS_FROM_TUNNEL, /* what input sends there: no hook of its own */
    GUARDS_FORWARD,
    GUARDS_OUTPUT,
    GUARDS_MSS_INPUT, /* what the other side may be sent, and what it may send */
    GUARDS_MSS_OUTPUT,
    GUARDS_CHAINS
};

enum guards_verdict {
    GUARDS_ACCEPT,
    GUARDS_DROP,
    GUARDS_REJECT,
    GUARDS_GO_ON,  /* to GUARDS_FROM_TUNNEL, never back */
    GUARDS_CLAMP,  /* the segment size */
    GUARDS_RETURN, /* of the rule that carries the version */
};

struct guards_rule {
    enum guards_chain chain;
    enum guards_verdict verdict;
    char *match;                        /* in nft's words; may be empty */
    char comment[GUARDS_COMMENT_BYTES]; /* the tunnel's name first */
    int mss;                            /* GUARDS_CLAMP */
};

#define GUARDS_NOT_GUARDED "NOT GUARDED" /* in a note: there is a way round */

struct guards {
    struct guards_options options;
    struct guards_rule *rules; /* those of a chain in their order */
    size_t rule_count, rule_capacity;
    char **routes; /* for `ip -batch` */
    size_t route_count, route_capacity;
    char **notes; /* what could not be guarded, and what is cut off: for people */
    size_t note_count, note_capacity;
    char version[GUARDS_VERSION_BYTES]; /* of the rules: equal ones have equal versions */
};

/* Without tunnels: no rules. 0, -ENOMEM, or -EIO when there is no digest. */
__attribute__((warn_unused_result)) int guards_make(const struct config *config,
                                                    const struct guards_options *options,
                                                    struct guards *ret_guards);
void guards_free(struct guards *guards);
/* For `nft -f`: replaces the table in one transaction, and nothing but that table. */
void guards_print(const struct guards *guards, FILE *out);

/* The listener that an option would open to clear text; NULL: none. */
const struct config_listener *guards_opened_listener(const struct config *config,
                                                     const struct guards_options *options);
/* Is there a peer that must come through a tunnel? NULL: no. */
const struct config_peer *guards_first_peer(const struct config *config);

/* ---- are they there? ---- */

enum guards_state { GUARDS_LOADED, GUARDS_MISSING, GUARDS_DIFFER, GUARDS_NOT_VERIFIED };

/* What is loaded, as JSON: what `nft -j list table inet mllpgw_guard` printed, and for IPv4 and IPv6
 * `ip -j route show` of the unreachable routes that carry our mark (GUARDS_ROUTE_MARK). */
struct guards_listing {
    struct span table, routes[2];
};

/* GUARDS_LOADED or GUARDS_DIFFER, or GUARDS_NOT_VERIFIED when something can't be read that would have
 * to be there; ret_text says in words what is the matter. */
enum guards_state guards_compare(const struct config *config, const struct guards_listing *listing,
                                 char ret_text[GUARDS_TEXT_BYTES]);
/* The same of this network namespace. Without the right to look: GUARDS_NOT_VERIFIED, never more. */
enum guards_state guards_look(const struct config *config, char ret_text[GUARDS_TEXT_BYTES]);

/* ---- what its files share ---- */

extern const char *const guards_chain_names[GUARDS_CHAINS];
/* "type filter hook input priority -10; policy accept;"; NULL: no hook. */
struct guards_hook {
    const char *hook;
    int priority;
};
extern const struct guards_hook guards_hooks[GUARDS_CHAINS];
#define GUARDS_VERSION_CHAIN "made_from"
/* The comment of the rule there. */
void guards_version_text(const struct guards *guards, char ret_text[GUARDS_COMMENT_BYTES]);
/* Its options, and nothing else; false: that is none of ours. */
__attribute__((warn_unused_result)) bool guards_version_read(const char *text,
                                                             struct guards_options *ret_options);

/* guards_rules.c: 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int guards_add_rules(struct guards *guards,
                                                         const struct config *config);
__attribute__((warn_unused_result)) int guards_add_rule(struct guards *guards,
                                                        const struct guards_rule *rule);
__attribute__((warn_unused_result, format(printf, 2, 3))) int
guards_add_route(struct guards *guards, const char *format, ...);
__attribute__((warn_unused_result, format(printf, 2, 3))) int
guards_add_note(struct guards *guards, const char *format, ...);

#endif

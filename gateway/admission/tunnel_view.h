/*
 * tunnel_view: what is believed of the configured tunnels: from mllp-tunneld's lines, and from silence.
 *
 * The rules (semantics, Tunnel status). A tunnel is unknown while no line has come for
 * TUNNEL_VIEW_SILENT_MS, while charon is lost, and until it was heard of; one that a line leaves out is
 * down. What is unknown is not down: with on_unknown = "hold" sessions stay, and new ones are let in while
 * it was up when it was last known, and that is at most hold_s ago; with "close" all go at once.
 * When it goes down its sessions go at once, or grace_s after it did.
 * A rekey changes nothing: CHILD SAs are told apart by what they carry only.
 *
 * Pure: no I/O, no log; the time is an argument (monotonic milliseconds). Ownership: it copies what it
 * needs of the configuration. Threads: one.
 */
#ifndef MLLPGW_ADMISSION_TUNNEL_VIEW_H
#define MLLPGW_ADMISSION_TUNNEL_VIEW_H

#include "admission/admission.h"
#include "vpn/status.h"

#define TUNNEL_VIEW_SILENT_MS 5000

struct tunnel_view;

/* One tunnel; plain data, to be looked at. */
struct tunnel_seen {
    char *name;
    int64_t grace_ms;
    bool ready; /* its not being up makes the gateway not ready */
    enum tunnel_state state;
    int64_t since_ms;        /* in this state */
    enum tunnel_state known; /* the last one that was not unknown; TUNNEL_UNKNOWN: never any */
    int64_t known_ms;        /* when that was told last */
    int64_t down_ms;         /* since when it is known not to be up */
    struct status_child *children;   /* in force, or when it was up last */
    struct admission_child *carried; /* the same for admission; points into children */
    size_t child_count;
};

/* before: the state until now. */
typedef void tunnel_view_changed(void *context, const struct tunnel_seen *tunnel,
                                 enum tunnel_state before);

/* NULL: out of memory. */
struct tunnel_view *tunnel_view_new(tunnel_view_changed *changed, void *context);
void tunnel_view_free(struct tunnel_view **view);

/* The tunnels of this configuration from now on; those that stay keep what is known of them. -ENOMEM: as
 * it was. */
__attribute__((warn_unused_result)) int tunnel_view_use(struct tunnel_view *view, int64_t now_ms,
                                                        const struct config *config);
/* A line; takes status over. True: admission has to know. */
__attribute__((warn_unused_result)) bool tunnel_view_take(struct tunnel_view *view, int64_t now_ms,
                                                          struct status *status);
/* Time has passed. Likewise. */
__attribute__((warn_unused_result)) bool tunnel_view_look(struct tunnel_view *view, int64_t now_ms);
/* When time alone changes something next; INT64_MAX: never. */
int64_t tunnel_view_due_ms(const struct tunnel_view *view);

/* For the rules; valid until the view is changed. */
const struct admission_tunnel *tunnel_view_known(const struct tunnel_view *view, size_t *ret_count);
size_t tunnel_view_count(const struct tunnel_view *view);
const struct tunnel_seen *tunnel_view_at(const struct tunnel_view *view, size_t index);
/* What the last line said besides (its children are with the tunnels); NULL: of no such tunnel. */
const struct status_tunnel *tunnel_view_told(const struct tunnel_view *view, const char *name);
/* Whether anything is heard, and, if so, whether charon is. */
bool tunnel_view_is_heard(const struct tunnel_view *view);
bool tunnel_view_has_charon(const struct tunnel_view *view);
const char *tunnel_view_charon_version(const struct tunnel_view *view);

#endif

/*
 * tunnel_view: what is believed of the configured tunnels: from mllp-tunneld's lines, and from silence.
 *
 * The rules (semantics, Tunnel status). A tunnel is unknown while no line has come for
 * TUNNEL_VIEW_SILENT_MS, while charon is lost, and until it was heard of; one that a line leaves out is
 * down. What is unknown is not down: with on_unknown = "hold" sessions stay, and new ones are let in while
 * it was up when it was last known, and that is at most hold_s ago; with "close" all go at once.
 * When it goes down its sessions go at once, or grace_s after it did; so do those of a CHILD SA that goes
 * while others stay. A rekey changes nothing: CHILD SAs are told apart by what they carry only.
 * A tunnel that mllp-tunneld runs with other settings (vpn/settings.h) is another one under the same name:
 * unknown, and nothing of it is held.
 *
 * How old a line is, it says itself (at_ms): what lay unread for long is no news. A line that is older than
 * TUNNEL_VIEW_SILENT_MS can end what was believed, but makes nothing known that was not.
 *
 * Pure: no I/O, no log; the time is an argument (the machine's monotonic milliseconds). Ownership: it copies
 * what it needs of the configuration. Threads: one.
 */
#ifndef MLLPGW_ADMISSION_TUNNEL_VIEW_H
#define MLLPGW_ADMISSION_TUNNEL_VIEW_H

#include "admission/admission.h"
#include "admission/tunnel_ways.h"
#include "vpn/status.h"

#define TUNNEL_VIEW_SILENT_MS ADMISSION_SILENT_MS
/* Whoever goes by the rules closes sessions of itself (on_unknown = "close") only when so much more has
 * passed: a thread of ours that is busy, as with a reload, is no silence of mllp-tunneld's. */
#define TUNNEL_VIEW_BUSY_MS INT64_C(10000)

struct tunnel_view;

/* One tunnel; plain data, to be looked at. */
struct tunnel_seen {
    char *name;
    char settings[SETTINGS_DIGEST_BYTES]; /* as configured */
    bool other_settings; /* are what mllp-tunneld runs it with; it is unknown then */
    int64_t grace_ms;
    bool ready; /* its not being up makes the gateway not ready */
    enum tunnel_state state;
    int64_t since_ms;        /* in this state */
    enum tunnel_state known; /* the last one that was not unknown; TUNNEL_UNKNOWN: never any */
    int64_t known_ms;        /* when that was told last */
    struct tunnel_ways ways; /* there, there when it was up last, or gone within the grace */
    struct admission_child *carried; /* the same for admission; points into ways */
    unsigned judged;                 /* ways.changes then */
};

/* before: the state until now. Also when other settings are found out to be why it is unknown. */
typedef void tunnel_view_changed(void *context, const struct tunnel_seen *tunnel,
                                 enum tunnel_state before);

/* NULL: out of memory. */
struct tunnel_view *tunnel_view_new(tunnel_view_changed *changed, void *context);
void tunnel_view_free(struct tunnel_view **view);

/* A view of this configuration's tunnels: those with the same settings keep what is known of them, others
 * are what the newest line says. Nothing is told of changes yet. NULL: out of memory. */
struct tunnel_view *tunnel_view_next(const struct tunnel_view *view, int64_t now_ms,
                                     const struct config *config);
/* next takes the place of *view, which is freed, and tells what is not as it was. */
void tunnel_view_replace(struct tunnel_view **view, struct tunnel_view *next);

/* A line; takes status over. True: admission has to know. */
__attribute__((warn_unused_result)) bool tunnel_view_take(struct tunnel_view *view, int64_t now_ms,
                                                          struct status *status);
/* Time has passed; also due after lines that were read. Likewise. */
__attribute__((warn_unused_result)) bool tunnel_view_look(struct tunnel_view *view, int64_t now_ms);
/* When time alone changes something next; INT64_MAX: never. */
int64_t tunnel_view_due_ms(const struct tunnel_view *view);

/* For the rules, tunnels and heard_ms of it; valid until the view is changed. */
void tunnel_view_known(const struct tunnel_view *view, struct admission_known *known);
size_t tunnel_view_count(const struct tunnel_view *view);
const struct tunnel_seen *tunnel_view_at(const struct tunnel_view *view, size_t index);
/* What the newest line says of it; NULL: nothing, or it is of a tunnel with other settings. */
const struct status_tunnel *tunnel_view_told(const struct tunnel_view *view,
                                             const struct tunnel_seen *tunnel);
/* Whether anything is heard, and, if so, whether charon is. */
bool tunnel_view_is_heard(const struct tunnel_view *view);
bool tunnel_view_has_charon(const struct tunnel_view *view);
/* The newest line was too old when it came. */
bool tunnel_view_is_late(const struct tunnel_view *view);
/* When the newest line was written; ADMISSION_NEVER: there was none. */
int64_t tunnel_view_heard_ms(const struct tunnel_view *view);

#endif

/*
 * tunnel: one configured tunnel as it is: its IKE SAs and CHILD SAs, counters, warnings.
 *
 * Up means: at least one CHILD SA of it is installed, counted by uniqueid (and SPI, as uniqueids
 * begin anew when charon does). An IKE SA alone is not a tunnel. Unknown means that charon is not
 * heard: nothing is concluded from silence.
 * SAs that ended are kept, marked, until the listing that is running, or else the next one, is
 * through: what it still says of them is old.
 * Counters are sums over all CHILD SAs that ever were (charon's restart with each of them).
 *
 * For tunnels.c, which tells it what charon said; others read the structs.
 * Threads: one. Time: milliseconds of any clock that never steps back.
 */
#ifndef MLLPGW_VPN_TUNNEL_H
#define MLLPGW_VPN_TUNNEL_H

#include "vpn/alert.h"
#include "vpn/sa.h"
#include "vpn/settings.h"

#define TUNNEL_PREFIX "mllpgw-" /* before the tunnel's name, in charon */
#define TUNNEL_SAS_MAXIMUM 256u /* of each kind, those that ended included */
#define TUNNEL_LISTINGS_WITHOUT 2u
#define TUNNEL_LISTINGS_MISSED 5u /* charon may be busy with an IKE SA for some seconds */
#define TUNNEL_ONE_WAY_MS 30000
#define TUNNEL_TRIED_MS 3000       /* an attempt that ended sooner says nothing */
#define TUNNEL_UNANSWERED_MS 10000 /* being set up for so long: it is said what is missing */
#define TUNNEL_ONE_WAY_PACKETS 3u
#define TUNNEL_SILENT_MS 2000 /* a check that takes no longer was no silence */
#define TUNNEL_FLAPS 3u       /* within TUNNEL_FLAPS_MS: it is flapping */
#define TUNNEL_FLAPS_MS 600000

enum tunnel_state {
    TUNNEL_UNKNOWN,    /* charon is not heard, or hasn't told yet */
    TUNNEL_DOWN,       /* no CHILD SA, and none is coming */
    TUNNEL_CONNECTING, /* an IKE SA or CHILD SA is being set up */
    TUNNEL_UP,
};

enum tunnel_warning {
    TUNNEL_WARNS_IKE_CIPHER = 1 << 0, /* what was agreed on is not among the proposals */
    TUNNEL_WARNS_ESP_CIPHER = 1 << 1,
    TUNNEL_WARNS_NARROWED = 1 << 2,    /* less than the wanted selectors is carried */
    TUNNEL_WARNS_ONE_WAY = 1 << 3,     /* packets go out, none come in */
    TUNNEL_WARNS_PEER_SILENT = 1 << 4, /* dead peer detection waits for an answer right now */
    TUNNEL_WARNS_FLAPPING = 1 << 5,
    TUNNEL_WARNS_CERTIFICATE = 1 << 6, /* it runs out, or has */
    TUNNEL_WARNS_REMOTE_CA = 1 << 7,   /* likewise */
    TUNNEL_WARNS_CRL = 1 << 8,         /* it has run out */
};
#define TUNNEL_WARNINGS 9
#define TUNNEL_WARNS_OF_ENDS (TUNNEL_WARNS_CERTIFICATE | TUNNEL_WARNS_REMOTE_CA | TUNNEL_WARNS_CRL)

/* What runs out: the first of our own chain, of the roots of the other side, of the CRLs. */
enum tunnel_end { TUNNEL_END_CERTIFICATE, TUNNEL_END_REMOTE_CA, TUNNEL_END_CRL };
#define TUNNEL_ENDS 3
const char *tunnel_state_text(enum tunnel_state state);

/* What the configuration says. Points into it: it must live as long as it is set. */
struct tunnel_wanted {
    const char *name; /* without the prefix */
    char settings[SETTINGS_DIGEST_BYTES];
    const struct selector *local, *remote;
    size_t local_count, remote_count;
    const char *const *ike_proposals; /* none: whatever is agreed on is fine */
    const char *const *esp_proposals; /* likewise */
    size_t ike_proposal_count, esp_proposal_count;
};

/* What a CHILD SA carried that went. */
struct tunnel_loss {
    struct sa_selectors local, remote;
    unsigned listings; /* in which nothing carried it */
};
#define TUNNEL_LOSSES_MAXIMUM 64u /* more are not told */

enum tunnel_fate {
    TUNNEL_SA_THERE,
    TUNNEL_SA_REPLACED, /* rekeyed: still there, its successor counts */
    TUNNEL_SA_ENDED,
};

struct tunnel_child {
    struct sa_child sa; /* as charon said last */
    uint64_t ike;       /* uniqueid */
    int64_t seen_ms;    /* when it said that */
    enum tunnel_fate fate;
    unsigned missed; /* listings in a row that did not have it */
    bool listed;     /* by the listing that is running, or an event since it began */
    bool stale;      /* not heard of since charon was lost */
};

struct tunnel_ike {
    struct sa_ike sa; /* without children */
    int64_t seen_ms;
    enum tunnel_fate fate;
    int64_t up_ms;     /* when an event said that it came up */
    unsigned settling; /* just came up: its CHILD SA may come for so many listings */
    unsigned missed;
    bool listed, stale;
    bool itemized;      /* by the listing that is running: what CHILD SAs it has is known */
    int64_t checked_ms; /* since when dead peer detection has been waiting, if it is */
};

struct tunnel {
    const struct tunnel_wanted *wanted;
    char settings
        [SETTINGS_DIGEST_BYTES]; /* its SAs were set up with; wanted's, once those before have ended */
    enum tunnel_state state;
    enum tunnel_state known; /* the last one that was not unknown; TUNNEL_UNKNOWN: never any */
    int64_t since_ms;        /* in this state */
    bool heard;              /* since charon was connected, enough was said to know the state */
    unsigned listings;       /* since then */
    struct tunnel_ike *ikes;
    size_t ike_count;
    struct tunnel_child *children;
    size_t child_count;
    struct tunnel_loss *losses; /* that nothing may have taken the place of */
    size_t loss_count;
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
    int64_t last_in_ms, last_out_ms; /* -1: never */
    uint64_t packets_out_then;       /* when the last packet came in, or it came up */
    int64_t unanswered_ms;           /* when the first one went out since */
    unsigned rekeys, flaps;
    int64_t
        flapped_ms[TUNNEL_FLAPS]; /* the last ones, in a ring: flaps % TUNNEL_FLAPS is the oldest */
    char alert[ALERT_TEXT_BYTES]; /* the last one in words; empty: none */
    int64_t alert_ms;
    /* The last attempt, as it was listed while it was being set up. */
    char tried_host[SA_TEXT_BYTES]; /* empty: none since it was down */
    bool tried_answered;            /* the other side agreed on an IKE proposal */
    int64_t ends_s[TUNNEL_ENDS];    /* since 1970; SA_NOT_SAID: not known, or nothing runs out */
    unsigned end_warnings;
    unsigned warnings; /* enum tunnel_warning, or-ed */
};

/* One warning in words; with the date, where it is one of ends. */
void tunnel_warning_text(const struct tunnel *tunnel, enum tunnel_warning warning,
                         char ret_text[ALERT_TEXT_BYTES]);

void tunnel_init(struct tunnel *tunnel, const struct tunnel_wanted *wanted, int64_t now_ms);
void tunnel_free(struct tunnel *tunnel);
/* What it is to be from now on is all there is. True when that is news. */
bool tunnel_adopt_settings(struct tunnel *tunnel);
/* Does this SA of charon's belong to it? */
bool tunnel_is_named(const struct tunnel *tunnel, const char *sa_name);
/* The IKE SA to show: that of an installed CHILD SA, else the newest there is; NULL: none. */
const struct tunnel_ike *tunnel_shown_ike(const struct tunnel *tunnel);
/* Does it carry traffic now, and isn't a predecessor of one that does? */
bool tunnel_child_counts(const struct tunnel_child *child);
/* Does any of its CHILD SAs? */
bool tunnel_is_carried(const struct tunnel *tunnel);

/* What charon said, piece by piece; tunnel_judge() draws the conclusions. 0, -ENOMEM, or -ENOBUFS when
 * there are too many. child's selectors are taken over. */
__attribute__((warn_unused_result)) int tunnel_put_ike(struct tunnel *tunnel, int64_t now_ms,
                                                       const struct sa_ike *ike);
__attribute__((warn_unused_result)) int tunnel_put_child(struct tunnel *tunnel, int64_t now_ms,
                                                         uint64_t ike, struct sa_child *child);
void tunnel_settle_ike(struct tunnel *tunnel, int64_t now_ms, uint64_t ike);
/* What the counters say of traffic that gets no answer begins anew. */
void tunnel_watch_answers(struct tunnel *tunnel);
/* Is there an IKE SA, up since the last alert, of which no CHILD SA came? */
bool tunnel_is_childless(const struct tunnel *tunnel);
void tunnel_replace_child(struct tunnel *tunnel, const struct sa_child *child);
void tunnel_end_child(struct tunnel *tunnel, int64_t now_ms, const struct sa_child *child);
void tunnel_end_ike(struct tunnel *tunnel, uint64_t ike);
void tunnel_move_children(struct tunnel *tunnel, uint64_t from_ike, uint64_t to_ike);
void tunnel_set_hosts(struct tunnel *tunnel, uint64_t ike, const char *local, const char *remote);
void tunnel_set_alert(struct tunnel *tunnel, int64_t now_ms, const char *text);
void tunnel_begin_listing(struct tunnel *tunnel);
/* An item of the listing told of all its CHILD SAs. */
void tunnel_itemize_ike(struct tunnel *tunnel, uint64_t ike);
/* whole: what it did not have is gone; else what TUNNEL_LISTINGS_MISSED in a row did not have;
 * TUNNEL_LISTINGS_WITHOUT are enough for IKE SAs being set up, and for CHILD SAs whose IKE SA it had. */
void tunnel_end_listing(struct tunnel *tunnel, bool whole);
void tunnel_forget(struct tunnel *tunnel); /* charon is not heard any more */
/* Is there an address of one end that some wanted one of the other can't be reached from? False where
 * charon does not say, or not readably, what is carried. */
bool tunnel_is_narrowed(const struct tunnel *tunnel);
/* What runs out, by a clock that people read; tunnel_judge() takes it up. */
void tunnel_judge_ends(struct tunnel *tunnel, int64_t wall_s);
/* Why an attempt came to nothing that no event tells of: NULL, or words. was, was_since_ms: the state before
 * the listing. */
const char *tunnel_silence(struct tunnel *tunnel, int64_t now_ms, enum tunnel_state was,
                           int64_t was_since_ms, char ret_text[ALERT_TEXT_BYTES]);
/* This one goes; its selectors may be taken over. */
void tunnel_lose_child(struct tunnel *tunnel, struct tunnel_child *child);
void tunnel_forget_losses(struct tunnel *tunnel);
/* After a listing: of a CHILD SA that went, while others carry on and none took its place for
 * TUNNEL_LISTINGS_MISSED listings: words, once; NULL: of none. */
const char *tunnel_lost(struct tunnel *tunnel, char ret_text[ALERT_TEXT_BYTES]);
/* State and warnings anew. True when either changed. */
bool tunnel_judge(struct tunnel *tunnel, int64_t now_ms);

#endif

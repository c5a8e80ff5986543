/* For keeper.c and keeper_*.c only. */
#ifndef MLLPGW_VPN_KEEPER_PRIVATE_H
#define MLLPGW_VPN_KEEPER_PRIVATE_H

#include "vpn/keeper.h"
#include "vpn/load.h"
#include "vpn/wanted.h"

enum keeper_phase {
    KEEPER_AWAY,     /* no connection */
    KEEPER_ASKING,   /* connected: version and stats are asked for */
    KEEPER_REFUSING, /* connected to a charon that is not trusted: nothing is done */
    KEEPER_KEEPING,
};

/* What is to be done in charon, one after the other: an answer belongs to the step that is in work. */
enum keeper_step_kind {
    KEEPER_GET_KEYS, /* once for each connection, before anything is loaded */
    KEEPER_GET_SHARED,
    KEEPER_GET_CONNECTIONS,
    KEEPER_UNLOAD_CONNECTION,
    KEEPER_TERMINATE,
    KEEPER_UNLOAD_SHARED,
    KEEPER_UNLOAD_KEY,
    /* From here on: of a configured tunnel. */
    KEEPER_COMPARE,            /* reads all its files; asks nothing */
    KEEPER_READ_CRLS,          /* reads its CRLs only; asks nothing */
    KEEPER_END_OLD_CONNECTION, /* where it has changed */
    KEEPER_END_OLD_SAS,        /* likewise */
    KEEPER_LOAD_SHARED,
    KEEPER_LOAD_KEY,
    KEEPER_LOAD_CERTIFICATE,
    KEEPER_LOAD_CRL,
    KEEPER_FORGET_CRLS, /* charon goes by copies of its own for as long as they hold */
    KEEPER_LOAD_CONNECTION,
    KEEPER_END_REVOKED_SAS, /* where its CRLs revoke something new */
};

struct keeper_step {
    enum keeper_step_kind kind;
    char name[LOAD_NAME_BYTES]; /* of a tunnel to load, without prefix; else as charon has it */
    size_t index;               /* of a certificate or CRL */
};

/* Tells whether a file was written since. */
struct keeper_stamp {
    uint64_t device, inode, size;
    int64_t changed_s, changed_ns;
};

/* A configured tunnel, in the order of the configuration. */
struct keeper_entry {
    const struct config_tunnel *config;
    bool loaded;                     /* on this connection to charon */
    bool terms_known;                /* it was loaded, by this process */
    uint8_t terms[LOAD_TERMS_BYTES]; /* how; load_terms() */
    struct validity_revoked revoked;
    struct keeper_stamp crl;   /* of the file that these were in, or that could not be read last */
    char key[LOAD_NAME_BYTES]; /* charon's name of its private key; empty: none */
    unsigned tries;            /* since it was up last */
    int64_t try_ms;            /* the next one; -1: as soon as it has been down for a while */
    /* What was told of it last. */
    bool told_up;
    unsigned told_warnings;
    int64_t told_alert_ms;
    char told_alert[ALERT_TEXT_BYTES];
    char told_refusal[LOAD_TEXT_BYTES];
};

struct keeper {
    int64_t now_ms; /* of the call that is in work */
    enum keeper_phase phase;
    struct vici_client *client;
    struct tunnels *tunnels;
    struct config *config;
    struct wanted *wanted;
    struct keeper_entry *entries;
    size_t count;
    char charon_version[LOAD_TEXT_BYTES];
    char told_loss[LOAD_TEXT_BYTES];
    uint64_t version;
    uint64_t told_tunnels_version;
    uint64_t seed;
    /* The listing. */
    bool listing;
    int64_t list_ms;
    /* Loading. */
    struct keeper_step *steps;
    size_t step_count, step;
    bool step_waits;  /* for its answer */
    bool load_all;    /* this time, also what is there already */
    bool load_again;  /* asked for while loading */
    bool load_broken; /* out of memory: the next look does it anew */
    int64_t look_ms;  /* when to look again */
    bool crls_only;   /* of the tunnel whose steps are in work; else all of it */
    bool changed;     /* the tunnel whose steps are in work is not to stay as it was */
    uint8_t terms[LOAD_TERMS_BYTES]; /* it is to be so */
    struct proof proof;              /* of the tunnel whose steps are in work */
    struct load_names shared_there, connections_there;
    /* What runs out. */
    int64_t wall_s;                /* 0: nobody said */
    int64_t ends_ms, tell_ends_ms; /* the next look; what is known is told again */
    /* SAs of ours, of this listing, whose tunnel is not configured. */
    struct load_names strays;
    /* Private keys have no names of ours: those that were there before us are nobody's to remove. */
    bool keys_known;
    struct load_names keys_before, keys_ours;
};

struct keeper_entry *keeper_find(struct keeper *keeper, const char *tunnel);

/* keeper_steps.c: reads what the steps after it load, and finds out whether the tunnel changes. 0, or a
 * negative errno, with why unless memory is out. */
__attribute__((warn_unused_result)) int keeper_step_read(struct keeper *keeper,
                                                         const struct keeper_step *step,
                                                         struct keeper_entry *entry,
                                                         char ret_error[PROOF_ERROR_BYTES]);
/* Is there nothing to ask charon for? */
bool keeper_step_is_idle(const struct keeper *keeper, const struct keeper_step *step);
const char *keeper_step_command(enum keeper_step_kind kind);
/* entry: of steps of tunnels; else NULL. Starts the builder: free it whatever the answer. */
__attribute__((warn_unused_result)) int keeper_step_build(const struct keeper *keeper,
                                                          const struct keeper_step *step,
                                                          const struct keeper_entry *entry,
                                                          struct vici_builder *message);

/* keeper_watch.c */
struct keeper_stamp keeper_stamp_of(const char *path);
bool keeper_stamps_differ(const struct keeper_stamp *a, const struct keeper_stamp *b);
/* Looks what has run out, when it is time, or now. */
void keeper_look_at_ends(struct keeper *keeper, bool now);
void keeper_note_stray(struct keeper *keeper, struct vici_text message);
void keeper_end_strays(struct keeper *keeper);

/* Begins to load; all: also what charon says it has. Later, when it is at it. */
void keeper_load(struct keeper *keeper, bool all);
void keeper_load_forget(struct keeper *keeper);

/* Logs what changed of the tunnels since the last time. */
void keeper_tell(struct keeper *keeper);
/* A refusal, logged once for as long as charon says the same. */
void keeper_tell_refusal(struct keeper *keeper, const char *tunnel, const char *what,
                         const char *why);

#endif

/* For keeper.c, keeper_load.c and keeper_tell.c only. */
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
    KEEPER_LOAD_SHARED,
    KEEPER_LOAD_KEY,
    KEEPER_LOAD_CERTIFICATE,
    KEEPER_LOAD_CONNECTION,
};

struct keeper_step {
    enum keeper_step_kind kind;
    char name[LOAD_NAME_BYTES]; /* of a tunnel to load, without prefix; else as charon has it */
    size_t index;               /* of a certificate */
};

/* A configured tunnel, in the order of the configuration. */
struct keeper_entry {
    const struct config_tunnel *config;
    bool loaded;               /* on this connection to charon */
    struct octets connection;  /* the message that loaded it; no secret in it */
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
    /* The listing. */
    bool listing;
    int64_t list_ms;
    /* Loading. */
    struct keeper_step *steps;
    size_t step_count, step;
    bool step_waits;    /* for its answer */
    bool load_all;      /* this time, also what is there already */
    bool load_again;    /* asked for while loading */
    bool load_broken;   /* out of memory: the next look does it anew */
    int64_t look_ms;    /* when to look again */
    const char *how;    /* the connection that is being loaded was there: for the log */
    struct proof proof; /* of the tunnel whose steps are in work */
    struct load_names shared_there, connections_there;
    /* Private keys have no names of ours: those that were there before us are nobody's to remove. */
    bool keys_known;
    struct load_names keys_before, keys_ours;
};

struct keeper_entry *keeper_find(struct keeper *keeper, const char *tunnel);

/* Begins to load; all: also what charon says it has. Later, when it is at it. */
void keeper_load(struct keeper *keeper, bool all);
void keeper_load_forget(struct keeper *keeper);

/* Logs what changed of the tunnels since the last time. */
void keeper_tell(struct keeper *keeper);
/* A refusal, logged once for as long as charon says the same. */
void keeper_tell_refusal(struct keeper *keeper, const char *tunnel, const char *what,
                         const char *why);

#endif

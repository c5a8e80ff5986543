/*
 * sa: what charon says of IKE SAs and CHILD SAs, as plain data: the messages list-sa, ike-updown,
 * child-updown, ike-rekey, child-rekey, ike-update and alert.
 *
 * Every key is optional, keys that are not known are passed over: 5.9 and 6.x differ, and a dead SA
 * says less than a live one. An SA without uniqueid is left out, as nothing could be done with it.
 * Pure. Ownership: sa_message_free() gives back what sa_message_read() made.
 * Source: strongSwan, src/libcharon/plugins/vici/README.md.
 */
#ifndef MLLPGW_VPN_SA_H
#define MLLPGW_VPN_SA_H

#include "vpn/proposal.h"
#include "vpn/selector.h"
#include "vpn/vici.h"

#define SA_NAME_BYTES 128 /* a longer name is nobody's: it reads as empty */
#define SA_TEXT_BYTES 256 /* longer: cut */
#define SA_SPI_BYTES 17
#define SA_NOT_SAID (-1)
/* What a message has more than this is left out. */
#define SA_IKES_MAXIMUM 64u
#define SA_CHILDREN_MAXIMUM 256u        /* of an IKE SA */
#define SA_SELECTORS_MAXIMUM 256u       /* of one end of a CHILD SA */
#define SA_SECONDS_MAXIMUM 10000000000u /* 300 years; what is more is not said */

/* Where it stood: rekey events have an old and a new one. */
enum sa_role { SA_IS, SA_OLD, SA_NEW };

enum sa_ike_state {
    SA_IKE_OTHER, /* not said, or a word that is not known */
    SA_IKE_CREATED,
    SA_IKE_CONNECTING,
    SA_IKE_ESTABLISHED,
    SA_IKE_PASSIVE,
    SA_IKE_REKEYING,
    SA_IKE_REKEYED,
    SA_IKE_DELETING,
    SA_IKE_DESTROYING,
};

enum sa_child_state {
    SA_CHILD_OTHER,
    SA_CHILD_CREATED,
    SA_CHILD_ROUTED,
    SA_CHILD_INSTALLING,
    SA_CHILD_INSTALLED,
    SA_CHILD_UPDATING, /* installed, its addresses are being changed */
    SA_CHILD_REKEYING, /* installed, its successor is being agreed on */
    SA_CHILD_REKEYED,  /* its successor has taken over */
    SA_CHILD_RETRYING,
    SA_CHILD_DELETING,
    SA_CHILD_DELETED,
    SA_CHILD_DESTROYING,
};

struct sa_selectors {
    struct selector *items;
    size_t count;
    bool unreadable; /* there was one more that could not be read */
};

struct sa_child {
    char name[SA_NAME_BYTES];
    enum sa_role role;
    uint64_t uniqueid; /* begins at 1 again when charon restarts */
    char spi_in[SA_SPI_BYTES];
    enum sa_child_state state;
    char cipher[PROPOSAL_TEXT_BYTES];
    bool has_counters;
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
    int64_t use_in_s, use_out_s; /* ago; or SA_NOT_SAID */
    int64_t rekey_in_s, life_in_s, installed_s;
    struct sa_selectors local, remote;
};

struct sa_ike {
    char name[SA_NAME_BYTES];
    enum sa_role role;
    uint64_t uniqueid;
    unsigned version;
    enum sa_ike_state state;
    char local_host[SA_TEXT_BYTES], remote_host[SA_TEXT_BYTES];
    char local_id[SA_TEXT_BYTES], remote_id[SA_TEXT_BYTES];
    char cipher[PROPOSAL_TEXT_BYTES];
    int64_t established_s, rekey_in_s, reauth_in_s;
    bool checks_peer;   /* dead peer detection waits for an answer */
    bool creates_child; /* a CHILD SA is being set up, or will be */
    bool peer_deletes;  /* the other side asked to end it */
    struct sa_child *children;
    size_t count;
};

struct sa_message {
    bool up; /* "up = yes": only this tells an event that something is up, not the states */
    char alert[SA_NAME_BYTES];
    char local_host[SA_TEXT_BYTES], remote_host[SA_TEXT_BYTES]; /* ike-update: the new ones */
    struct sa_ike *ikes;                                        /* also those of an alert */
    size_t count;
};

/* 0; -EBADMSG when the message is malformed; -ENOMEM. */
__attribute__((warn_unused_result)) int sa_message_read(struct vici_text message,
                                                        struct sa_message *ret_message);
void sa_message_free(struct sa_message *message);
/* Does it carry traffic? By its state alone; whether an event says that it went down is in `up`. */
bool sa_child_is_installed(const struct sa_child *child);

#endif

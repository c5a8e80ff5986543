/*
 * proposal: which algorithms were agreed on, written as they are configured
 * ("aes256gcm16-prfsha384-ecp384"), and whether that is among those wanted.
 *
 * Pure; no memory of its own. Source: strongSwan's keywords (proposal_keywords_static.txt, 5.9 and 6).
 */
#ifndef MLLPGW_VPN_PROPOSAL_H
#define MLLPGW_VPN_PROPOSAL_H

#include <stdbool.h>

#define PROPOSAL_TEXT_BYTES 160
#define PROPOSAL_NAME_BYTES 32
#define PROPOSAL_MORE_EXCHANGES 7

/* As charon's messages have it: "AES_GCM_16", "256", "HMAC_SHA2_256_128", "PRF_HMAC_SHA2_256",
 * "ECP_256", "ML_KEM_768". Empty: not there. */
struct proposal_names {
    char encryption[PROPOSAL_NAME_BYTES];
    char key_bits[PROPOSAL_NAME_BYTES];
    char integrity[PROPOSAL_NAME_BYTES];
    char random[PROPOSAL_NAME_BYTES];                        /* the pseudo random function */
    char exchange[PROPOSAL_NAME_BYTES];                      /* the Diffie-Hellman group */
    char more[PROPOSAL_MORE_EXCHANGES][PROPOSAL_NAME_BYTES]; /* additional ones of 6.x */
};

/* A name that is not known is written in lower case as it stands. */
void proposal_text(const struct proposal_names *names, char ret_text[PROPOSAL_TEXT_BYTES]);
/*
 * Would a configured proposal have let this be agreed on? A configured one may name several
 * algorithms of a kind, and "sha256" stands for "prfsha256" too where it has no prf of its own. A
 * CHILD SA that came with its IKE SA has no group: that is no difference. "default" allows all.
 */
bool proposal_allows(const char *wanted, const char *agreed);

#endif

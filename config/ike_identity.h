/*
 * ike_identity: what charon makes of an identity's text: its type, which the other side has to send as
 * well, and whether two texts are the same one.
 *
 * Pure. Source: strongSwan's identity parsing (5.9 to 6.1), without what `check` refuses: %any, patterns,
 * networks, types by number.
 */
#ifndef MLLPGW_CONFIG_IKE_IDENTITY_H
#define MLLPGW_CONFIG_IKE_IDENTITY_H

#include <stdbool.h>

enum ike_identity {
    IKE_IDENTITY_ADDRESS,
    IKE_IDENTITY_FQDN,
    IKE_IDENTITY_EMAIL,
    IKE_IDENTITY_KEY_ID,
    IKE_IDENTITY_DN
};

/* *ret_plain: what is behind "keyid:" and the like, in id. */
enum ike_identity ike_identity(const char *id, const char **ret_plain);
/* A key for the one is a key for the other. */
bool ike_identity_same(const char *a, const char *b);

#endif

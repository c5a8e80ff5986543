/*
 * check: what a configuration names: certificates, character sets, files of credentials, and, when asked
 * to, the stores behind the network.
 */
#ifndef MLLPGW_CTL_CHECK_H
#define MLLPGW_CTL_CHECK_H

#include "certs/validity.h"
#include "config/config.h"

#include <jansson.h>

#define CHECK_EXPIRES_DAYS VALIDITY_SOON_DAYS

/* TLS listeners' bundles, peers' roots, tunnels' certificates, roots and CRLs, stores' roots and client
 * certificates. now_s: seconds since
 * 1970. */
void check_certificates(const struct config *config, int64_t now_s, struct problems *problems);

/* Peers' sets that are to be converted from, and that this system's iconv lacks: warnings, as a configuration
 * may be checked on another machine. */
void check_character_sets(const struct config *config, struct problems *problems);

/* Files of Google credentials that stores name: what is broken in them. */
void check_store_credentials(const struct config *config, struct problems *problems);

/* Asks the stores; takes as long as they do. [{"store", "ok", "text"}], those that are not well are
 * among the problems too. json_decref() it. NULL when memory is out. */
json_t *check_online(const struct config *config, struct problems *problems);

#endif

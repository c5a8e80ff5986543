/*
 * check: the certificates that a configuration names, and the character sets.
 */
#ifndef MLLPGW_CTL_CHECK_H
#define MLLPGW_CTL_CHECK_H

#include "config/config.h"

#define CHECK_EXPIRES_DAYS 30

/* TLS listeners' bundles, peers' roots, tunnels' certificates and roots, stores' roots and client
 * certificates. now_s: seconds since
 * 1970. */
void check_certificates(const struct config *config, int64_t now_s, struct problems *problems);

/* Peers' sets that are to be converted from, and that this system's iconv lacks: warnings, as a configuration
 * may be checked on another machine. */
void check_character_sets(const struct config *config, struct problems *problems);

#endif

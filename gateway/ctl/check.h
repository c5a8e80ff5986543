/*
 * check: the certificates that a configuration names.
 */
#ifndef MLLPGW_CTL_CHECK_H
#define MLLPGW_CTL_CHECK_H

#include "config/config.h"

#define CHECK_EXPIRES_DAYS 30

/* TLS listeners' bundles, peers' roots, tunnels' certificates and roots, stores' roots and client
 * certificates. now_s: seconds since
 * 1970. */
void check_certificates(const struct config *config, int64_t now_s, struct problems *problems);

#endif

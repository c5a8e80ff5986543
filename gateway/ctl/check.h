/*
 * check: the certificates that a configuration names.
 */
#ifndef MLLPGW_CTL_CHECK_H
#define MLLPGW_CTL_CHECK_H

#include "certs/validity.h"
#include "config/config.h"

#define CHECK_EXPIRES_DAYS VALIDITY_SOON_DAYS

/* TLS listeners' bundles, peers' roots, tunnels' certificates, roots and CRLs, stores' roots and client
 * certificates. now_s: seconds since
 * 1970. */
void check_certificates(const struct config *config, int64_t now_s, struct problems *problems);

#endif

/*
 * wanted: the configuration's tunnels in the form in which tunnels.h watches them.
 *
 * Points into the configuration, which must live as long. Pure. Threads: none of its own.
 */
#ifndef MLLPGW_VPN_WANTED_H
#define MLLPGW_VPN_WANTED_H

#include "config/config.h"
#include "vpn/tunnel.h"

struct wanted {
    struct tunnel_wanted *items;
    size_t count;
};

/* NULL: out of memory. A subnet that config_load() let pass and no selector can be made of is left
 * out: nothing is warned of then, and nothing more is let in. */
struct wanted *wanted_new(const struct config *config);
void wanted_free(struct wanted **wanted);

#endif

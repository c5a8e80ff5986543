/* Beside the rules that let through and drop: TCP segments, routes, and notes for people. */
#include "ctl/guards_private.h"

#include <errno.h>
#include <stdlib.h>

/* ---- TCP segments ---- */

static int mss_of(const struct guards_subject *subject)
{
    int mss = subject->tunnel->mss, other = subject->pair != NULL ? subject->pair->mss : 0;
    return mss == 0 || (other > 0 && other < mss) ? other : mss;
}

static int add_clamp(const struct guards_subject *subject, enum guards_chain chain, int family,
                     int mss)
{
    bool in = chain == GUARDS_MSS_INPUT;
    const char *remote = subject->remote[family].set;
    struct guards_rule rule = {.chain = chain, .verdict = GUARDS_CLAMP, .mss = mss};
    char *where = guards_narrow(family, in ? remote : NULL, in ? NULL : remote);
    int length = -1;

    if (where != NULL)
        length = asprintf(
            &rule.match, "%s %s tcp flags & (syn|rst) == syn tcp option maxseg size > %d", where,
            in ? guards_from_tunnel(subject->guards) : guards_to_tunnel(subject->guards), mss);
    free(where);
    if (length < 0)
        return -ENOMEM;
    snprintf(rule.comment, sizeof rule.comment, "%s: mss %d", subject->tunnel->name, mss);
    int error = guards_add_rule(subject->guards, &rule);
    free(rule.match);
    return error;
}

int guards_add_mss(const struct guards_subject *subject)
{
    int mss = mss_of(subject), error = 0;
    for (int family = 0; mss > 0 && error == 0 && family < FAMILIES; family++) {
        if (!guards_has_family(&subject->remote[family]))
            continue;
        error = add_clamp(subject, GUARDS_MSS_INPUT, family, mss);
        if (error == 0)
            error = add_clamp(subject, GUARDS_MSS_OUTPUT, family, mss);
    }
    return error;
}

/* ---- routes and notes ---- */

/* The tunnel whose other end lies in the network: what carries IKE must not be unreachable. */
static const struct config_tunnel *outer_end_in(const struct config *config,
                                                const struct address_network *network)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        struct address_network remote;
        if (guards_parse(config->tunnels[i].remote, &remote) && address_holds(network, &remote))
            return &config->tunnels[i];
    }
    return NULL;
}

int guards_add_routes(const struct guards_subject *subject)
{
    const struct config_strings *subnets = &subject->tunnel->remote_subnets;
    int error = 0;
    if (subject->guards->options.esp == GUARDS_KERNEL)
        return 0; /* policies decide there, after the route is found: there has to be one */
    for (size_t i = 0; error == 0 && i < subnets->count; i++) {
        struct address_network network;
        char text[64];
        if (!guards_parse(subnets->items[i], &network) || network.bits == 0 ||
            guards_is_held(subnets, i, &network))
            continue;
        const struct config_tunnel *end = outer_end_in(subject->config, &network);
        if (end != NULL)
            error = guards_add_note(subject->guards,
                                    "tunnel %s: no unreachable route to %s: %s, the other end of "
                                    "tunnel %s, lies in it. Clear text to it is rejected all the "
                                    "same",
                                    subject->tunnel->name, guards_print_network(&network, text),
                                    end->remote, end->name);
        else
            error =
                guards_add_route(subject->guards, "route replace unreachable %s " GUARDS_ROUTE_MARK,
                                 guards_print_network(&network, text));
    }
    return error;
}

static bool is_reached_at_own_network(const struct config_tunnel *tunnel)
{
    struct address_network own, subnet;
    if (tunnel == NULL || tunnel->local == NULL || !guards_parse(tunnel->local, &own))
        return false;
    for (size_t i = 0; i < tunnel->local_subnets.count; i++) {
        if (guards_parse(tunnel->local_subnets.items[i], &subnet) && address_holds(&subnet, &own))
            return true;
    }
    return false;
}

int guards_add_notes(const struct guards_subject *subject)
{
    const char *name = subject->tunnel->name;
    int error = 0;
    for (int family = 0; error == 0 && family < FAMILIES; family++) {
        if (subject->local[family].every)
            error = guards_add_note(subject->guards,
                                    "tunnel %s: " GUARDS_NOT_GUARDED
                                    ": local_subnets has every address, so "
                                    "clear text to this machine cannot be told from it",
                                    name);
        if (error == 0 && subject->remote[family].every)
            error = guards_add_note(subject->guards,
                                    "tunnel %s: " GUARDS_NOT_GUARDED
                                    ": remote_subnets has every address, so "
                                    "clear text out of this machine cannot be told from it",
                                    name);
    }
    if (error == 0 &&
        (is_reached_at_own_network(subject->tunnel) || is_reached_at_own_network(subject->pair)))
        error = guards_add_note(subject->guards,
                                "tunnel %s: this machine's own address lies in local_subnets, and "
                                "without the tunnel nothing there is reached any more, ssh and "
                                "probes neither, but for TCP ports that --open names",
                                name);
    return error;
}

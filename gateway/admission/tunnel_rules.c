#include "admission/tunnel_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

static int copy_selectors(const struct selector *from, size_t count,
                          const struct selector **ret_selectors, size_t *ret_count)
{
    struct selector *copy = calloc(count + 1, sizeof(*copy));

    if (copy == NULL) {
        return -ENOMEM;
    }
    if (count > 0) {
        memcpy(copy, from, count * sizeof(*copy));
    }
    *ret_selectors = copy;
    *ret_count = count;
    return 0;
}

static int copy_child(struct admission_child *copy, const struct admission_child *child)
{
    int error = copy_selectors(child->local, child->local_count, &copy->local, &copy->local_count);

    return error != 0 ? error
                      : copy_selectors(child->remote, child->remote_count, &copy->remote,
                                       &copy->remote_count);
}

int tunnel_rules_make(struct tunnel_rules *rules, const char *name,
                      const struct admission_tunnel *known)
{
    int error = 0;

    *rules = (struct tunnel_rules){.name = name, .reason = REASON_TUNNEL_UNKNOWN};
    if (known == NULL) {
        return 0;
    }
    rules->reason = known->reason;
    rules->stays = known->stays;
    rules->children = calloc(known->child_count + 1, sizeof(*rules->children));
    if (rules->children == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < known->child_count && error == 0; i++) {
        error = copy_child(&rules->children[rules->child_count++], &known->children[i]);
    }
    return error;
}

static void free_selectors(const struct selector *selectors)
{
    free((void *)(uintptr_t)selectors);
}

void tunnel_rules_free(struct tunnel_rules *rules)
{
    for (size_t i = 0; i < rules->child_count; i++) {
        free_selectors(rules->children[i].local);
        free_selectors(rules->children[i].remote);
    }
    free(rules->children);
    rules->children = NULL;
    rules->child_count = 0;
}

/* ---- deciding ---- */

static uint16_t port_of(const struct sockaddr *address)
{
    in_port_t port = address->sa_family == AF_INET6
                         ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                         : ((const struct sockaddr_in *)(const void *)address)->sin_port;

    return ntohs(port);
}

static bool holds(const struct selector *selectors, size_t count, const struct sockaddr *address)
{
    uint8_t key[16];

    address_key(address, key);
    for (size_t i = 0; i < count; i++) {
        if (selector_holds(&selectors[i], key, IPPROTO_TCP, port_of(address))) {
            return true;
        }
    }
    return false;
}

static bool is_ip(const struct sockaddr *address)
{
    return address != NULL && (address->sa_family == AF_INET || address->sa_family == AF_INET6);
}

static bool carries(const struct tunnel_rules *tunnel, const struct sockaddr *source,
                    const struct sockaddr *local)
{
    for (size_t i = 0; i < tunnel->child_count; i++) {
        const struct admission_child *child = &tunnel->children[i];
        if (holds(child->remote, child->remote_count, source) &&
            holds(child->local, child->local_count, local)) {
            return true;
        }
    }
    return false;
}

enum reason tunnel_rules_decide(const struct tunnel_rules *const *tunnels, size_t count,
                                const struct sockaddr *source, const struct sockaddr *local,
                                bool open)
{
    enum reason reason = REASON_TUNNEL_DOWN;

    for (size_t i = 0; i < count; i++) {
        if (tunnels[i] == NULL) {
            continue;
        }
        if ((tunnels[i]->reason == REASON_NONE || (open && tunnels[i]->stays)) && is_ip(source) &&
            is_ip(local) && carries(tunnels[i], source, local)) {
            return REASON_NONE;
        }
        if (tunnels[i]->reason == REASON_TUNNEL_UNKNOWN) {
            reason = REASON_TUNNEL_UNKNOWN; /* whose tunnel it would be is not known either */
        }
    }
    return reason;
}

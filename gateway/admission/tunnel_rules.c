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

    copy->enters_until_ms = child->enters_until_ms;
    copy->stays_until_ms = child->stays_until_ms;
    return error != 0 ? error
                      : copy_selectors(child->remote, child->remote_count, &copy->remote,
                                       &copy->remote_count);
}

/* One that is no selector is left out, which lets in less. */
static int parse_subnets(const struct config_strings *texts, const struct selector **ret_selectors,
                         size_t *ret_count)
{
    struct selector *selectors = calloc(texts->count + 1, sizeof(*selectors));

    if (selectors == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->items[i];
        if (selector_parse(text, strlen(text), &selectors[*ret_count]) == NULL) {
            (*ret_count)++;
        }
    }
    *ret_selectors = selectors;
    return 0;
}

int tunnel_rules_make(struct tunnel_rules *rules, const struct config_tunnel *wanted,
                      const struct admission_tunnel *known)
{
    int error;

    *rules = (struct tunnel_rules){.name = wanted->name, .reason = REASON_TUNNEL_UNKNOWN};
    error = parse_subnets(&wanted->local_subnets, &rules->wanted.local, &rules->wanted.local_count);
    if (error == 0) {
        error = parse_subnets(&wanted->remote_subnets, &rules->wanted.remote,
                              &rules->wanted.remote_count);
    }
    if (known == NULL || error != 0) {
        return error;
    }
    rules->reason = known->reason;
    rules->live = known->live;
    rules->enters_ms = known->enters_ms;
    rules->stays_ms = known->stays_ms;
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

static void free_child(struct admission_child *child)
{
    free_selectors(child->local);
    free_selectors(child->remote);
}

void tunnel_rules_free(struct tunnel_rules *rules)
{
    for (size_t i = 0; i < rules->child_count; i++) {
        free_child(&rules->children[i]);
    }
    free(rules->children);
    rules->children = NULL;
    rules->child_count = 0;
    free_child(&rules->wanted);
    rules->wanted = (struct admission_child){0};
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

static bool carries(const struct admission_child *child, const struct sockaddr *source,
                    const struct sockaddr *local)
{
    return holds(child->remote, child->remote_count, source) &&
           holds(child->local, child->local_count, local);
}

/* Without overflow: for ever is a span, too. */
static int64_t after(int64_t time_ms, int64_t span_ms)
{
    return span_ms > INT64_MAX - (time_ms > 0 ? time_ms : 0) ? ADMISSION_FOREVER
                                                             : time_ms + span_ms;
}

static int64_t believed_until_ms(const struct tunnel_rules *tunnel, bool open, int64_t heard_ms)
{
    if (!tunnel->live) {
        return ADMISSION_FOREVER;
    }
    return after(heard_ms, open ? tunnel->stays_ms : tunnel->enters_ms);
}

static bool lets(const struct tunnel_rules *tunnel, const struct admission_query *query,
                 int64_t heard_ms)
{
    if (!is_ip(query->source) || !is_ip(query->local) ||
        query->now_ms >= believed_until_ms(tunnel, query->open, heard_ms) ||
        !carries(&tunnel->wanted, query->source, query->local)) {
        return false;
    }
    for (size_t i = 0; i < tunnel->child_count; i++) {
        const struct admission_child *child = &tunnel->children[i];
        int64_t until_ms = query->open ? child->stays_until_ms : child->enters_until_ms;
        if (query->now_ms < until_ms && carries(child, query->source, query->local)) {
            return true;
        }
    }
    return false;
}

static bool is_unknown(const struct tunnel_rules *tunnel, int64_t now_ms, int64_t heard_ms)
{
    return tunnel->reason == REASON_TUNNEL_UNKNOWN ||
           (tunnel->live && now_ms >= heard_ms + ADMISSION_SILENT_MS);
}

enum reason tunnel_rules_decide(const struct tunnel_rules *const *tunnels, size_t count,
                                const struct admission_query *query, int64_t heard_ms)
{
    enum reason reason = REASON_TUNNEL_DOWN;

    for (size_t i = 0; i < count; i++) {
        if (tunnels[i] == NULL) {
            continue;
        }
        if (lets(tunnels[i], query, heard_ms)) {
            return REASON_NONE;
        }
        if (is_unknown(tunnels[i], query->now_ms, heard_ms)) {
            reason = REASON_TUNNEL_UNKNOWN; /* whose tunnel it would be is not known either */
        }
    }
    return reason;
}

static int64_t earlier_after(int64_t now_ms, int64_t a_ms, int64_t b_ms)
{
    return b_ms > now_ms && b_ms < a_ms ? b_ms : a_ms;
}

int64_t tunnel_rules_stays_until_ms(const struct tunnel_rules *rules, int64_t now_ms,
                                    int64_t heard_ms)
{
    int64_t until_ms =
        earlier_after(now_ms, ADMISSION_FOREVER, believed_until_ms(rules, true, heard_ms));

    for (size_t i = 0; i < rules->child_count; i++) {
        until_ms = earlier_after(now_ms, until_ms, rules->children[i].stays_until_ms);
    }
    return until_ms;
}

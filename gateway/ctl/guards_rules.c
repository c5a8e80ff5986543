/* The rules that a configuration's tunnels, listeners and peers ask for. */
#include "ctl/guards_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define IKE_PORTS "{ 500, 4500 }"

const char *guards_from_tunnel(const struct guards *guards)
{
    return guards->options.esp == GUARDS_KERNEL ? "meta ipsec exists" : "iifname \"ipsec*\"";
}

const char *guards_to_tunnel(const struct guards *guards)
{
    return guards->options.esp == GUARDS_KERNEL ? "rt ipsec exists" : "oifname \"ipsec*\"";
}

static const char *past_tunnel(const struct guards *guards)
{
    return guards->options.esp == GUARDS_KERNEL ? "rt ipsec missing" : "oifname != \"ipsec*\"";
}

/* ---- rules ---- */

__attribute__((format(printf, 5, 6))) static int add(struct guards *guards, enum guards_chain chain,
                                                     enum guards_verdict verdict,
                                                     const char *comment, const char *format, ...)
{
    struct guards_rule rule = {.chain = chain, .verdict = verdict};
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&rule.match, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -ENOMEM;
    snprintf(rule.comment, sizeof rule.comment, "%s", comment);
    int error = guards_add_rule(guards, &rule);
    free(rule.match);
    return error;
}

/* "st-marys: words" */
struct comment {
    char text[GUARDS_COMMENT_BYTES];
};
__attribute__((format(printf, 2, 3))) static struct comment
named(const struct guards_subject *subject, const char *format, ...)
{
    struct comment comment;
    va_list arguments;
    int length = snprintf(comment.text, sizeof comment.text, "%s: ", subject->tunnel->name);

    va_start(arguments, format);
    vsnprintf(&comment.text[length], sizeof comment.text - (size_t)length, format, arguments);
    va_end(arguments);
    return comment;
}

/* Input's beginning: whoever reads on came in the clear, and is not IKE. */
static int add_input_head(struct guards *guards)
{
    int error =
        add(guards, GUARDS_INPUT, GUARDS_ACCEPT, "all: this machine to itself", "iifname \"lo\"");
    if (error == 0)
        error = add(guards, GUARDS_INPUT, GUARDS_GO_ON, "all: out of a tunnel", "%s",
                    guards_from_tunnel(guards));
    if (error == 0)
        error = add(guards, GUARDS_INPUT, GUARDS_ACCEPT, "all: IKE, and ESP in UDP",
                    "udp dport " IKE_PORTS);
    if (error == 0)
        error = add(guards, GUARDS_INPUT, GUARDS_ACCEPT, "all: ESP", "meta l4proto esp");
    return error;
}

static int add_mtu(struct guards *guards, enum guards_chain chain)
{
    int error = add(guards, chain, GUARDS_ACCEPT, "all: path MTU",
                    "icmp type destination-unreachable icmp code frag-needed");
    return error != 0
               ? error
               : add(guards, chain, GUARDS_ACCEPT, "all: path MTU", "icmpv6 type packet-too-big");
}

/* Only in the direction of an answer: a connection that others opened has to be allowed to be opened. */
static int add_answers(struct guards *guards, enum guards_chain chain)
{
    return add(guards, chain, GUARDS_ACCEPT, "all: answers to what this machine asked",
               "ct direction reply ct state established,related");
}

/* In the clear, to a tunnel's own networks, and not from its remote ones. */
static int add_input_exceptions(struct guards *guards)
{
    const struct guards_options *options = &guards->options;
    int error = add_answers(guards, GUARDS_INPUT);

    if (error == 0)
        error = add_mtu(guards, GUARDS_INPUT);
    if (error == 0)
        error = add(guards, GUARDS_INPUT, GUARDS_ACCEPT, "all: neighbours on the wire",
                    "icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } "
                    "ip6 hoplimit 255");
    for (size_t i = 0; error == 0 && i < options->open_count; i++)
        error = add(guards, GUARDS_INPUT, GUARDS_ACCEPT, "all: to be open without a tunnel",
                    "tcp dport %u", options->open[i]);
    return error;
}

static int add_forward_head(struct guards *guards)
{
    int error = add(guards, GUARDS_FORWARD, GUARDS_DROP, "all: out of a tunnel to elsewhere", "%s",
                    guards_from_tunnel(guards));
    return error != 0 ? error
                      : add(guards, GUARDS_FORWARD, GUARDS_DROP, "all: from elsewhere to a tunnel",
                            "%s", guards_to_tunnel(guards));
}

static int add_output_head(struct guards *guards)
{
    int error =
        add(guards, GUARDS_OUTPUT, GUARDS_ACCEPT, "all: this machine to itself", "oifname \"lo\"");
    if (error == 0)
        error = add(guards, GUARDS_OUTPUT, GUARDS_ACCEPT, "all: IKE, and ESP in UDP",
                    "udp sport " IKE_PORTS);
    if (error == 0)
        error = add(guards, GUARDS_OUTPUT, GUARDS_ACCEPT, "all: ESP", "meta l4proto esp");
    return error;
}

/* ---- a tunnel's own ---- */

/* In the clear although it says that it comes from there: nothing answers it, so nothing is lost. */
static int add_spoofed(const struct guards_subject *subject)
{
    int error = 0;
    for (int family = 0; error == 0 && family < FAMILIES; family++) {
        const char *remote = subject->remote[family].set, *word = guards_family_words[family];
        if (remote != NULL)
            error = add(subject->guards, GUARDS_INPUT, GUARDS_DROP,
                        named(subject, "clear text from its remote networks").text, "%s saddr %s",
                        word, remote);
    }
    return error;
}

static int add_clear_in(const struct guards_subject *subject)
{
    int error = 0;
    for (int family = 0; error == 0 && family < FAMILIES; family++) {
        const char *local = subject->local[family].set, *word = guards_family_words[family];
        if (local != NULL)
            error = add(subject->guards, GUARDS_INPUT, GUARDS_DROP,
                        named(subject, "clear text to its local networks").text, "%s daddr %s",
                        word, local);
    }
    return error;
}

static int add_forward(const struct guards_subject *subject)
{
    static const char *const ways[] = {"daddr", "saddr"};
    int error = 0;
    for (int n = 0; error == 0 && n < 2 * FAMILIES; n++) {
        int family = n / 2;
        if (subject->remote[family].set != NULL)
            error = add(subject->guards, GUARDS_FORWARD, GUARDS_DROP,
                        named(subject, "clear text passing through").text, "%s %s %s",
                        guards_family_words[family], ways[n % 2], subject->remote[family].set);
    }
    return error;
}

static int add_clear_out(const struct guards_subject *subject)
{
    int error = 0;
    for (int family = 0; error == 0 && family < FAMILIES; family++) {
        if (subject->remote[family].set != NULL)
            error = add(subject->guards, GUARDS_OUTPUT, GUARDS_REJECT,
                        named(subject, "clear text to its remote networks").text, "%s daddr %s %s",
                        guards_family_words[family], subject->remote[family].set,
                        past_tunnel(subject->guards));
    }
    return error;
}

static int add_listener_family(const struct guards_subject *subject, int family,
                               const struct config_listener *listener,
                               const struct address_endpoint *own, bool any)
{
    char host[64];
    const char *to = any ? subject->local[family].set : guards_print_network(&own->host, host);
    char *where = guards_narrow(family, subject->remote[family].set, to);

    if (where == NULL)
        return -ENOMEM;
    int error = add(subject->guards, GUARDS_FROM_TUNNEL, GUARDS_ACCEPT,
                    named(subject, "listener %s", listener->name).text, "%s tcp dport %u", where,
                    own->port);
    free(where);
    return error;
}

/* "[::]" takes IPv4, too. */
static int add_listener(const struct guards_subject *subject,
                        const struct config_listener *listener)
{
    static const uint8_t any[16];
    char text[ADDRESS_ERROR_BYTES];
    struct address_endpoint own;
    int error = 0;

    if (address_parse_endpoint(listener->address, &own, text) != NULL)
        return 0;
    bool is_any = memcmp(own.host.bytes, any, sizeof any) == 0;
    for (int family = 0; error == 0 && family < FAMILIES; family++) {
        bool served = own.host.v6 == (family == FAMILY_6) || (is_any && own.host.v6);
        if (served && guards_has_family(&subject->remote[family]) &&
            guards_has_family(&subject->local[family]))
            error = add_listener_family(subject, family, listener, &own, is_any);
    }
    return error;
}

static bool serves(const struct guards_subject *subject, const struct config_listener *listener)
{
    for (size_t i = 0; i < listener->peers.count; i++) {
        const struct config_peer *peer =
            config_find_peer(subject->config, listener->peers.items[i]);
        const struct config_tunnel *tunnel =
            peer != NULL ? config_find_tunnel(subject->config, peer->tunnel) : NULL;
        if (tunnel != NULL && (tunnel == subject->tunnel || tunnel == subject->pair))
            return true;
    }
    return false;
}

static int add_from_tunnel(const struct guards_subject *subject)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < subject->config->listener_count; i++) {
        if (serves(subject, &subject->config->listeners[i]))
            error = add_listener(subject, &subject->config->listeners[i]);
    }
    for (int family = 0; error == 0 && family < FAMILIES; family++) {
        if (subject->remote[family].set != NULL)
            error = add(subject->guards, GUARDS_FROM_TUNNEL, GUARDS_DROP,
                        named(subject, "all else out of it").text, "%s saddr %s",
                        guards_family_words[family], subject->remote[family].set);
    }
    return error;
}

/* ---- all together ---- */

/* Pairs once, by the first of the two. */
static bool is_second_of_pair(const struct config *config, const struct config_tunnel *tunnel)
{
    const struct config_tunnel *pair = config_tunnel_pair(config, tunnel);
    return pair != NULL && pair < tunnel;
}

static int for_each(const struct guards_subject *subjects, size_t count,
                    int (*add_its)(const struct guards_subject *subject))
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = add_its(&subjects[i]);
    return error;
}

static int add_all(struct guards *guards, const struct guards_subject *subjects, size_t count)
{
    int error = add_input_head(guards);
    if (error == 0)
        error = for_each(subjects, count, add_spoofed);
    if (error == 0)
        error = add_input_exceptions(guards);
    if (error == 0)
        error = for_each(subjects, count, add_clear_in);
    if (error == 0)
        error = add_answers(guards, GUARDS_FROM_TUNNEL);
    if (error == 0)
        error = add_mtu(guards, GUARDS_FROM_TUNNEL);
    if (error == 0)
        error = for_each(subjects, count, add_from_tunnel);
    if (error == 0)
        error =
            add(guards, GUARDS_FROM_TUNNEL, GUARDS_DROP, "all: all else out of a tunnel", "%s", "");
    if (error == 0)
        error = add_forward_head(guards);
    if (error == 0)
        error = for_each(subjects, count, add_forward);
    if (error == 0)
        error = add_output_head(guards);
    if (error == 0)
        error = for_each(subjects, count, add_clear_out);
    if (error == 0)
        error = for_each(subjects, count, guards_add_mss);
    if (error == 0)
        error = for_each(subjects, count, guards_add_routes);
    if (error == 0)
        error = for_each(subjects, count, guards_add_notes);
    return error;
}

int guards_add_rules(struct guards *guards, const struct config *config)
{
    struct guards_subject *subjects = calloc(config->tunnel_count, sizeof *subjects);
    size_t count = 0;
    int error = 0;

    if (subjects == NULL)
        return -ENOMEM;
    for (size_t i = 0; error == 0 && i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];
        if (is_second_of_pair(config, tunnel))
            continue;
        subjects[count] = (struct guards_subject){.guards = guards,
                                                  .config = config,
                                                  .tunnel = tunnel,
                                                  .pair = config_tunnel_pair(config, tunnel)};
        error = guards_subject_make(&subjects[count++]);
    }
    if (error == 0)
        error = add_all(guards, subjects, count);
    for (size_t i = 0; i < count; i++)
        guards_subject_free(&subjects[i]);
    free(subjects);
    return error;
}

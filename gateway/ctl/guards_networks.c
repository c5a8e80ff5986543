/* Tunnels' networks in nft's words. */
#include "ctl/guards_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

const char *const guards_family_words[FAMILIES] = {"ip", "ip6"};

bool guards_parse(const char *text, struct address_network *ret_network)
{
    char error[ADDRESS_ERROR_BYTES];
    return text != NULL && address_parse_network(text, ret_network, error) == NULL;
}

const char *guards_print_network(const struct address_network *network, char ret_text[64])
{
    char host[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(network->v6 ? AF_INET6 : AF_INET, network->bytes, host, sizeof host);
    if (network->bits == (network->v6 ? 128 : 32))
        snprintf(ret_text, 64, "%s", host);
    else
        snprintf(ret_text, 64, "%s/%u", host, network->bits);
    return ret_text;
}

/* Of two equal ones the first stays. */
bool guards_is_held(const struct config_strings *subnets, size_t which,
                    const struct address_network *network)
{
    struct address_network other;

    for (size_t i = 0; i < subnets->count; i++) {
        if (i != which && guards_parse(subnets->items[i], &other) &&
            address_holds(&other, network) && (i < which || !address_same(&other, network)))
            return true;
    }
    return false;
}

bool guards_has_family(const struct guards_networks *networks)
{
    return networks->set != NULL || networks->every;
}

static size_t print_set(const struct config_strings *subnets, int family, FILE *out,
                        bool *ret_every)
{
    size_t count = 0;

    for (size_t i = 0; i < subnets->count; i++) {
        struct address_network network;
        char text[64];
        if (!guards_parse(subnets->items[i], &network) || network.v6 != (family == FAMILY_6))
            continue;
        *ret_every = *ret_every || network.bits == 0;
        if (!guards_is_held(subnets, i, &network))
            fprintf(out, "%s%s", count++ == 0 ? "{ " : ", ", guards_print_network(&network, text));
    }
    fputs(" }", out);
    return count;
}

static int collect(const struct config_strings *subnets, int family,
                   struct guards_networks *ret_networks)
{
    struct guards_networks networks = {0};
    size_t length = 0;
    FILE *out = open_memstream(&networks.set, &length);

    if (out == NULL)
        return -ENOMEM;
    size_t count = print_set(subnets, family, out, &networks.every);
    if (fclose(out) != 0) {
        free(networks.set);
        return -ENOMEM;
    }
    if (count == 0 || networks.every) {
        free(networks.set);
        networks.set = NULL;
    }
    *ret_networks = networks;
    return 0;
}

int guards_subject_make(struct guards_subject *subject)
{
    int error = 0;

    for (int family = 0; error == 0 && family < FAMILIES; family++) {
        error = collect(&subject->tunnel->local_subnets, family, &subject->local[family]);
        if (error == 0)
            error = collect(&subject->tunnel->remote_subnets, family, &subject->remote[family]);
    }
    return error;
}

void guards_subject_free(struct guards_subject *subject)
{
    for (int family = 0; family < FAMILIES; family++) {
        free(subject->local[family].set);
        free(subject->remote[family].set);
        subject->local[family].set = subject->remote[family].set = NULL;
    }
}

/* Every address of a family still is of that family. */
char *guards_narrow(int family, const char *from, const char *to)
{
    const char *word = guards_family_words[family];
    char *text = NULL;
    int length;

    if (from != NULL && to != NULL)
        length = asprintf(&text, "%s saddr %s %s daddr %s", word, from, word, to);
    else if (from != NULL || to != NULL)
        length = asprintf(&text, "%s %s %s", word, from != NULL ? "saddr" : "daddr",
                          from != NULL ? from : to);
    else
        length = asprintf(&text, "meta nfproto %s", family == FAMILY_6 ? "ipv6" : "ipv4");
    return length < 0 ? NULL : text;
}

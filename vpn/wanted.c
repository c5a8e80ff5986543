#include "vpn/wanted.h"

#include <stdlib.h>
#include <string.h>

/* NULL: out of memory. */
static struct selector *selectors(const struct config_strings *texts, size_t *ret_count)
{
    struct selector *items = calloc(texts->count + 1, sizeof *items);
    size_t count = 0;

    for (size_t i = 0; items != NULL && i < texts->count; i++) {
        if (selector_parse(texts->items[i], strlen(texts->items[i]), &items[count]) == NULL)
            count++;
    }
    *ret_count = count;
    return items;
}

static bool fill(struct tunnel_wanted *item, const struct config_tunnel *tunnel)
{
    *item = (struct tunnel_wanted){
        .name = tunnel->name,
        .ike_proposals = (const char *const *)tunnel->ike_proposals.items,
        .ike_proposal_count = tunnel->ike_proposals.count,
        .esp_proposals = (const char *const *)tunnel->esp_proposals.items,
        .esp_proposal_count = tunnel->esp_proposals.count,
    };
    settings_digest(tunnel, item->settings);
    item->local = selectors(&tunnel->local_subnets, &item->local_count);
    item->remote = selectors(&tunnel->remote_subnets, &item->remote_count);
    return item->local != NULL && item->remote != NULL;
}

struct wanted *wanted_new(const struct config *config)
{
    struct wanted *wanted = calloc(1, sizeof *wanted);

    if (wanted == NULL)
        return NULL;
    wanted->items = calloc(config->tunnel_count + 1, sizeof *wanted->items);
    while (wanted->items != NULL && wanted->count < config->tunnel_count) {
        size_t i = wanted->count++;
        if (!fill(&wanted->items[i], &config->tunnels[i]))
            break;
        if (wanted->count == config->tunnel_count)
            return wanted;
    }
    if (wanted->items != NULL && config->tunnel_count == 0)
        return wanted;
    wanted_free(&wanted);
    return NULL;
}

void wanted_free(struct wanted **wanted)
{
    if (*wanted == NULL)
        return;
    for (size_t i = 0; i < (*wanted)->count; i++) {
        free((void *)(*wanted)->items[i].local);
        free((void *)(*wanted)->items[i].remote);
    }
    free((*wanted)->items);
    free(*wanted);
    *wanted = NULL;
}

/* CHILD SAs that went while others of the tunnel carry on. */
#include "vpn/tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool all_among(const struct sa_selectors *some, const struct sa_selectors *others)
{
    for (size_t i = 0; i < some->count; i++) {
        bool found = false;
        for (size_t k = 0; k < others->count && !found; k++)
            found = selector_is_same(&some->items[i], &others->items[k]);
        if (!found)
            return false;
    }
    return true;
}

static bool is_same(const struct sa_selectors *one, const struct sa_selectors *other)
{
    return all_among(one, other) && all_among(other, one);
}

static bool is_carried(const struct tunnel *tunnel, const struct tunnel_loss *loss)
{
    for (size_t i = 0; i < tunnel->child_count; i++) {
        const struct tunnel_child *child = &tunnel->children[i];
        if (tunnel_child_counts(child) && is_same(&child->sa.local, &loss->local) &&
            is_same(&child->sa.remote, &loss->remote))
            return true;
    }
    return false;
}

static bool is_known(const struct tunnel *tunnel, const struct sa_child *child)
{
    for (size_t i = 0; i < tunnel->loss_count; i++) {
        if (is_same(&tunnel->losses[i].local, &child->local) &&
            is_same(&tunnel->losses[i].remote, &child->remote))
            return true;
    }
    return false;
}

/* Out of memory: it is not told. */
void tunnel_lose_child(struct tunnel *tunnel, struct tunnel_child *child)
{
    struct tunnel_loss *grown;

    if (child->stale || child->fate == TUNNEL_SA_REPLACED || !sa_child_is_installed(&child->sa) ||
        tunnel->loss_count == TUNNEL_LOSSES_MAXIMUM || is_known(tunnel, &child->sa))
        return;
    grown = reallocarray(tunnel->losses, tunnel->loss_count + 1, sizeof *grown);
    if (grown == NULL)
        return;
    tunnel->losses = grown;
    grown[tunnel->loss_count++] =
        (struct tunnel_loss){.local = child->sa.local, .remote = child->sa.remote};
    child->sa.local = child->sa.remote = (struct sa_selectors){0};
}

static void free_loss(struct tunnel_loss *loss)
{
    free(loss->local.items);
    free(loss->remote.items);
}

void tunnel_forget_losses(struct tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->loss_count; i++)
        free_loss(&tunnel->losses[i]);
    free(tunnel->losses);
    tunnel->losses = NULL;
    tunnel->loss_count = 0;
}

static void first_of(const struct sa_selectors *selectors, char ret_text[SELECTOR_TEXT_BYTES])
{
    snprintf(ret_text, SELECTOR_TEXT_BYTES, "?");
    if (selectors->count > 0)
        selector_print(&selectors->items[0], ret_text);
}

const char *tunnel_lost(struct tunnel *tunnel, char ret_text[ALERT_TEXT_BYTES])
{
    char local[SELECTOR_TEXT_BYTES], remote[SELECTOR_TEXT_BYTES];
    const char *text = NULL;
    size_t kept = 0;

    if (!tunnel_is_carried(tunnel))
        tunnel_forget_losses(tunnel); /* what is said of it now is that it is down */
    for (size_t i = 0; i < tunnel->loss_count; i++) {
        struct tunnel_loss *loss = &tunnel->losses[i];
        bool carried = is_carried(tunnel, loss);
        if (!carried && (++loss->listings < TUNNEL_LISTINGS_MISSED || text != NULL)) {
            tunnel->losses[kept++] = *loss;
            continue;
        }
        if (!carried) {
            first_of(&loss->local, local);
            first_of(&loss->remote, remote);
            snprintf(ret_text, ALERT_TEXT_BYTES,
                     "a CHILD SA went and none took its place: %.48s - %.48s", local, remote);
            text = ret_text;
        }
        free_loss(loss);
    }
    tunnel->loss_count = kept;
    return text;
}

#include "vpn/tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tunnel_init(struct tunnel *tunnel, const struct tunnel_wanted *wanted, int64_t now_ms)
{
    *tunnel = (struct tunnel){.wanted = wanted,
                              .since_ms = now_ms,
                              .last_in_ms = -1,
                              .last_out_ms = -1,
                              .ends_s = {SA_NOT_SAID, SA_NOT_SAID, SA_NOT_SAID}};
    (void)tunnel_adopt_settings(tunnel);
}

bool tunnel_adopt_settings(struct tunnel *tunnel)
{
    if (strcmp(tunnel->settings, tunnel->wanted->settings) == 0)
        return false;
    memcpy(tunnel->settings, tunnel->wanted->settings, sizeof tunnel->settings);
    return true;
}

static void free_child(struct tunnel_child *child)
{
    free(child->sa.local.items);
    free(child->sa.remote.items);
}

void tunnel_free(struct tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->child_count; i++)
        free_child(&tunnel->children[i]);
    free(tunnel->children);
    free(tunnel->ikes);
    tunnel_forget_losses(tunnel);
    *tunnel = (struct tunnel){0};
}

bool tunnel_is_named(const struct tunnel *tunnel, const char *sa_name)
{
    size_t length = strlen(TUNNEL_PREFIX);
    return strncmp(sa_name, TUNNEL_PREFIX, length) == 0 &&
           strcmp(sa_name + length, tunnel->wanted->name) == 0;
}

/* --- IKE SAs ------------------------------------------------------------------------------ */

static struct tunnel_ike *find_ike(struct tunnel *tunnel, uint64_t uniqueid)
{
    for (size_t i = 0; i < tunnel->ike_count; i++) {
        if (tunnel->ikes[i].sa.uniqueid == uniqueid)
            return &tunnel->ikes[i];
    }
    return NULL;
}

/* The array with one more, zeroed, at its end; NULL with the error. */
static void *grow(void *items, size_t *count, size_t size, int *ret_error)
{
    void *grown = NULL;

    *ret_error = -ENOBUFS;
    if (*count < TUNNEL_SAS_MAXIMUM) {
        *ret_error = -ENOMEM;
        grown = reallocarray(items, *count + 1, size);
    }
    if (grown != NULL)
        memset((char *)grown + (*count)++ * size, 0, size);
    return grown;
}

int tunnel_put_ike(struct tunnel *tunnel, int64_t now_ms, const struct sa_ike *ike)
{
    struct tunnel_ike *found = find_ike(tunnel, ike->uniqueid);

    if (found == NULL) {
        int error;
        struct tunnel_ike *ikes = grow(tunnel->ikes, &tunnel->ike_count, sizeof *ikes, &error);
        if (ikes == NULL)
            return error;
        tunnel->ikes = ikes;
        found = &ikes[tunnel->ike_count - 1];
    }
    if (!found->sa.checks_peer || found->stale)
        found->checked_ms = now_ms;
    found->sa = *ike;
    found->sa.children = NULL;
    found->sa.count = 0;
    found->seen_ms = now_ms;
    found->listed = true;
    found->stale = false;
    found->missed = 0;
    if (ike->state == SA_IKE_CONNECTING) {
        snprintf(tunnel->tried_host, sizeof tunnel->tried_host, "%s", ike->remote_host);
        tunnel->tried_answered = ike->cipher[0] != '\0';
    }
    return 0;
}

void tunnel_settle_ike(struct tunnel *tunnel, int64_t now_ms, uint64_t ike)
{
    struct tunnel_ike *found = find_ike(tunnel, ike);

    if (found == NULL)
        return;
    found->settling = TUNNEL_LISTINGS_WITHOUT;
    found->up_ms = now_ms;
}

bool tunnel_is_childless(const struct tunnel *tunnel)
{
    const struct tunnel_ike *ike = tunnel_shown_ike(tunnel);

    return tunnel->state == TUNNEL_DOWN && ike != NULL && ike->sa.state == SA_IKE_ESTABLISHED &&
           (tunnel->alert[0] == '\0' || tunnel->alert_ms < ike->up_ms);
}

void tunnel_end_ike(struct tunnel *tunnel, uint64_t ike)
{
    struct tunnel_ike *found = find_ike(tunnel, ike);

    if (found != NULL)
        found->fate = TUNNEL_SA_ENDED;
    for (size_t i = 0; i < tunnel->child_count; i++) {
        if (tunnel->children[i].ike == ike)
            tunnel->children[i].fate = TUNNEL_SA_ENDED;
    }
}

void tunnel_set_hosts(struct tunnel *tunnel, uint64_t ike, const char *local, const char *remote)
{
    struct tunnel_ike *found = find_ike(tunnel, ike);

    if (found == NULL)
        return;
    if (local[0] != '\0')
        snprintf(found->sa.local_host, sizeof found->sa.local_host, "%s", local);
    if (remote[0] != '\0')
        snprintf(found->sa.remote_host, sizeof found->sa.remote_host, "%s", remote);
}

const struct tunnel_ike *tunnel_shown_ike(const struct tunnel *tunnel)
{
    const struct tunnel_ike *newest = NULL;

    for (size_t i = 0; i < tunnel->ike_count; i++) {
        const struct tunnel_ike *ike = &tunnel->ikes[i];
        if (ike->fate == TUNNEL_SA_ENDED || ike->stale)
            continue;
        for (size_t k = 0; k < tunnel->child_count; k++) {
            if (tunnel->children[k].ike == ike->sa.uniqueid &&
                tunnel_child_counts(&tunnel->children[k]))
                return ike;
        }
        if (newest == NULL || ike->sa.uniqueid > newest->sa.uniqueid)
            newest = ike;
    }
    return newest;
}

/* --- CHILD SAs ---------------------------------------------------------------------------- */

static struct tunnel_child *find_child(struct tunnel *tunnel, const struct sa_child *sa)
{
    for (size_t i = 0; i < tunnel->child_count; i++) {
        const struct sa_child *each = &tunnel->children[i].sa;
        if (each->uniqueid == sa->uniqueid && (sa->spi_in[0] == '\0' || each->spi_in[0] == '\0' ||
                                               strcmp(each->spi_in, sa->spi_in) == 0))
            return &tunnel->children[i];
    }
    return NULL;
}

bool tunnel_child_counts(const struct tunnel_child *child)
{
    return child->fate == TUNNEL_SA_THERE && !child->stale && sa_child_is_installed(&child->sa);
}

/* Takes the new reading of a counter; returns what was added. One that runs backwards began anew. */
static uint64_t advance(uint64_t *counter, uint64_t now)
{
    uint64_t added = now >= *counter ? now - *counter : now;
    *counter = now;
    return added;
}

static void later(int64_t *time_ms, int64_t now_ms, int64_t ago_s)
{
    if (ago_s != SA_NOT_SAID && now_ms - ago_s * 1000 > *time_ms)
        *time_ms = now_ms - ago_s * 1000;
}

void tunnel_watch_answers(struct tunnel *tunnel)
{
    tunnel->packets_out_then = tunnel->packets_out;
}

static void take_counters(struct tunnel *tunnel, int64_t now_ms, struct sa_child *kept,
                          const struct sa_child *now)
{
    bool answered = tunnel->packets_out == tunnel->packets_out_then;
    uint64_t in;

    if (!now->has_counters)
        return;
    kept->has_counters = true;
    in = advance(&kept->bytes_in, now->bytes_in);
    tunnel->bytes_in += in;
    tunnel->bytes_out += advance(&kept->bytes_out, now->bytes_out);
    tunnel->packets_in += advance(&kept->packets_in, now->packets_in);
    tunnel->packets_out += advance(&kept->packets_out, now->packets_out);
    later(&tunnel->last_in_ms, now_ms, now->use_in_s);
    later(&tunnel->last_out_ms, now_ms, now->use_out_s);
    if (in > 0)
        tunnel_watch_answers(tunnel);
    else if (answered)
        tunnel->unanswered_ms = now_ms;
}

/* All but the counters, which take_counters() has taken: a message may have none. */
static void renew_child(struct sa_child *kept, struct sa_child *now)
{
    struct sa_child before = *kept;

    *kept = *now;
    kept->has_counters = before.has_counters;
    kept->bytes_in = before.bytes_in;
    kept->bytes_out = before.bytes_out;
    kept->packets_in = before.packets_in;
    kept->packets_out = before.packets_out;
    now->local = now->remote = (struct sa_selectors){0};
    free(before.local.items);
    free(before.remote.items);
}

int tunnel_put_child(struct tunnel *tunnel, int64_t now_ms, uint64_t ike, struct sa_child *sa)
{
    struct tunnel_child *child = find_child(tunnel, sa);

    if (child == NULL) {
        int error;
        struct tunnel_child *children =
            grow(tunnel->children, &tunnel->child_count, sizeof *children, &error);
        if (children == NULL)
            return error;
        tunnel->children = children;
        child = &children[tunnel->child_count - 1];
    }
    take_counters(tunnel, now_ms, &child->sa, sa);
    renew_child(&child->sa, sa);
    child->seen_ms = now_ms;
    child->ike = ike;
    child->listed = true;
    child->stale = false;
    child->missed = 0;
    return 0;
}

void tunnel_replace_child(struct tunnel *tunnel, const struct sa_child *sa)
{
    struct tunnel_child *child = find_child(tunnel, sa);
    if (child != NULL && child->fate == TUNNEL_SA_THERE)
        child->fate = TUNNEL_SA_REPLACED;
}

void tunnel_end_child(struct tunnel *tunnel, int64_t now_ms, const struct sa_child *sa)
{
    struct tunnel_child *child = find_child(tunnel, sa);

    if (child == NULL)
        return;
    take_counters(tunnel, now_ms, &child->sa, sa); /* what came since the last listing */
    child->fate = TUNNEL_SA_ENDED;
}

void tunnel_move_children(struct tunnel *tunnel, uint64_t from_ike, uint64_t to_ike)
{
    for (size_t i = 0; i < tunnel->child_count; i++) {
        if (tunnel->children[i].ike == from_ike)
            tunnel->children[i].ike = to_ike;
    }
}

void tunnel_set_alert(struct tunnel *tunnel, int64_t now_ms, const char *text)
{
    snprintf(tunnel->alert, sizeof tunnel->alert, "%s", text);
    tunnel->alert_ms = now_ms;
}

/* --- listings ----------------------------------------------------------------------------- */

void tunnel_begin_listing(struct tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->ike_count; i++)
        tunnel->ikes[i].listed = tunnel->ikes[i].itemized = false;
    for (size_t i = 0; i < tunnel->child_count; i++)
        tunnel->children[i].listed = false;
}

void tunnel_itemize_ike(struct tunnel *tunnel, uint64_t ike)
{
    struct tunnel_ike *found = find_ike(tunnel, ike);
    if (found != NULL)
        found->itemized = true;
}

/* What ended is through now: whatever was said of it while the listing ran was old. */
static bool is_gone(enum tunnel_fate fate, bool listed, unsigned *missed, unsigned most)
{
    return fate == TUNNEL_SA_ENDED || (!listed && ++*missed >= most);
}

static unsigned fewer(unsigned most, bool enough)
{
    return enough && most > TUNNEL_LISTINGS_WITHOUT ? TUNNEL_LISTINGS_WITHOUT : most;
}

static void drop_children(struct tunnel *tunnel, unsigned most)
{
    size_t kept = 0;

    for (size_t i = 0; i < tunnel->child_count; i++) {
        struct tunnel_child *child = &tunnel->children[i];
        const struct tunnel_ike *ike = find_ike(tunnel, child->ike);
        if (is_gone(child->fate, child->listed, &child->missed,
                    fewer(most, ike != NULL && ike->itemized))) {
            tunnel_lose_child(tunnel, child);
            free_child(child);
        } else {
            tunnel->children[kept++] = *child;
        }
    }
    tunnel->child_count = kept;
}

/* An attempt that nobody answers ends without an event; one that is up does not. */
static void drop_ikes(struct tunnel *tunnel, unsigned most)
{
    size_t kept = 0;

    for (size_t i = 0; i < tunnel->ike_count; i++) {
        struct tunnel_ike *ike = &tunnel->ikes[i];
        bool attempt = ike->sa.state == SA_IKE_CREATED || ike->sa.state == SA_IKE_CONNECTING;
        if (ike->settling > 0)
            ike->settling--;
        if (!is_gone(ike->fate, ike->listed, &ike->missed, fewer(most, attempt)))
            tunnel->ikes[kept++] = *ike;
    }
    tunnel->ike_count = kept;
}

void tunnel_end_listing(struct tunnel *tunnel, bool whole)
{
    drop_children(tunnel, whole ? 1 : TUNNEL_LISTINGS_MISSED);
    drop_ikes(tunnel, whole ? 1 : TUNNEL_LISTINGS_MISSED);
    tunnel->listings++;
    if (whole || tunnel->listings >= TUNNEL_LISTINGS_WITHOUT)
        tunnel->heard = true;
}

/* Another connection knows nothing of the old one's listings, and another charon counts from 1 again. */
static void drop_ended(struct tunnel *tunnel)
{
    size_t ikes = 0, children = 0;

    for (size_t i = 0; i < tunnel->ike_count; i++) {
        if (tunnel->ikes[i].fate != TUNNEL_SA_ENDED)
            tunnel->ikes[ikes++] = tunnel->ikes[i];
    }
    tunnel->ike_count = ikes;
    for (size_t i = 0; i < tunnel->child_count; i++) {
        if (tunnel->children[i].fate != TUNNEL_SA_ENDED)
            tunnel->children[children++] = tunnel->children[i];
        else
            free_child(&tunnel->children[i]);
    }
    tunnel->child_count = children;
}

void tunnel_forget(struct tunnel *tunnel)
{
    tunnel->heard = false;
    tunnel->listings = 0;
    tunnel_forget_losses(tunnel);
    drop_ended(tunnel);
    for (size_t i = 0; i < tunnel->ike_count; i++) {
        tunnel->ikes[i].stale = true;
        tunnel->ikes[i].missed = 0;
    }
    for (size_t i = 0; i < tunnel->child_count; i++) {
        tunnel->children[i].stale = true;
        tunnel->children[i].missed = 0;
    }
}

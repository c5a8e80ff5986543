#include "vpn/tunnels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tunnels {
    struct tunnel *items;
    size_t count;
    uint64_t version;
    tunnels_changed *changed;
    void *context;
};

struct tunnels *tunnels_new(tunnels_changed *changed, void *context)
{
    struct tunnels *tunnels = calloc(1, sizeof *tunnels);

    if (tunnels != NULL) {
        tunnels->changed = changed;
        tunnels->context = context;
    }
    return tunnels;
}

static void free_items(struct tunnel *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tunnel_free(&items[i]);
    free(items);
}

void tunnels_free(struct tunnels **tunnels)
{
    if (*tunnels == NULL)
        return;
    free_items((*tunnels)->items, (*tunnels)->count);
    free(*tunnels);
    *tunnels = NULL;
}

static struct tunnel *find(const struct tunnels *tunnels, const char *name)
{
    for (size_t i = 0; i < tunnels->count; i++) {
        if (strcmp(tunnels->items[i].wanted->name, name) == 0)
            return &tunnels->items[i];
    }
    return NULL;
}

/* --- conclusions -------------------------------------------------------------------------- */

static void judge(struct tunnels *tunnels, struct tunnel *tunnel, int64_t now_ms)
{
    enum tunnel_state before = tunnel->state;

    if (!tunnel_judge(tunnel, now_ms))
        return;
    tunnels->version++;
    if (tunnels->changed != NULL)
        tunnels->changed(tunnels->context, tunnel, before);
}

static void judge_all(struct tunnels *tunnels, int64_t now_ms)
{
    for (size_t i = 0; i < tunnels->count; i++)
        judge(tunnels, &tunnels->items[i], now_ms);
}

static void alert(struct tunnels *tunnels, struct tunnel *tunnel, int64_t now_ms, const char *text)
{
    tunnel_set_alert(tunnel, now_ms, text);
    tunnels->version++;
}

void tunnels_alert(struct tunnels *tunnels, int64_t now_ms, const char *name, const char *text)
{
    struct tunnel *tunnel = find(tunnels, name);
    if (tunnel != NULL)
        alert(tunnels, tunnel, now_ms, text);
}

/* --- what runs out ------------------------------------------------------------------------ */

void tunnels_set_ends(struct tunnels *tunnels, const char *name, const int64_t ends_s[TUNNEL_ENDS])
{
    struct tunnel *tunnel = find(tunnels, name);

    if (tunnel == NULL || memcmp(tunnel->ends_s, ends_s, sizeof tunnel->ends_s) == 0)
        return;
    memcpy(tunnel->ends_s, ends_s, sizeof tunnel->ends_s);
    tunnels->version++;
}

void tunnels_judge_ends(struct tunnels *tunnels, int64_t now_ms, int64_t wall_s)
{
    for (size_t i = 0; i < tunnels->count; i++)
        tunnel_judge_ends(&tunnels->items[i], wall_s);
    judge_all(tunnels, now_ms);
}

/* --- configuration ------------------------------------------------------------------------ */

int tunnels_configure(struct tunnels *tunnels, int64_t now_ms, const struct tunnel_wanted *wanted,
                      size_t count)
{
    struct tunnel *items = calloc(count > 0 ? count : 1, sizeof *items);

    if (items == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct tunnel *old = find(tunnels, wanted[i].name);
        if (old == NULL) {
            tunnel_init(&items[i], &wanted[i], now_ms);
            continue;
        }
        /* Moved; the old one keeps its name until all are looked up. */
        items[i] = *old;
        items[i].wanted = &wanted[i];
        old->ikes = NULL;
        old->children = NULL;
        old->losses = NULL;
        old->ike_count = old->child_count = old->loss_count = 0;
    }
    free_items(tunnels->items, tunnels->count);
    tunnels->items = items;
    tunnels->count = count;
    tunnels->version++;
    judge_all(tunnels, now_ms); /* other proposals, other warnings */
    return 0;
}

void tunnels_adopt_settings(struct tunnels *tunnels, const char *name)
{
    struct tunnel *tunnel = find(tunnels, name);

    if (tunnel != NULL && tunnel_adopt_settings(tunnel))
        tunnels->version++;
}

size_t tunnels_count(const struct tunnels *tunnels)
{
    return tunnels->count;
}

const struct tunnel *tunnels_at(const struct tunnels *tunnels, size_t index)
{
    return &tunnels->items[index];
}

const struct tunnel *tunnels_find(const struct tunnels *tunnels, const char *name)
{
    return find(tunnels, name);
}

uint64_t tunnels_version(const struct tunnels *tunnels)
{
    return tunnels->version;
}

/* --- listings ----------------------------------------------------------------------------- */

void tunnels_begin_listing(struct tunnels *tunnels)
{
    for (size_t i = 0; i < tunnels->count; i++)
        tunnel_begin_listing(&tunnels->items[i]);
}

/* A charon without the alert event does not say that a CHILD SA was refused: the IKE SA just stays. */
static void find_childless(struct tunnels *tunnels, struct tunnel *tunnel, int64_t now_ms,
                           enum tunnel_state before)
{
    if (before == TUNNEL_CONNECTING && tunnel_is_childless(tunnel))
        alert(tunnels, tunnel, now_ms,
              "the IKE SA is up, but no CHILD SA: do subnets and ESP proposals match?");
}

void tunnels_end_listing(struct tunnels *tunnels, int64_t now_ms, bool whole)
{
    for (size_t i = 0; i < tunnels->count; i++) {
        struct tunnel *tunnel = &tunnels->items[i];
        enum tunnel_state before = tunnel->state;
        int64_t since_ms = tunnel->since_ms;
        char text[ALERT_TEXT_BYTES];

        tunnel_end_listing(tunnel, whole);
        judge(tunnels, tunnel, now_ms);
        find_childless(tunnels, tunnel, now_ms, before);
        if (tunnel_silence(tunnel, now_ms, before, since_ms, text) != NULL ||
            tunnel_lost(tunnel, text) != NULL)
            alert(tunnels, tunnel, now_ms, text);
    }
}

void tunnels_lost(struct tunnels *tunnels, int64_t now_ms)
{
    for (size_t i = 0; i < tunnels->count; i++)
        tunnel_forget(&tunnels->items[i]);
    judge_all(tunnels, now_ms);
}

/* --- what charon says --------------------------------------------------------------------- */

static struct tunnel *owner_of(const struct tunnels *tunnels, const char *sa_name)
{
    for (size_t i = 0; i < tunnels->count; i++) {
        if (tunnel_is_named(&tunnels->items[i], sa_name))
            return &tunnels->items[i];
    }
    return NULL;
}

/* The IKE SA and its CHILD SAs as they stand there: all of them are. */
static int put(struct tunnel *tunnel, int64_t now_ms, struct sa_ike *ike)
{
    int result = tunnel_put_ike(tunnel, now_ms, ike);

    for (size_t i = 0; i < ike->count; i++) {
        struct sa_child *child = &ike->children[i];
        int error = 0;
        if (tunnel_is_named(tunnel, child->name))
            error = tunnel_put_child(tunnel, now_ms, ike->uniqueid, child);
        result = result != 0 ? result : error;
    }
    return result;
}

static int take_child_up(struct tunnel *tunnel, int64_t now_ms, struct sa_ike *ike)
{
    for (size_t i = 0; i < ike->count; i++) {
        if (ike->children[i].state == SA_CHILD_OTHER)
            ike->children[i].state = SA_CHILD_INSTALLED; /* the event says so */
    }
    return put(tunnel, now_ms, ike);
}

static void take_child_down(struct tunnels *tunnels, struct tunnel *tunnel, int64_t now_ms,
                            const struct sa_ike *ike)
{
    enum tunnel_state before = tunnel->state;

    for (size_t i = 0; i < ike->count; i++)
        tunnel_end_child(tunnel, now_ms, &ike->children[i]);
    judge(tunnels, tunnel, now_ms);
    /* When it ends with its IKE SA that one's event has told why. */
    if (before == TUNNEL_UP && tunnel->state != TUNNEL_UP)
        alert(tunnels, tunnel, now_ms, "the CHILD SA ended, the IKE SA stays");
}

static int take_ike_updown(struct tunnels *tunnels, struct tunnel *tunnel, int64_t now_ms, bool up,
                           struct sa_ike *ike)
{
    int error = 0;

    if (up) {
        error = tunnel_put_ike(tunnel, now_ms, ike);
        tunnel_settle_ike(tunnel, now_ms, ike->uniqueid);
    } else {
        tunnel_end_ike(tunnel, ike->uniqueid);
        /* Deleted while another one carries on, as when keys are proved anew: nothing went wrong. */
        if (ike->state != SA_IKE_DELETING || !tunnel_is_carried(tunnel))
            alert(tunnels, tunnel, now_ms, alert_of_ike_down(ike));
    }
    return error;
}

static int take_child_rekey(struct tunnel *tunnel, int64_t now_ms, struct sa_ike *ike)
{
    int error = put(tunnel, now_ms, ike);

    for (size_t i = 0; i < ike->count; i++) {
        if (ike->children[i].role == SA_OLD)
            tunnel_replace_child(tunnel, &ike->children[i]);
    }
    tunnel->rekeys++;
    return error;
}

/* The old one is first, the new one next. */
static int take_ike_rekey(struct tunnel *tunnel, int64_t now_ms, const struct sa_message *message)
{
    const struct sa_ike *old = NULL, *fresh = NULL;
    int error;

    for (size_t i = 0; i < message->count; i++) {
        if (message->ikes[i].role == SA_OLD)
            old = &message->ikes[i];
        else if (message->ikes[i].role == SA_NEW)
            fresh = &message->ikes[i];
    }
    if (old == NULL || fresh == NULL)
        return 0;
    error = tunnel_put_ike(tunnel, now_ms, fresh);
    tunnel_move_children(tunnel, old->uniqueid, fresh->uniqueid);
    tunnel_end_ike(tunnel, old->uniqueid);
    tunnel->rekeys++;
    return error;
}

static void take_alert(struct tunnels *tunnels, struct tunnel *tunnel, int64_t now_ms,
                       const char *type)
{
    char other[ALERT_TEXT_BYTES];
    const char *text = alert_of_type(type, other);

    if (text != NULL)
        alert(tunnels, tunnel, now_ms, text);
}

static int take(struct tunnels *tunnels, struct tunnel *tunnel, int64_t now_ms, const char *event,
                struct sa_message *message, struct sa_ike *ike)
{
    if (strcmp(event, "list-sa") == 0) {
        int error = put(tunnel, now_ms, ike);
        tunnel_itemize_ike(tunnel, ike->uniqueid);
        return error;
    }
    if (strcmp(event, "child-updown") == 0)
        return message->up ? take_child_up(tunnel, now_ms, ike)
                           : (take_child_down(tunnels, tunnel, now_ms, ike), 0);
    if (strcmp(event, "ike-updown") == 0)
        return take_ike_updown(tunnels, tunnel, now_ms, message->up, ike);
    if (strcmp(event, "child-rekey") == 0)
        return take_child_rekey(tunnel, now_ms, ike);
    if (strcmp(event, "ike-rekey") == 0)
        return ike->role == SA_OLD ? take_ike_rekey(tunnel, now_ms, message) : 0;
    if (strcmp(event, "ike-update") == 0)
        tunnel_set_hosts(tunnel, ike->uniqueid, message->local_host, message->remote_host);
    else if (strcmp(event, "alert") == 0)
        take_alert(tunnels, tunnel, now_ms, message->alert);
    return 0;
}

int tunnels_take(struct tunnels *tunnels, int64_t now_ms, const char *event,
                 struct vici_text message)
{
    struct sa_message sas;
    int result = sa_message_read(message, &sas);

    if (result != 0)
        return result;
    for (size_t i = 0; i < sas.count; i++) {
        struct tunnel *tunnel = owner_of(tunnels, sas.ikes[i].name);
        int error;
        if (tunnel == NULL)
            continue;
        error = take(tunnels, tunnel, now_ms, event, &sas, &sas.ikes[i]);
        result = result != 0 ? result : error;
        judge(tunnels, tunnel, now_ms);
    }
    sa_message_free(&sas);
    return result;
}

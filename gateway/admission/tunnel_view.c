#include "admission/tunnel_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tunnel_view {
    tunnel_view_changed *changed;
    void *context;
    struct tunnel_seen *tunnels;
    struct admission_tunnel *known; /* what the rules go by, in the same order */
    size_t count;
    bool holds; /* on_unknown */
    int64_t hold_ms;
    struct status last;
    bool heard; /* within TUNNEL_VIEW_SILENT_MS */
    int64_t heard_ms;
    int64_t due_ms;
};

/* ---- life ---- */

struct tunnel_view *tunnel_view_new(tunnel_view_changed *changed, void *context)
{
    struct tunnel_view *view = calloc(1, sizeof(*view));

    if (view != NULL) {
        view->changed = changed;
        view->context = context;
        view->due_ms = INT64_MAX;
    }
    return view;
}

static void free_children(struct status_child *children, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(children[i].local);
        free(children[i].remote);
    }
    free(children);
}

static void free_tunnels(struct tunnel_seen *tunnels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free_children(tunnels[i].children, tunnels[i].child_count);
        free(tunnels[i].carried);
        free(tunnels[i].name);
    }
    free(tunnels);
}

void tunnel_view_free(struct tunnel_view **pointer)
{
    struct tunnel_view *view = *pointer;

    *pointer = NULL;
    if (view == NULL) {
        return;
    }
    free_tunnels(view->tunnels, view->count);
    free(view->known);
    status_free(&view->last);
    free(view);
}

/* ---- what the rules go by ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* True until then; the view looks again when it is over. */
static bool until(struct tunnel_view *view, int64_t now_ms, int64_t end_ms)
{
    if (now_ms < end_ms) {
        view->due_ms = earlier(view->due_ms, end_ms);
    }
    return now_ms < end_ms;
}

static void judge_unknown(struct tunnel_view *view, int64_t now_ms,
                          const struct tunnel_seen *tunnel, struct admission_tunnel *known)
{
    known->reason = REASON_TUNNEL_UNKNOWN;
    known->stays = false;
    if (!view->holds || tunnel->known == TUNNEL_UNKNOWN) {
        return;
    }
    if (tunnel->known != TUNNEL_UP) { /* what was left of its grace */
        known->stays = until(view, now_ms, tunnel->down_ms + tunnel->grace_ms);
        return;
    }
    known->stays = true;
    if (until(view, now_ms, tunnel->known_ms + view->hold_ms + 1)) {
        known->reason = REASON_NONE;
    }
}

static struct admission_tunnel judge(struct tunnel_view *view, int64_t now_ms,
                                     const struct tunnel_seen *tunnel)
{
    struct admission_tunnel known = {
        .name = tunnel->name, .children = tunnel->carried, .child_count = tunnel->child_count};

    switch (tunnel->state) {
    case TUNNEL_UP:
        known.reason = REASON_NONE;
        known.stays = true;
        break;
    case TUNNEL_UNKNOWN:
        judge_unknown(view, now_ms, tunnel, &known);
        break;
    case TUNNEL_DOWN:
    case TUNNEL_CONNECTING:
        known.reason = REASON_TUNNEL_DOWN;
        known.stays = until(view, now_ms, tunnel->down_ms + tunnel->grace_ms);
        break;
    }
    return known;
}

/* True when one is not as it was. */
static bool judge_all(struct tunnel_view *view, int64_t now_ms)
{
    bool changed = false;

    view->due_ms = view->heard ? view->heard_ms + TUNNEL_VIEW_SILENT_MS : INT64_MAX;
    for (size_t i = 0; i < view->count; i++) {
        struct admission_tunnel known = judge(view, now_ms, &view->tunnels[i]);
        changed =
            changed || known.reason != view->known[i].reason || known.stays != view->known[i].stays;
        view->known[i] = known;
    }
    return changed;
}

/* ---- what is told ---- */

static void set_state(struct tunnel_view *view, struct tunnel_seen *tunnel, enum tunnel_state state,
                      int64_t since_ms)
{
    enum tunnel_state before = tunnel->state;

    tunnel->state = state;
    tunnel->since_ms = since_ms;
    if (state != before && view->changed != NULL) {
        view->changed(view->context, tunnel, before);
    }
}

static bool has_selector(const struct selector *items, size_t count, const struct selector *wanted)
{
    for (size_t i = 0; i < count; i++) {
        const struct selector *each = &items[i];
        if (memcmp(each->first, wanted->first, 16) == 0 &&
            memcmp(each->last, wanted->last, 16) == 0 && each->v6 == wanted->v6 &&
            each->dynamic == wanted->dynamic && each->protocol == wanted->protocol &&
            each->port_first == wanted->port_first && each->port_last == wanted->port_last) {
            return true;
        }
    }
    return false;
}

static bool all_among(const struct selector *items, size_t count, const struct selector *others,
                      size_t other_count)
{
    for (size_t i = 0; i < count; i++) {
        if (!has_selector(others, other_count, &items[i])) {
            return false;
        }
    }
    return true;
}

/* Is there one that carries exactly the same? */
static bool has_child(const struct status_child *children, size_t count,
                      const struct status_child *wanted)
{
    for (size_t i = 0; i < count; i++) {
        const struct status_child *each = &children[i];
        if (all_among(each->local, each->local_count, wanted->local, wanted->local_count) &&
            all_among(wanted->local, wanted->local_count, each->local, each->local_count) &&
            all_among(each->remote, each->remote_count, wanted->remote, wanted->remote_count) &&
            all_among(wanted->remote, wanted->remote_count, each->remote, each->remote_count)) {
            return true;
        }
    }
    return false;
}

static bool all_children_among(const struct status_child *children, size_t count,
                               const struct status_child *others, size_t other_count)
{
    for (size_t i = 0; i < count; i++) {
        if (!has_child(others, other_count, &children[i])) {
            return false;
        }
    }
    return true;
}

/* Takes the children over; carried has room for them. True when they carry something else. */
static bool take_children(struct tunnel_seen *tunnel, struct status_tunnel *told,
                          struct admission_child *carried)
{
    bool same = all_children_among(tunnel->children, tunnel->child_count, told->children,
                                   told->child_count) &&
                all_children_among(told->children, told->child_count, tunnel->children,
                                   tunnel->child_count);

    free_children(tunnel->children, tunnel->child_count);
    free(tunnel->carried);
    tunnel->children = told->children;
    tunnel->child_count = told->child_count;
    tunnel->carried = carried;
    told->children = NULL;
    told->child_count = 0;
    for (size_t i = 0; i < tunnel->child_count; i++) {
        const struct status_child *child = &tunnel->children[i];
        carried[i] = (struct admission_child){child->local, child->remote, child->local_count,
                                              child->remote_count};
    }
    return !same;
}

static bool is_up(struct tunnel_view *view, int64_t now_ms, struct tunnel_seen *tunnel,
                  struct status_tunnel *told)
{
    struct admission_child *carried = calloc(told->child_count + 1, sizeof(*carried));

    if (carried == NULL) { /* as if it had not been told of */
        set_state(view, tunnel, TUNNEL_UNKNOWN, now_ms);
        return false;
    }
    tunnel->known = TUNNEL_UP;
    tunnel->known_ms = now_ms;
    set_state(view, tunnel, TUNNEL_UP, now_ms - told->in_state_ms);
    return take_children(tunnel, told, carried);
}

/* told: NULL when mllp-tunneld has no such tunnel. */
static void is_not_up(struct tunnel_view *view, int64_t now_ms, struct tunnel_seen *tunnel,
                      const struct status_tunnel *told)
{
    bool first = tunnel->state != TUNNEL_DOWN && tunnel->state != TUNNEL_CONNECTING;
    int64_t since_ms = told != NULL ? now_ms - told->in_state_ms
                       : first      ? now_ms
                                    : tunnel->since_ms;

    if (tunnel->known == TUNNEL_UP) { /* it cannot have been down before it was last seen up */
        tunnel->down_ms = since_ms > tunnel->known_ms ? since_ms : tunnel->known_ms;
    }
    tunnel->known = told == NULL ? TUNNEL_DOWN : told->state;
    tunnel->known_ms = now_ms;
    set_state(view, tunnel, tunnel->known, since_ms);
}

static void is_unknown(struct tunnel_view *view, int64_t now_ms, struct tunnel_seen *tunnel)
{
    if (tunnel->state != TUNNEL_UNKNOWN) {
        set_state(view, tunnel, TUNNEL_UNKNOWN, now_ms);
    }
}

static struct status_tunnel *find_told(const struct status *status, const char *name)
{
    const struct status_tunnel *found = status_find(status, name);

    return found == NULL ? NULL : &status->tunnels[found - status->tunnels];
}

bool tunnel_view_take(struct tunnel_view *view, int64_t now_ms, struct status *status)
{
    bool changed = false;

    status_free(&view->last);
    view->last = *status;
    *status = (struct status){0};
    view->heard = true;
    view->heard_ms = now_ms;
    for (size_t i = 0; i < view->count; i++) {
        struct tunnel_seen *tunnel = &view->tunnels[i];
        struct status_tunnel *told = find_told(&view->last, tunnel->name);
        if (!view->last.connected || (told != NULL && told->state == TUNNEL_UNKNOWN)) {
            is_unknown(view, now_ms, tunnel);
        } else if (told != NULL && told->state == TUNNEL_UP) {
            changed = is_up(view, now_ms, tunnel, told) || changed;
        } else {
            is_not_up(view, now_ms, tunnel, told);
        }
    }
    return judge_all(view, now_ms) || changed;
}

bool tunnel_view_look(struct tunnel_view *view, int64_t now_ms)
{
    if (view->heard && now_ms >= view->heard_ms + TUNNEL_VIEW_SILENT_MS) {
        view->heard = false;
        for (size_t i = 0; i < view->count; i++) {
            is_unknown(view, now_ms, &view->tunnels[i]);
        }
    }
    return judge_all(view, now_ms);
}

int64_t tunnel_view_due_ms(const struct tunnel_view *view)
{
    return view->due_ms;
}

/* ---- the configuration ---- */

static struct tunnel_seen *find_seen(struct tunnel_view *view, const char *name)
{
    for (size_t i = 0; i < view->count; i++) {
        if (strcmp(view->tunnels[i].name, name) == 0) {
            return &view->tunnels[i];
        }
    }
    return NULL;
}

/* Names first: nothing may fail once something is moved. */
static struct tunnel_seen *make_tunnels(const struct config *config, int64_t now_ms)
{
    struct tunnel_seen *tunnels = calloc(config->tunnel_count + 1, sizeof(*tunnels));

    for (size_t i = 0; tunnels != NULL && i < config->tunnel_count; i++) {
        const struct config_tunnel *wanted = &config->tunnels[i];
        tunnels[i] = (struct tunnel_seen){.name = strdup(wanted->name),
                                          .grace_ms = wanted->grace_s * 1000,
                                          .ready = wanted->ready,
                                          .since_ms = now_ms};
        if (tunnels[i].name == NULL) {
            free_tunnels(tunnels, i);
            tunnels = NULL;
        }
    }
    return tunnels;
}

/* What is known goes over to the new one; the old one keeps its name, and nothing else to free. */
static void move_known(struct tunnel_seen *to, struct tunnel_seen *from)
{
    struct tunnel_seen moved = *from;

    moved.name = to->name;
    moved.grace_ms = to->grace_ms;
    moved.ready = to->ready;
    *to = moved;
    from->children = NULL;
    from->carried = NULL;
    from->child_count = 0;
}

int tunnel_view_use(struct tunnel_view *view, int64_t now_ms, const struct config *config)
{
    struct tunnel_seen *tunnels = make_tunnels(config, now_ms);
    struct admission_tunnel *known = calloc(config->tunnel_count + 1, sizeof(*known));

    if (tunnels == NULL || known == NULL) {
        free_tunnels(tunnels, tunnels == NULL ? 0 : config->tunnel_count);
        free(known);
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->tunnel_count; i++) {
        struct tunnel_seen *seen = find_seen(view, tunnels[i].name);
        if (seen != NULL) {
            move_known(&tunnels[i], seen);
        }
    }
    free_tunnels(view->tunnels, view->count);
    free(view->known);
    view->tunnels = tunnels;
    view->known = known;
    view->count = config->tunnel_count;
    view->holds = config->tunneld.on_unknown == CONFIG_ON_UNKNOWN_HOLD;
    view->hold_ms = config->tunneld.hold_s * 1000;
    (void)judge_all(view, now_ms);
    return 0;
}

/* ---- looking ---- */

const struct admission_tunnel *tunnel_view_known(const struct tunnel_view *view, size_t *ret_count)
{
    *ret_count = view->count;
    return view->known;
}

size_t tunnel_view_count(const struct tunnel_view *view)
{
    return view->count;
}

const struct tunnel_seen *tunnel_view_at(const struct tunnel_view *view, size_t index)
{
    return &view->tunnels[index];
}

const struct status_tunnel *tunnel_view_told(const struct tunnel_view *view, const char *name)
{
    return status_find(&view->last, name);
}

bool tunnel_view_is_heard(const struct tunnel_view *view)
{
    return view->heard;
}

bool tunnel_view_has_charon(const struct tunnel_view *view)
{
    return view->heard && view->last.connected;
}

const char *tunnel_view_charon_version(const struct tunnel_view *view)
{
    return view->last.charon_version;
}

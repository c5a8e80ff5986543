#include "admission/tunnel_view.h"

#include <stdlib.h>
#include <string.h>

struct tunnel_view {
    tunnel_view_changed *changed; /* NULL: nobody is told */
    void *context;
    struct tunnel_seen *tunnels;
    struct admission_tunnel *known; /* what the rules go by, in the same order */
    size_t count;
    bool holds; /* on_unknown */
    int64_t hold_ms;
    struct status last;
    bool heard, late; /* by last: within TUNNEL_VIEW_SILENT_MS; it was too old when it came */
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
        view->heard_ms = ADMISSION_NEVER;
    }
    return view;
}

void tunnel_view_free(struct tunnel_view **pointer)
{
    struct tunnel_view *view = *pointer;

    *pointer = NULL;
    if (view == NULL) {
        return;
    }
    for (size_t i = 0; i < view->count; i++) {
        tunnel_ways_free(&view->tunnels[i].ways);
        free(view->tunnels[i].carried);
        free(view->tunnels[i].name);
    }
    free(view->tunnels);
    free(view->known);
    status_free(&view->last);
    free(view);
}

/* ---- what the rules go by ---- */

/* True until then; the view looks again when it is over. */
static bool until(struct tunnel_view *view, int64_t now_ms, int64_t end_ms)
{
    if (now_ms < end_ms && end_ms < view->due_ms) {
        view->due_ms = end_ms;
    }
    return now_ms < end_ms;
}

/* How long whom this tunnel carries is let in; ADMISSION_NEVER: not at all. */
static int64_t enters_until_ms(struct tunnel_view *view, int64_t now_ms,
                               const struct tunnel_seen *tunnel)
{
    int64_t held_until_ms = tunnel->known_ms + view->hold_ms + 1;

    if (tunnel->state == TUNNEL_UP) {
        return ADMISSION_FOREVER; /* for as long as that is said */
    }
    return tunnel->state == TUNNEL_UNKNOWN && view->holds && tunnel->known == TUNNEL_UP &&
                   until(view, now_ms, held_until_ms)
               ? held_until_ms
               : ADMISSION_NEVER;
}

static struct admission_child judge_way(struct tunnel_view *view, int64_t now_ms,
                                        const struct tunnel_seen *tunnel,
                                        const struct tunnel_way *way)
{
    bool there = way->gone_ms == TUNNEL_WAY_THERE;
    struct admission_child child = {.local = way->local,
                                    .remote = way->remote,
                                    .local_count = way->local_count,
                                    .remote_count = way->remote_count,
                                    .enters_until_ms = ADMISSION_NEVER,
                                    .stays_until_ms = ADMISSION_FOREVER};

    if (there) {
        child.enters_until_ms = enters_until_ms(view, now_ms, tunnel);
    } else {
        child.stays_until_ms = way->gone_ms + tunnel->grace_ms;
        (void)until(view, now_ms, child.stays_until_ms);
    }
    if (tunnel->state == TUNNEL_UNKNOWN && !view->holds) {
        child.stays_until_ms = ADMISSION_NEVER;
    }
    return child;
}

/* True when they are not as they were. */
static bool judge_ways(struct tunnel_view *view, int64_t now_ms, struct tunnel_seen *tunnel)
{
    bool changed;

    tunnel_ways_drop(&tunnel->ways, now_ms - tunnel->grace_ms);
    changed = tunnel->ways.changes != tunnel->judged;
    tunnel->judged = tunnel->ways.changes;
    for (size_t i = 0; i < tunnel->ways.count; i++) {
        struct admission_child before = tunnel->carried[i];
        struct admission_child now = judge_way(view, now_ms, tunnel, &tunnel->ways.items[i]);
        changed = changed || before.enters_until_ms != now.enters_until_ms ||
                  before.stays_until_ms != now.stays_until_ms;
        tunnel->carried[i] = now;
    }
    return changed;
}

static bool judge(struct tunnel_view *view, int64_t now_ms, struct tunnel_seen *tunnel,
                  struct admission_tunnel *known)
{
    struct admission_tunnel before = *known;
    bool changed = judge_ways(view, now_ms, tunnel);

    *known = (struct admission_tunnel){
        .name = tunnel->name,
        .reason = tunnel->state == TUNNEL_UNKNOWN ? REASON_TUNNEL_UNKNOWN : REASON_TUNNEL_DOWN,
        .live = tunnel->state != TUNNEL_UNKNOWN,
        .enters_ms = view->holds && view->hold_ms >= TUNNEL_VIEW_SILENT_MS ? view->hold_ms + 1
                                                                           : TUNNEL_VIEW_SILENT_MS,
        .stays_ms = view->holds ? ADMISSION_FOREVER : TUNNEL_VIEW_SILENT_MS + TUNNEL_VIEW_BUSY_MS,
        .children = tunnel->carried,
        .child_count = tunnel->ways.count,
    };
    return changed || known->reason != before.reason || known->live != before.live;
}

/* True when one is not as it was. */
static bool judge_all(struct tunnel_view *view, int64_t now_ms)
{
    bool changed = false;

    view->due_ms = view->heard ? view->heard_ms + TUNNEL_VIEW_SILENT_MS : INT64_MAX;
    for (size_t i = 0; i < view->count; i++) {
        changed = judge(view, now_ms, &view->tunnels[i], &view->known[i]) || changed;
    }
    return changed;
}

/* ---- what is told ---- */

/* A line, or what of it is said of one tunnel. */
struct telling {
    int64_t said_ms;
    bool fresh;                         /* not older than what would be silence */
    const struct status_tunnel *tunnel; /* NULL: mllp-tunneld has no such tunnel */
};

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

static void is_unknown(struct tunnel_view *view, int64_t since_ms, struct tunnel_seen *tunnel)
{
    if (tunnel->state != TUNNEL_UNKNOWN) {
        set_state(view, tunnel, TUNNEL_UNKNOWN, since_ms);
    }
}

/* What was known of it, was of another tunnel, or soon will have been. */
static void is_another(struct tunnel_view *view, int64_t since_ms, struct tunnel_seen *tunnel)
{
    bool news = tunnel->state == TUNNEL_UNKNOWN && !tunnel->other_settings;

    tunnel->other_settings = true;
    tunnel->known = TUNNEL_UNKNOWN;
    tunnel_ways_end(&tunnel->ways, ADMISSION_NEVER);
    tunnel_ways_drop(&tunnel->ways, TUNNEL_WAY_THERE - 1);
    is_unknown(view, since_ms, tunnel);
    if (news && view->changed != NULL) { /* unknown as before, but now it is known why */
        view->changed(view->context, tunnel, TUNNEL_UNKNOWN);
    }
}

/* False: memory is out. */
static bool take_ways(struct tunnel_seen *tunnel, const struct telling *telling)
{
    const struct status_tunnel *told = telling->tunnel;
    struct admission_child *grown = /* before there are more ways than there is room */
        reallocarray(tunnel->carried, tunnel->ways.count + told->child_count + 1, sizeof(*grown));

    if (grown == NULL) {
        return false;
    }
    tunnel->carried = grown;
    return tunnel_ways_take(&tunnel->ways, told->children, told->child_count, telling->said_ms) ==
           0;
}

static void is_up(struct tunnel_view *view, struct tunnel_seen *tunnel,
                  const struct telling *telling)
{
    if (!take_ways(tunnel, telling)) { /* as if it had not been told of */
        is_unknown(view, telling->said_ms, tunnel);
        return;
    }
    tunnel->known = TUNNEL_UP;
    tunnel->known_ms = telling->said_ms;
    if (telling->fresh) {
        set_state(view, tunnel, TUNNEL_UP, telling->said_ms - telling->tunnel->in_state_ms);
    }
}

static void is_not_up(struct tunnel_view *view, struct tunnel_seen *tunnel,
                      const struct telling *telling)
{
    bool first = tunnel->state != TUNNEL_DOWN && tunnel->state != TUNNEL_CONNECTING;
    int64_t since_ms = telling->tunnel != NULL ? telling->said_ms - telling->tunnel->in_state_ms
                       : first                 ? telling->said_ms
                                               : tunnel->since_ms;

    /* It cannot have been down before it was last seen up. */
    tunnel_ways_end(&tunnel->ways, since_ms > tunnel->known_ms ? since_ms : tunnel->known_ms);
    tunnel->known = telling->tunnel == NULL ? TUNNEL_DOWN : telling->tunnel->state;
    tunnel->known_ms = telling->said_ms;
    if (telling->fresh || tunnel->state == TUNNEL_UP) {
        set_state(view, tunnel, tunnel->known, since_ms);
    }
}

static void take_told(struct tunnel_view *view, struct tunnel_seen *tunnel, bool connected,
                      const struct telling *telling)
{
    const struct status_tunnel *told = telling->tunnel;

    if (told != NULL && !settings_are_same(told->settings, tunnel->settings)) {
        is_another(view, telling->said_ms, tunnel);
        return;
    }
    tunnel->other_settings = false;
    if (!connected || (told != NULL && told->state == TUNNEL_UNKNOWN)) {
        is_unknown(view, telling->said_ms, tunnel);
    } else if (told != NULL && told->state == TUNNEL_UP) {
        is_up(view, tunnel, telling);
    } else {
        is_not_up(view, tunnel, telling);
    }
}

bool tunnel_view_take(struct tunnel_view *view, int64_t now_ms, struct status *status)
{
    struct telling telling;
    int64_t at_ms = status->at_ms;

    status_free(&view->last);
    view->last = *status;
    *status = (struct status){0};
    telling.said_ms = at_ms == STATUS_NOT_SAID || at_ms > now_ms ? now_ms : at_ms;
    telling.fresh = now_ms < telling.said_ms + TUNNEL_VIEW_SILENT_MS;
    view->heard = view->heard || telling.fresh; /* tunnel_view_look() says when it is not */
    view->late = !telling.fresh;
    view->heard_ms = telling.said_ms > view->heard_ms ? telling.said_ms : view->heard_ms;
    for (size_t i = 0; i < view->count; i++) {
        telling.tunnel = status_find(&view->last, view->tunnels[i].name);
        take_told(view, &view->tunnels[i], view->last.connected, &telling);
    }
    return judge_all(view, now_ms);
}

static bool is_silent(const struct tunnel_view *view, int64_t now_ms)
{
    return !view->heard || now_ms >= view->heard_ms + TUNNEL_VIEW_SILENT_MS;
}

bool tunnel_view_look(struct tunnel_view *view, int64_t now_ms)
{
    if (view->heard && is_silent(view, now_ms)) {
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

static struct tunnel_seen *find_seen(const struct tunnel_view *view, const char *name)
{
    for (size_t i = 0; i < view->count; i++) {
        if (strcmp(view->tunnels[i].name, name) == 0) {
            return &view->tunnels[i];
        }
    }
    return NULL;
}

/* What is known of it, or what the newest line says. False: memory is out. */
static bool fill(struct tunnel_view *next, const struct tunnel_view *view, int64_t now_ms,
                 struct tunnel_seen *tunnel)
{
    const struct tunnel_seen *seen = find_seen(view, tunnel->name);
    struct telling telling = {.said_ms = view->heard_ms, .fresh = true};

    if (seen != NULL && settings_are_same(seen->settings, tunnel->settings)) {
        tunnel->other_settings = seen->other_settings;
        tunnel->state = seen->state;
        tunnel->since_ms = seen->since_ms;
        tunnel->known = seen->known;
        tunnel->known_ms = seen->known_ms;
        tunnel->carried = calloc(seen->ways.count + 1, sizeof(*tunnel->carried));
        return tunnel->carried != NULL && tunnel_ways_copy(&tunnel->ways, &seen->ways) == 0;
    }
    if (!is_silent(view, now_ms)) {
        telling.tunnel = status_find(&view->last, tunnel->name);
        take_told(next, tunnel, view->last.connected, &telling);
    }
    return true;
}

static bool add_tunnel(struct tunnel_view *next, const struct tunnel_view *view, int64_t now_ms,
                       const struct config_tunnel *wanted)
{
    struct tunnel_seen *tunnel = &next->tunnels[next->count++];

    *tunnel = (struct tunnel_seen){.name = strdup(wanted->name),
                                   .grace_ms = wanted->grace_s * 1000,
                                   .ready = wanted->ready,
                                   .since_ms = now_ms,
                                   .known_ms = ADMISSION_NEVER};
    settings_digest(wanted, tunnel->settings);
    return tunnel->name != NULL && fill(next, view, now_ms, tunnel);
}

struct tunnel_view *tunnel_view_next(const struct tunnel_view *view, int64_t now_ms,
                                     const struct config *config)
{
    struct tunnel_view *next = tunnel_view_new(NULL, view->context);
    bool complete = next != NULL;

    if (complete) {
        next->tunnels = calloc(config->tunnel_count + 1, sizeof(*next->tunnels));
        next->known = calloc(config->tunnel_count + 1, sizeof(*next->known));
        next->holds = config->tunneld.on_unknown == CONFIG_ON_UNKNOWN_HOLD;
        next->hold_ms = config->tunneld.hold_s * 1000;
        next->heard = view->heard;
        next->late = view->late;
        next->heard_ms = view->heard_ms;
        complete = next->tunnels != NULL && next->known != NULL;
    }
    for (size_t i = 0; complete && i < config->tunnel_count; i++) {
        complete = add_tunnel(next, view, now_ms, &config->tunnels[i]);
    }
    if (!complete) {
        tunnel_view_free(&next);
        return NULL;
    }
    (void)judge_all(next, now_ms);
    return next;
}

void tunnel_view_replace(struct tunnel_view **view, struct tunnel_view *next)
{
    struct tunnel_view *old = *view;

    next->changed = old->changed;
    next->last = old->last;
    old->last = (struct status){0};
    *view = next;
    for (size_t i = 0; i < next->count && next->changed != NULL; i++) {
        const struct tunnel_seen *seen = find_seen(old, next->tunnels[i].name);
        enum tunnel_state before = seen == NULL ? TUNNEL_UNKNOWN : seen->state;
        bool same_settings = seen == NULL || !seen->other_settings;
        if (before != next->tunnels[i].state ||
            (same_settings && next->tunnels[i].other_settings)) {
            next->changed(next->context, &next->tunnels[i], before);
        }
    }
    tunnel_view_free(&old);
}

/* ---- looking ---- */

void tunnel_view_known(const struct tunnel_view *view, struct admission_known *known)
{
    known->tunnels = view->known;
    known->tunnel_count = view->count;
    known->heard_ms = view->heard_ms;
}

size_t tunnel_view_count(const struct tunnel_view *view)
{
    return view->count;
}

const struct tunnel_seen *tunnel_view_at(const struct tunnel_view *view, size_t index)
{
    return &view->tunnels[index];
}

const struct status_tunnel *tunnel_view_told(const struct tunnel_view *view,
                                             const struct tunnel_seen *tunnel)
{
    return tunnel->other_settings ? NULL : status_find(&view->last, tunnel->name);
}

bool tunnel_view_is_heard(const struct tunnel_view *view)
{
    return view->heard;
}

bool tunnel_view_has_charon(const struct tunnel_view *view)
{
    return view->heard && view->last.connected;
}

bool tunnel_view_is_late(const struct tunnel_view *view)
{
    return view->late;
}

int64_t tunnel_view_heard_ms(const struct tunnel_view *view)
{
    return view->heard_ms;
}

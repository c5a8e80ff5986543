#include "resolver.h"

#include "base/log.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_MAXIMUM 64 /* of one name */
#define TELL_AGAIN_MS (INT64_C(10) * 1000)

struct known_name {
    char *name;
    uint8_t keys[ADDRESSES_MAXIMUM][16];
    size_t count;    /* 0: it admits nobody */
    int64_t good_ms; /* monotonic: when the answer that counts came */
    bool failed;     /* the last look-up failed: said once */
};

/* One round of look-ups, handed to the offload thread with its own copies. */
struct round {
    struct offload_job job;
    struct resolver *resolver; /* NULL: it has gone meanwhile */
    size_t count;
    struct round_name {
        char *name;
        uint8_t keys[ADDRESSES_MAXIMUM][16];
        size_t count;
        int error; /* getaddrinfo's */
    } names[];
};

struct resolver {
    struct loop *loop;
    struct offload *offload;
    bool (*changed)(void *context);
    void *context;
    bool untold; /* a change that the owner could not act upon */
    struct known_name *names;
    size_t count;
    struct admission_name *view;
    int64_t refresh_ms, keep_ms;
    struct timer timer;  /* the next look-up */
    struct timer expiry; /* an answer ends to count, whatever becomes of the look-up under way */
    struct round *under_way;
    bool again;
};

/* ---- on the offload thread ---- */

static void look_up(struct round_name *name)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    name->error = getaddrinfo(name->name, NULL, &hints, &found);
    if (name->error != 0) {
        return;
    }
    for (struct addrinfo *each = found; each != NULL && name->count < ADDRESSES_MAXIMUM;
         each = each->ai_next) {
        address_key(each->ai_addr, name->keys[name->count++]);
    }
    freeaddrinfo(found);
}

static void round_work(struct offload_job *job)
{
    struct round *round = LIST_ENTRY(job, struct round, job);

    for (size_t i = 0; i < round->count; i++) {
        look_up(&round->names[i]);
    }
}

/* ---- back on the loop ---- */

static void round_free(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        free(round->names[i].name);
    }
    free(round);
}

static struct known_name *find_name(struct resolver *resolver, const char *name)
{
    for (size_t i = 0; i < resolver->count; i++) {
        if (strcmp(resolver->names[i].name, name) == 0) {
            return &resolver->names[i];
        }
    }
    return NULL;
}

static bool holds(const uint8_t (*keys)[16], size_t count, const uint8_t key[16])
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(keys[i], key, 16) == 0) {
            return true;
        }
    }
    return false;
}

/* Round-robin answers come in another order each time: that is no change. */
static bool same_addresses(const struct known_name *known, const struct round_name *found)
{
    if (known->count != found->count) {
        return false;
    }
    for (size_t i = 0; i < found->count; i++) {
        if (!holds((const uint8_t(*)[16])known->keys, known->count, found->keys[i])) {
            return false;
        }
    }
    return true;
}

static void take_failure(struct known_name *known, const struct round_name *found)
{
    if (!known->failed) {
        LOG_EVENT(LOG_LEVEL_WARNING, "dns-failed", LOG_STRING("name", known->name),
                  LOG_STRING("error", gai_strerror(found->error)),
                  LOG_STRING("words", known->count > 0 ? "the last good answer stays in use"
                                                       : "nobody is admitted by this name"));
    }
    known->failed = true;
}

static bool take_result(struct resolver *resolver, const struct round_name *found)
{
    struct known_name *known = find_name(resolver, found->name);
    bool changed;

    if (known == NULL) {
        return false;
    }
    if (found->error != 0 || found->count == 0) {
        take_failure(known, found);
        return false;
    }
    changed = !same_addresses(known, found);
    memcpy(known->keys, found->keys, sizeof(known->keys));
    known->count = found->count;
    known->good_ms = loop_now_ms(resolver->loop);
    if (known->failed) {
        LOG_EVENT(LOG_LEVEL_INFO, "dns-recovered", LOG_STRING("name", known->name));
    }
    known->failed = false;
    return changed;
}

/* ---- answers that end to count ---- */

static void plan(struct resolver *resolver, struct timer *timer, int64_t due_ms)
{
    if (timers_start(loop_timers(resolver->loop), timer, due_ms) != 0) {
        LOG_EVENT(LOG_LEVEL_ERROR, "timer-failed", LOG_STRING("words", "memory is out"));
    }
}

/* At the earliest end; sooner, when a change has still to be told. */
static void plan_expiry(struct resolver *resolver)
{
    int64_t due_ms = resolver->untold ? loop_now_ms(resolver->loop) + TELL_AGAIN_MS : INT64_MAX;

    for (size_t i = 0; i < resolver->count; i++) {
        const struct known_name *known = &resolver->names[i];
        if (known->count > 0 && known->good_ms + resolver->keep_ms < due_ms) {
            due_ms = known->good_ms + resolver->keep_ms;
        }
    }
    if (due_ms == INT64_MAX) {
        timers_stop(loop_timers(resolver->loop), &resolver->expiry);
    } else {
        plan(resolver, &resolver->expiry, due_ms);
    }
}

static void tell(struct resolver *resolver, bool changed)
{
    if (changed || resolver->untold) {
        resolver->untold = !resolver->changed(resolver->context);
    }
    plan_expiry(resolver);
}

static void expire(struct timer *timer)
{
    struct resolver *resolver = LIST_ENTRY(timer, struct resolver, expiry);
    bool changed = false;

    for (size_t i = 0; i < resolver->count; i++) {
        struct known_name *known = &resolver->names[i];
        if (known->count == 0 || loop_now_ms(resolver->loop) < known->good_ms + resolver->keep_ms) {
            continue;
        }
        LOG_EVENT(LOG_LEVEL_WARNING, "dns-expired", LOG_STRING("name", known->name),
                  LOG_STRING("words", "nobody is admitted by this name until DNS answers"));
        known->count = 0;
        known->failed = true;
        changed = true;
    }
    tell(resolver, changed);
}

/* ---- rounds ---- */

static void start_round(struct resolver *resolver);

static void plan_next(struct resolver *resolver)
{
    if (resolver->count > 0) {
        plan(resolver, &resolver->timer, loop_now_ms(resolver->loop) + resolver->refresh_ms);
    }
}

static void round_done(struct offload_job *job)
{
    struct round *round = LIST_ENTRY(job, struct round, job);
    struct resolver *resolver = round->resolver;
    bool changed = false;

    if (resolver == NULL) {
        round_free(round);
        return;
    }
    for (size_t i = 0; i < round->count; i++) {
        changed = take_result(resolver, &round->names[i]) || changed;
    }
    round_free(round);
    resolver->under_way = NULL;
    tell(resolver, changed);
    if (resolver->again) {
        resolver->again = false;
        start_round(resolver);
    } else {
        plan_next(resolver);
    }
}

static void start_round(struct resolver *resolver)
{
    struct round *round;

    if (resolver->under_way != NULL) {
        resolver->again = true;
        return;
    }
    if (resolver->count == 0) {
        return;
    }
    round = calloc(1, sizeof(*round) + resolver->count * sizeof(round->names[0]));
    if (round == NULL) {
        plan_next(resolver);
        return;
    }
    round->resolver = resolver;
    round->job.work = round_work;
    round->job.done = round_done;
    round->job.reply_to = loop_mailbox(resolver->loop);
    for (size_t i = 0; i < resolver->count; i++) {
        round->names[i].name = strdup(resolver->names[i].name);
        if (round->names[i].name == NULL) {
            round->count = i;
            round_free(round);
            plan_next(resolver);
            return;
        }
    }
    round->count = resolver->count;
    resolver->under_way = round;
    offload_submit(resolver->offload, &round->job);
}

static void refresh(struct timer *timer)
{
    start_round(LIST_ENTRY(timer, struct resolver, timer));
}

/* ---- names ---- */

static void free_names(struct known_name *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(names[i].name);
    }
    free(names);
}

static size_t most_names(const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->peer_count; i++) {
        count += config->peers[i].addresses.count;
    }
    return count;
}

static void add_name(struct resolver *resolver, struct known_name *names, size_t *count,
                     const char *name)
{
    struct address_prefix prefix;
    struct known_name *known;

    if (address_prefix_parse(name, &prefix)) {
        return;
    }
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(names[i].name, name) == 0) {
            return;
        }
    }
    known = find_name(resolver, name);
    if (known != NULL) {
        names[*count] = *known;
    }
    names[*count].name = strdup(name);
    if (names[*count].name != NULL) {
        (*count)++;
    }
}

void resolver_use(struct resolver *resolver, const struct config *config)
{
    size_t most = most_names(config), count = 0;
    struct known_name *names = calloc(most + 1, sizeof(*names));
    struct admission_name *view = calloc(most + 1, sizeof(*view));

    if (names == NULL || view == NULL) {
        free(names);
        free(view);
        return;
    }
    for (size_t p = 0; p < config->peer_count; p++) {
        for (size_t a = 0; a < config->peers[p].addresses.count; a++) {
            add_name(resolver, names, &count, config->peers[p].addresses.items[a]);
        }
    }
    free_names(resolver->names, resolver->count);
    free(resolver->view);
    resolver->names = names;
    resolver->view = view;
    resolver->count = count;
    resolver->refresh_ms = config->gateway.dns_refresh_s * 1000;
    resolver->keep_ms = config->gateway.dns_keep_s * 1000;
    plan_expiry(resolver);
    start_round(resolver);
}

const struct admission_name *resolver_names(struct resolver *resolver, size_t *ret_count)
{
    for (size_t i = 0; i < resolver->count; i++) {
        resolver->view[i] = (struct admission_name){
            resolver->names[i].name, resolver->names[i].keys, resolver->names[i].count};
    }
    *ret_count = resolver->count;
    return resolver->view;
}

struct resolver *resolver_new(struct loop *loop, struct offload *offload,
                              bool (*changed)(void *context), void *context)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver != NULL) {
        resolver->loop = loop;
        resolver->offload = offload;
        resolver->changed = changed;
        resolver->context = context;
        resolver->timer.fire = refresh;
        resolver->expiry.fire = expire;
    }
    return resolver;
}

void resolver_free(struct resolver **pointer)
{
    struct resolver *resolver = *pointer;

    *pointer = NULL;
    if (resolver == NULL) {
        return;
    }
    timers_stop(loop_timers(resolver->loop), &resolver->timer);
    timers_stop(loop_timers(resolver->loop), &resolver->expiry);
    if (resolver->under_way != NULL) {
        resolver->under_way->resolver = NULL; /* its done runs on this thread, or after it */
    }
    free_names(resolver->names, resolver->count);
    free(resolver->view);
    free(resolver);
}

/*
 * route_script: what the router's replays share: a clock that is turned by hand, stores that do
 * what the script says, and a spool that only notes.
 *
 *     enter(&world, "a", 1);           entry 1 comes for lane a (route r, store s)
 *     expect(&world, "send 1");        everything that has happened since the last expect()
 *     verdict(&world, 1, &refused);    the store's verdict about entry 1's attempt
 *     advance(&world, 500);            time passes, timers fire in their order
 *
 * What is noted:
 *     send ID      an attempt begins       cancel ID    the router cancelled it
 *     KIND ID      settled: accepted, refused, retry, operator, unknown
 *     stop ID      settled as refused, and the lane stops
 *     keep ID      written down, still held
 *     back ID      given back without a verdict
 * Entries of a lane "x/…" go to route x; without a slash to route r. Ids from 1000 on: those of one
 * thousand are one lane's, and must be accepted in their order.
 */
#ifndef MLLPGW_TESTS_ROUTE_SCRIPT_H
#define MLLPGW_TESTS_ROUTE_SCRIPT_H

#include "base/log.h"
#include "egress/types.h"
#include "route/route.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SCRIPT_ATTEMPTS 4096
#define SCRIPT_EVENTS 65536
#define SCRIPT_WALL 1700000000000

struct world;

struct script_attempt {
    struct store_attempt attempt; /* first */
    struct world *world;
    uint64_t id;
    struct store_progress *progress;
    void (*on_done)(void *context, struct verdict *verdict);
    void *context;
};

struct script_store {
    struct store store; /* first */
    struct world *world;
    int number; /* the how-many-th that was made */
};

struct world {
    struct clock_manual clock;
    struct timers timers;
    struct metrics *metrics;
    struct router *router;
    struct config config;
    struct config_store stores[4];
    struct config_route routes[4];
    struct script_attempt *attempts[SCRIPT_ATTEMPTS];
    size_t attempt_count;
    char events[SCRIPT_EVENTS];
    size_t event_length;
    bool quiet;                                /* note nothing: long simulations */
    uint64_t random;                           /* what the router draws */
    bool jitter;                               /* another one each time */
    int stores_made, stores_freed, last_store; /* last_store: the number of the one asked last */
    bool fail_store_new, fail_deliver;
    /* totals */
    unsigned sent, settled, kept, dead, held;
    size_t most_in_flight;
    uint64_t last_id[SCRIPT_ATTEMPTS];
    struct verdict last_verdict;     /* of what was settled last; without its answer */
    struct spool_entry last_entry;   /* likewise; ids and numbers only */
    const struct verdict *automatic; /* the stores' answer to every attempt, while time passes */
    int drained;
    char log[SCRIPT_EVENTS];
    size_t log_length;
};

static inline void note(struct world *world, const char *what, uint64_t id)
{
    if (world->quiet)
        return;
    world->event_length += (size_t)snprintf(
        world->events + world->event_length, sizeof(world->events) - world->event_length,
        "%s%s %llu", world->event_length == 0 ? "" : ", ", what, (unsigned long long)id);
    assert_true(world->event_length < sizeof(world->events));
}

#define expect(world, text) expect_at((world), (text), __FILE__, __LINE__)

static inline void expect_at(struct world *world, const char *text, const char *file, int line)
{
    if (strcmp(world->events, text) != 0) {
        print_error("%s:%d: wanted \"%s\",\n  but there was \"%s\"\n", file, line, text,
                    world->events);
        _fail(file, line);
    }
    world->event_length = 0;
    world->events[0] = '\0';
}

/* ---- stores ---- */

static inline void script_destroy(struct store *store)
{
    ((struct script_store *)(void *)store)->world->stores_freed++;
    free(store);
}

static inline uint64_t script_id(const struct message *message)
{
    return strtoull(message->control_id.data, NULL, 10);
}

static inline struct store_attempt *
script_deliver(struct store *store, struct message *message, struct store_progress *progress,
               int64_t deadline_ms, void (*on_done)(void *context, struct verdict *verdict),
               void *context)
{
    struct script_store *script = (struct script_store *)(void *)store;
    struct world *world = script->world;
    struct script_attempt *attempt = calloc(1, sizeof(*attempt));

    assert_int_equal(deadline_ms, 0);
    assert_non_null(store->config->name); /* the settings live as long as the store */
    if (world->fail_deliver) {
        free(attempt);
        return NULL;
    }
    attempt->attempt.store = store;
    attempt->world = world;
    attempt->id = script_id(message);
    attempt->progress = progress;
    attempt->on_done = on_done;
    attempt->context = context;
    assert_true(world->attempt_count < SCRIPT_ATTEMPTS);
    world->attempts[world->attempt_count++] = attempt;
    if (world->attempt_count > world->most_in_flight)
        world->most_in_flight = world->attempt_count;
    world->sent++;
    world->last_store = script->number;
    note(world, "send", attempt->id);
    return &attempt->attempt;
}

static inline void script_forget(struct script_attempt *attempt)
{
    struct world *world = attempt->world;
    size_t i = 0;

    while (world->attempts[i] != attempt)
        assert_true(++i < world->attempt_count);
    memmove(&world->attempts[i], &world->attempts[i + 1],
            (world->attempt_count - i - 1) * sizeof(world->attempts[0]));
    world->attempt_count--;
}

static inline void script_cancel(struct store_attempt *attempt)
{
    struct script_attempt *mine = (struct script_attempt *)(void *)attempt;

    note(mine->world, "cancel", mine->id);
    mine->progress->part_in_doubt = true;
    script_forget(mine);
    free(mine);
}

static const struct store_operations script_operations = {script_destroy, script_deliver,
                                                          script_cancel};

/* Where the stores of the world find it: a store is made with nothing else of the test's. */
static struct world *script_world;

static inline struct store *script_store_new(const struct config_store *config,
                                             const struct store_context *context,
                                             char ret_error[512])
{
    struct script_store *script;

    script = script_world->fail_store_new ? NULL : calloc(1, sizeof(*script));
    if (script == NULL) {
        snprintf(ret_error, 512, "the script says no");
        return NULL;
    }
    script->world = script_world;
    script->number = ++script_world->stores_made;
    script->store =
        (struct store){.operations = &script_operations, .config = config, .context = *context};
    return &script->store;
}

static inline void answer(struct script_attempt *attempt, const struct verdict *verdict)
{
    struct verdict given = *verdict;

    script_forget(attempt);
    answer_bytes_reference(given.answer);
    attempt->on_done(attempt->context, &given);
    verdict_clear(&given);
    free(attempt);
}

#define verdict(world, id, given) verdict_at((world), (id), (given), __FILE__, __LINE__)

static inline struct script_attempt *script_find(struct world *world, uint64_t id)
{
    for (size_t i = 0; i < world->attempt_count; i++) {
        if (world->attempts[i]->id == id)
            return world->attempts[i];
    }
    return NULL;
}

static inline void verdict_at(struct world *world, uint64_t id, const struct verdict *given,
                              const char *file, int line)
{
    struct script_attempt *attempt = script_find(world, id);

    if (attempt == NULL) {
        print_error("%s:%d: %llu is not in flight\n", file, line, (unsigned long long)id);
        _fail(file, line);
    } else {
        answer(attempt, given);
    }
}

static const struct verdict accepted = {
    .kind = VERDICT_ACCEPTED, .about_message = true, .status = 200, .reason = "HTTP 200"};
static const struct verdict refused = {
    .kind = VERDICT_REFUSED, .about_message = true, .status = 400, .reason = "HTTP 400"};
static const struct verdict failed = {
    .kind = VERDICT_RETRY, .about_message = true, .status = 500, .reason = "HTTP 500"};
static const struct verdict unreachable = {
    .kind = VERDICT_RETRY, .not_sent = true, .reason = "connection refused"};
static const struct verdict lost = {.kind = VERDICT_RETRY, .reason = "connection reset"};
static const struct verdict unauthorized = {
    .kind = VERDICT_OPERATOR, .status = 401, .reason = "HTTP 401"};
static const struct verdict *const script_verdicts[] = {&accepted, &refused,     &failed,
                                                        &lost,     &unreachable, &unauthorized};

/* ---- the spool's side ---- */

static inline void script_entry_free(struct spool_entry *entry)
{
    verdict_clear(&entry->verdict);
    message_release(&entry->message);
    free((char *)(uintptr_t)entry->route);
    free((char *)(uintptr_t)entry->lane);
    free(entry);
}

static inline void script_settle(void *context, struct spool_entry *entry)
{
    struct world *world = context;
    uint64_t id = entry->id;

    world->last_verdict = entry->verdict;
    world->last_verdict.answer = NULL;
    world->last_entry = *entry;
    if (entry->keep) {
        assert_false(entry->transient);
        assert_false(entry->released);
        note(world, "keep", id);
        world->kept++;
        answer_bytes_release(&entry->verdict.answer);
        return;
    }
    if (entry->released)
        note(world, "back", id);
    else
        note(world, entry->stop_lane ? "stop" : verdict_kind_text(entry->verdict.kind), id);
    world->settled++;
    world->held--;
    world->dead += !entry->released && entry->verdict.kind == VERDICT_REFUSED ? 1 : 0;
    if (id >= 1000 && entry->verdict.kind == VERDICT_ACCEPTED && !entry->released) {
        assert_true(id > world->last_id[id / 1000]); /* a lane has a thousand of its own */
        world->last_id[id / 1000] = id;
    }
    script_entry_free(entry);
}

static inline struct spool_entry *entry_new(struct world *world, const char *lane, uint64_t id)
{
    struct spool_entry *entry = calloc(1, sizeof(*entry));
    char *body = NULL, *name = NULL;
    int length = asprintf(&body, "%llu", (unsigned long long)id);
    const char *slash = strchr(lane, '/');

    assert_true(length > 0);
    entry->id = id;
    entry->route = slash == NULL ? strdup("r") : strndup(lane, (size_t)(slash - lane));
    assert_true(asprintf(&name, "%s%s", slash == NULL ? "r/" : "", lane) > 0);
    entry->lane = name;
    entry->message = message_new("peer", "listener", body, (size_t)length);
    entry->message->control_id = entry->message->body;
    entry->message->received_wall_ms = clock_wall_ms(&world->clock.clock);
    world->held++;
    return entry;
}

static inline void enter(struct world *world, const char *lane, uint64_t id)
{
    router_on_entry(world->router, entry_new(world, lane, id));
}

/* A transient one: its sender is waiting, until deadline_ms from now. */
static inline void enter_delivered(struct world *world, const char *lane, uint64_t id, bool wait,
                                   int64_t deadline_ms)
{
    struct spool_entry *entry = entry_new(world, lane, id);

    entry->transient = true;
    entry->wait = wait;
    entry->deadline_ms = clock_monotonic_ms(&world->clock.clock) + deadline_ms;
    router_on_entry(world->router, entry);
}

/* ---- time ---- */

static inline void run_due(struct world *world)
{
    while (timers_next_ms(&world->timers, world->clock.monotonic) == 0)
        timers_run(&world->timers, world->clock.monotonic);
}

static inline void advance(struct world *world, int64_t ms)
{
    int64_t end = world->clock.monotonic + ms;

    run_due(world);
    while (world->clock.monotonic < end) {
        int64_t next = timers_next_ms(&world->timers, world->clock.monotonic);
        int64_t step = end - world->clock.monotonic;

        if (next > 0 && next < step)
            step = next;
        clock_manual_advance(&world->clock, step);
        run_due(world);
        while (world->automatic != NULL && world->attempt_count > 0)
            answer(world->attempts[0], world->automatic);
    }
}

static inline uint64_t script_random(void *context)
{
    struct world *world = context;

    if (world->jitter)
        world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return world->random ^ (world->jitter ? world->random >> 29 : 0);
}

/* ---- the world ---- */

static inline void world_configure(struct world *world, size_t stores, size_t routes)
{
    world->config.stores = world->stores;
    world->config.store_count = stores;
    world->config.routes = world->routes;
    world->config.route_count = routes;
}

static inline void world_apply(struct world *world)
{
    char error[512] = "";

    if (router_apply(world->router, &world->config, error) != 0)
        fail_msg("%s", error);
}

/* One store s and one route r: back-off from 100 ms, at most 10 s, no jitter unless random says so. */
static inline void world_init(struct world *world)
{
    struct router_context context;

    *world = (struct world){0};
    script_world = world;
    clock_manual_init(&world->clock, 1000, SCRIPT_WALL);
    timers_init(&world->timers, NULL);
    world->metrics = metrics_new();
    for (size_t i = 0; i < 4; i++) {
        static char store_names[][3] = {"s", "s2", "s3", "s4"};
        static char route_names[][3] = {"r", "r2", "r3", "r4"};
        static char path[] = "/nowhere";

        world->stores[i] = (struct config_store){.name = store_names[i], .path = path};
        world->routes[i] = (struct config_route){.name = route_names[i],
                                                 .to = store_names[0],
                                                 .order = CONFIG_ORDER_PEER,
                                                 .retry_minimum_ms = 100,
                                                 .retry_maximum_ms = 10000,
                                                 .operator_retry_ms = 60000,
                                                 .parallel = 64};
    }
    context = (struct router_context){.timers = &world->timers,
                                      .clock = &world->clock.clock,
                                      .metrics = world->metrics,
                                      .settle = script_settle,
                                      .spool = world,
                                      .store_new = script_store_new,
                                      .random = script_random,
                                      .random_context = world};
    world->router = router_new(&context);
    assert_non_null(world->router);
    world_configure(world, 1, 1);
}

static inline void world_start(struct world *world)
{
    world_init(world);
    world_apply(world);
}

static inline void world_free(struct world *world)
{
    router_free(&world->router);
    assert_int_equal(world->attempt_count, 0);
    assert_int_equal(world->held, 0);
    assert_int_equal(world->stores_made, world->stores_freed);
    assert_int_equal(world->timers.count, 0);
    timers_free(&world->timers);
    metrics_free(world->metrics);
    script_world = NULL;
}

/* ---- the log: every line, where the real one limits their rate ("wrap: log_event") ---- */

void __wrap_log_event(enum log_level level, const char *event, const struct log_field *fields,
                      size_t count);

static inline void log_text(struct world *world, const char *name, const char *text, size_t length)
{
    const char *quote = memchr(text, ' ', length) != NULL ? "\"" : "";

    world->log_length +=
        (size_t)snprintf(world->log + world->log_length, sizeof(world->log) - world->log_length,
                         "%s=%s%.*s%s ", name, quote, (int)length, text, quote);
    assert_true(world->log_length < sizeof(world->log));
}

void __wrap_log_event(enum log_level level, const char *event, const struct log_field *fields,
                      size_t count)
{
    (void)level;
    log_text(script_world, "event", event, strlen(event));
    for (size_t i = 0; i < count; i++) {
        char number[24];

        if (fields[i].kind == LOG_FIELD_INTEGER) {
            snprintf(number, sizeof(number), "%lld", (long long)fields[i].integer);
            log_text(script_world, fields[i].name, number, strlen(number));
        } else if (fields[i].text.length > 0) {
            log_text(script_world, fields[i].name, fields[i].text.data, fields[i].text.length);
        }
    }
}

/* How often the text is in the log. */
static inline unsigned logged(struct world *world, const char *text)
{
    unsigned count = 0;

    for (const char *at = world->log; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

/* Whether a line of the metrics' text is there. */
static inline bool measured(struct world *world, const char *line)
{
    struct buffer text;
    bool found;

    buffer_init(&text, 1 << 20);
    assert_int_equal(metrics_render(world->metrics, &text), 0);
    assert_int_equal(buffer_append_byte(&text, '\0'), 0);
    found = strstr(text.data, line) != NULL;
    if (!found)
        print_error("%s\n", text.data);
    buffer_free(&text);
    return found;
}

static inline int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    world_start(world);
    *state = world;
    (void)script_verdicts;
    return 0;
}

static inline int world_teardown(void **state)
{
    world_free(*state);
    free(*state);
    return 0;
}

#define WORLD_TEST(function) cmocka_unit_test_setup_teardown(function, world_setup, world_teardown)

#endif

/* What of the status only the delivery and the spool thread know, asked for without waiting: a disk that
 * hangs takes the spool's thread with it, and must not take the admin thread, which answers the
 * liveness probe. On the admin thread, but for what is said to run elsewhere. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define INQUIRY_MS 2000

enum inquiry_state {
    INQUIRY_AT_DELIVERY,
    INQUIRY_WAITS_FOR_SPOOL, /* on gateway->inquiries */
    INQUIRY_OVERDUE,         /* answered without the delivery's part; its mail is still out */
};

/* One request for the status. */
struct inquiry {
    struct mail mail; /* to the delivery thread and back */
    struct list_node node;
    struct timer timer;
    struct gateway *gateway;
    struct admin_reply *reply;
    void (*done)(struct gateway *gateway, struct admin_reply *reply,
                 const struct inquiry_answer *answer);
    enum inquiry_state state;
    struct spool_look *look; /* the one that answers it; NULL: the next */
    json_t *routes;          /* name -> object; the delivery thread's while it is there */
};

/* One look into the spool, for everyone who asked before it began. There is one at a time: they would
 * pile up before a disk that hangs. */
struct spool_look {
    struct spool_call call;
    struct gateway *gateway;
    json_t *lanes; /* route -> what is queued in all its lanes */
    json_t *keys;
};

/* ---- the router's side: the delivery thread ---- */

static const char *const amounts[] = {"queued", "dead", "queued_bytes", "oldest"};
#define AMOUNTS (sizeof(amounts) / sizeof(amounts[0]))

static void add_route(void *context, const struct route_status *status)
{
    json_t *json = json_object();

    json_object_set_new(json, "name", json_string(status->name));
    json_object_set_new(json, "store", json_string(status->store));
    json_object_set_new(json, "lanes", json_integer(status->lanes));
    json_object_set_new(json, "in_flight", json_integer(status->in_flight));
    json_object_set_new(json, "queueing", json_boolean(status->queueing));
    json_object_set_new(json, "operator_fault", json_boolean(status->operator_fault));
    json_object_set_new(json, "why", json_string(status->why == NULL ? "" : status->why));
    json_object_set_new(json, "since", json_integer(status->since_ms));
    json_object_set_new(json, "next_attempt_ms",
                        status->next_attempt_ms < 0 ? json_null()
                                                    : json_integer(status->next_attempt_ms));
    json_object_set_new(json, "stopped_lanes", json_integer(status->stopped_lanes));
    for (size_t i = 0; i < AMOUNTS; i++) {
        json_object_set_new(json, amounts[i], json_null()); /* the spool's to say */
    }
    json_object_set_new(context, status->name, json);
}

/* ---- the spool's side: the spool's thread ---- */

static void add_to(json_t *route, const char *name, uint64_t amount)
{
    json_int_t value = json_integer_value(json_object_get(route, name));

    json_object_set_new(route, name, json_integer(value + (json_int_t)amount));
}

static void add_lane(void *context, const char *name, const char *lane,
                     const struct spool_lane_statistics *statistics)
{
    json_t *route = json_object_get(context, name);
    json_int_t oldest = json_integer_value(json_object_get(route, "oldest"));

    (void)lane;
    if (route == NULL) {
        route = json_object();
        json_object_set_new(context, name, route);
    }
    add_to(route, "queued", statistics->queued);
    add_to(route, "dead", statistics->dead);
    add_to(route, "queued_bytes", (uint64_t)statistics->queued_bytes);
    if (statistics->oldest_ms != 0 && (oldest == 0 || statistics->oldest_ms < oldest)) {
        json_object_set_new(route, "oldest", json_integer(statistics->oldest_ms));
    }
}

/* What is sealed with which key: an old key may go when nothing hangs on it. */
static void add_key(void *context, const char *key_id, bool current, uint64_t sealed)
{
    json_t *json = json_object();

    json_object_set_new(json, "id", json_string(key_id));
    json_object_set_new(json, "current", json_boolean(current));
    json_object_set_new(json, "sealed", json_integer((json_int_t)sealed));
    json_array_append_new(context, json);
}

static void look(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct spool_look *mine = LIST_ENTRY(call, struct spool_look, call);

    (void)spool;
    (void)!spool_backend_lanes(backend, add_lane, mine->lanes);
    (void)!spool_backend_keys(backend, add_key, mine->keys);
}

/* ---- putting it together ---- */

static void add_amounts(json_t *routes, const struct spool_look *seen)
{
    const char *name;
    json_t *route, *lanes;

    json_object_foreach(seen->lanes, name, lanes)
    {
        if (json_object_get(routes, name) == NULL) { /* rows of a route that is not configured */
            struct route_status gone = {
                .name = name, .store = "", .why = "not configured", .next_attempt_ms = -1};
            add_route(routes, &gone);
        }
    }
    json_object_foreach(routes, name, route)
    {
        lanes = json_object_get(seen->lanes, name);
        for (size_t i = 0; i < AMOUNTS; i++) {
            json_int_t amount = json_integer_value(json_object_get(lanes, amounts[i]));
            json_object_set_new(route, amounts[i], json_integer(amount));
        }
    }
}

static json_t *list_of(json_t *routes)
{
    json_t *list = json_array(), *route;
    const char *name;

    json_object_foreach(routes, name, route)
    {
        json_array_append(list, route);
    }
    return list;
}

/* missing: who has not answered; NULL: everyone has. */
static void answer(struct inquiry *inquiry, const struct spool_look *seen, const char *missing)
{
    bool routes = inquiry->state != INQUIRY_AT_DELIVERY;
    char words[160];
    struct inquiry_answer said = {
        .routes = routes ? list_of(inquiry->routes) : json_null(),
        .keys = seen == NULL ? json_null() : json_incref(seen->keys),
        .missing = missing == NULL ? NULL : words,
    };

    snprintf(words, sizeof(words), "%s has not answered%s", missing == NULL ? "" : missing,
             routes ? " (a disk that hangs?): what is queued is not known" : "");
    timers_stop(loop_timers(admin_loop(inquiry->gateway->admin)), &inquiry->timer);
    inquiry->done(inquiry->gateway, inquiry->reply, &said);
}

static void inquiry_free(struct inquiry *inquiry)
{
    list_remove(&inquiry->node);
    json_decref(inquiry->routes);
    free(inquiry);
}

/* ---- asking the spool ---- */

static void begin_look(struct gateway *gateway);

static void look_done(struct spool_call *call)
{
    struct spool_look *mine = LIST_ENTRY(call, struct spool_look, call);
    struct gateway *gateway = mine->gateway;

    gateway->spool_look = NULL;
    LIST_FOREACH_SAFE(node, next, &gateway->inquiries) {
        struct inquiry *inquiry = LIST_ENTRY(node, struct inquiry, node);
        if (inquiry->look == mine) {
            add_amounts(inquiry->routes, mine);
            answer(inquiry, mine, NULL);
            inquiry_free(inquiry);
        }
    }
    json_decref(mine->lanes);
    json_decref(mine->keys);
    free(mine);
    begin_look(gateway);
}

static void answer_all_without_spool(struct gateway *gateway)
{
    LIST_FOREACH_SAFE(node, next, &gateway->inquiries) {
        struct inquiry *inquiry = LIST_ENTRY(node, struct inquiry, node);
        answer(inquiry, NULL, "the spool");
        inquiry_free(inquiry);
    }
}

/* For all who wait now; at the gateway's end there is no spool to ask any more. */
static void begin_look(struct gateway *gateway)
{
    struct spool_look *mine;

    if (gateway->spool_look != NULL || list_empty(&gateway->inquiries)) {
        return;
    }
    mine = gateway->spool == NULL ? NULL : calloc(1, sizeof(*mine));
    if (mine == NULL) {
        answer_all_without_spool(gateway);
        return;
    }
    *mine = (struct spool_look){
        .call = {.call = look,
                 .done = look_done,
                 .reply_to = loop_mailbox(admin_loop(gateway->admin))},
        .gateway = gateway,
        .lanes = json_object(),
        .keys = json_array(),
    };
    gateway->spool_look = mine;
    LIST_FOREACH_SAFE(node, next, &gateway->inquiries)
        LIST_ENTRY(node, struct inquiry, node)->look = mine;
    spool_call(gateway->spool, &mine->call);
}

/* ---- asking the delivery, then the spool ---- */

static void back_from_delivery(struct mail *mail)
{
    struct inquiry *inquiry = LIST_ENTRY(mail, struct inquiry, mail);

    if (inquiry->state == INQUIRY_OVERDUE) {
        inquiry_free(inquiry);
        return;
    }
    inquiry->state = INQUIRY_WAITS_FOR_SPOOL;
    list_append(&inquiry->gateway->inquiries, &inquiry->node);
    begin_look(inquiry->gateway);
}

/* On the delivery thread. */
static void at_delivery(struct mail *mail)
{
    struct inquiry *inquiry = LIST_ENTRY(mail, struct inquiry, mail);

    router_status(inquiry->gateway->router, add_route, inquiry->routes);
    mail->deliver = back_from_delivery;
    mailbox_post(loop_mailbox(admin_loop(inquiry->gateway->admin)), mail);
}

static void overdue(struct timer *timer)
{
    struct inquiry *inquiry = LIST_ENTRY(timer, struct inquiry, timer);

    if (inquiry->state == INQUIRY_AT_DELIVERY) {
        answer(inquiry, NULL, "the delivery thread");
        inquiry->state = INQUIRY_OVERDUE;
    } else {
        answer(inquiry, NULL, "the spool");
        inquiry_free(inquiry);
    }
}

int gateway_inquire(struct gateway *gateway, struct admin_reply *reply,
                    void (*done)(struct gateway *gateway, struct admin_reply *reply,
                                 const struct inquiry_answer *answer))
{
    struct loop *loop = admin_loop(gateway->admin);
    struct inquiry *inquiry = calloc(1, sizeof(*inquiry));

    if (inquiry == NULL) {
        return -ENOMEM;
    }
    *inquiry = (struct inquiry){
        .mail = {.deliver = at_delivery},
        .timer = {.fire = overdue},
        .gateway = gateway,
        .reply = reply,
        .done = done,
        .routes = json_object(),
    };
    list_init(&inquiry->node);
    if (inquiry->routes == NULL ||
        timers_start(loop_timers(loop), &inquiry->timer, loop_now_ms(loop) + INQUIRY_MS) != 0) {
        inquiry_free(inquiry);
        return -ENOMEM;
    }
    mailbox_post(loop_mailbox(gateway->delivery), &inquiry->mail);
    return 0;
}

/*
 * fake_gateway: what admin asks of the rest of the program, for tests of admin. Header only.
 *
 * status and connections answer from a thread of their own after a moment, as the gateway's workers do.
 */
#ifndef MLLPGW_TESTS_FAKE_GATEWAY_H
#define MLLPGW_TESTS_FAKE_GATEWAY_H

#include "admin/admin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct fake_gateway {
    struct admin_gateway gateway;
    /* A test may set these while admin runs. */
    _Atomic(const char *) why; /* NULL: ready */
    atomic_bool status_fails, reload_fails, no_tunnels;
    atomic_int connections;
    atomic_int drains, reloads, answering;
};

struct fake_answer {
    struct admin_reply *reply;
    struct fake_gateway *fake;
    json_t *result;
};

static void *fake_answer_later(void *context)
{
    struct fake_answer *answer = context;
    struct fake_gateway *fake = answer->fake;

    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    admin_reply_finish(answer->reply, answer->result, "the workers don't answer");
    free(answer);
    atomic_fetch_sub(&fake->answering, 1);
    return NULL;
}

static void fake_answer(struct fake_gateway *fake, struct admin_reply *reply, json_t *result)
{
    struct fake_answer *answer = malloc(sizeof *answer);
    pthread_t thread;

    *answer = (struct fake_answer){reply, fake, result};
    atomic_fetch_add(&fake->answering, 1);
    pthread_create(&thread, NULL, fake_answer_later, answer);
    pthread_detach(thread);
}

static bool fake_ready(void *context, char *ret_why, size_t size)
{
    struct fake_gateway *fake = context;

    const char *why = atomic_load(&fake->why);

    if (why != NULL)
        snprintf(ret_why, size, "%s", why);
    return why == NULL;
}

static int fake_reload(void *context, struct problems *problems, size_t *ret_changed)
{
    struct fake_gateway *fake = context;
    const struct place place = {"gateway.cfg", 12};

    atomic_fetch_add(&fake->reloads, 1);
    if (fake->reload_fails) {
        problems_add(problems, PROBLEM_ERROR, place, "tls.a.key", "is not the certificate's");
        return -22;
    }
    problems_add(problems, PROBLEM_WARNING, place, NULL, "expires soon");
    *ret_changed = 3;
    return 0;
}

static void fake_drain(void *context)
{
    struct fake_gateway *fake = context;

    atomic_fetch_add(&fake->drains, 1);
}

static json_t *fake_route(const char *name, bool fault, bool queueing)
{
    return json_pack("{s:s s:s s:b s:b s:s}", "name", name, "store", "cloud", "operator_fault",
                     fault, "queueing", queueing, "why", queueing ? "HTTP 401 <b>" : "");
}

static void fake_status(void *context, struct admin_reply *reply)
{
    struct fake_gateway *fake = context;

    fake_answer(fake, reply,
                fake->status_fails
                    ? NULL
                    : json_pack("{s:s s:[{s:s s:i s:I}] s:[o o o] s:[] s:{s:i s:i}}", "version",
                                "1.2", "listeners", "name", "<script>&'\"", "connections", 2,
                                "since_at_ms", (json_int_t)1700000000000, "routes",
                                fake_route("well", false, false), fake_route("slow", false, true),
                                fake_route("f<t", true, true), "peers", "spool", "queued", 7,
                                "oldest_age_ms", 192000));
}

static void fake_connections(void *context, struct admin_reply *reply)
{
    struct fake_gateway *fake = context;
    json_t *all = json_array();

    for (int i = 0; i < fake->connections; i++)
        json_array_append_new(all, json_pack("{s:i s:s}", "id", i, "peer", "lab"));
    fake_answer(fake, reply, json_pack("{s:o}", "connections", all));
}

static void fake_tunnels(void *context, struct admin_reply *reply)
{
    struct fake_gateway *fake = context;

    fake_answer(fake, reply,
                fake->no_tunnels
                    ? json_pack("{s:[]}", "tunnels")
                    : json_pack("{s:[{s:s s:s}]}", "tunnels", "name", "site", "state", "down"));
}

static void fake_gateway_init(struct fake_gateway *fake, struct metrics *metrics,
                              struct spool *spool)
{
    *fake = (struct fake_gateway){
        .gateway = {.context = fake,
                    .metrics = metrics,
                    .spool = spool,
                    .name = "edge-1",
                    .version = "1.2.3",
                    .ready = fake_ready,
                    .reload = fake_reload,
                    .drain = fake_drain,
                    .status = fake_status,
                    .connections = fake_connections,
                    .tunnels = fake_tunnels},
    };
}

/* Waits for the threads that answer. */
static void fake_gateway_settle(struct fake_gateway *fake)
{
    while (atomic_load(&fake->answering) > 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

#endif

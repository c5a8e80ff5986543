/*
 * admin: the operator's doors: HTTP for machines (/metrics, /livez, /readyz, /) and the control
 * socket for mllpctl.
 *
 * A thread with a loop of its own. HTTP answers carry no content and no control ids. The control
 * socket (unix, 0660, control_group) takes one JSON object a line and answers one JSON object a
 * line (control.h); who calls is known by SO_PEERCRED; replay, discard, move and bodies only for
 * root or operator_group, each with an audit line.
 * What admin needs of the rest of the program comes in as functions: gateway.c fills them in.
 * Threads: admin_new(), admin_free(): the composing thread; the functions in struct admin_gateway are
 * called on the admin thread.
 */
#ifndef MLLPGW_ADMIN_ADMIN_H
#define MLLPGW_ADMIN_ADMIN_H

#include "base/metrics.h"
#include "config/problems.h"
#include "loop/loop.h"
#include "spool/spool.h"

#include <jansson.h>
#include <stdbool.h>

struct admin;

/* An answer that is made later: exactly one admin_reply_finish(), from any thread. */
struct admin_reply;
/* Takes over result (may be NULL: then error says why). */
void admin_reply_finish(struct admin_reply *reply, json_t *result, const char *error);
/* Posts a mail back to the admin thread, for answers that are put together there. */
struct mailbox *admin_reply_mailbox(struct admin_reply *reply);

struct admin_gateway {
    void *context;
    struct metrics *metrics;
    struct spool *spool;
    const char *name, *version;
    /* true: ready. Else why (one line a reason, in words). Never blocks. */
    bool (*ready)(void *context, char *ret_why, size_t size);
    /* Validates and swaps, or keeps the old; problems say why. Blocks only for files. */
    int (*reload)(void *context, struct problems *problems, size_t *ret_changed);
    /* Whether the configuration in use has a route of this name. NULL: not asked. */
    bool (*has_route)(void *context, const char *route);
    /* Starts the drain; the process ends when it is done. */
    void (*drain)(void *context);
    /* How numbers are shown to people hangs on their members' names: text_number_of() in base/text.h.
     * {"listeners":[...],"routes":[...],"spool":{...},"certificates":[...]}, and "incomplete" with a
     * sentence where somebody has not answered in time: what only he knows is null then. */
    void (*status)(void *context, struct admin_reply *reply);
    /* {"connections":[{"id","listener","peer","address","since","messages","last","tls","subject"}]} */
    void (*connections)(void *context, struct admin_reply *reply);
    /* {"tunnels":[{"name","state","since",...}]} */
    void (*tunnels)(void *context, struct admin_reply *reply);
};

struct admin_settings {
    const char *http_address;                   /* NULL: none */
    const char *control_socket;                 /* path */
    const char *control_group, *operator_group; /* NULL: see config.h */
};

/* Opens the doors (before privileges are dropped). NULL with a sentence. */
struct admin *admin_new(const struct admin_gateway *gateway, const struct admin_settings *settings,
                        char ret_error[512]);
__attribute__((warn_unused_result)) int admin_start(struct admin *admin);
/* Ends the thread and closes the doors. Everyone who may still owe it an answer (spool, workers) has
 * ended before. */
void admin_free(struct admin **admin);
/* Where HTTP listens, for an address with port 0; 0: nowhere. */
int admin_http_port(const struct admin *admin);
/* The loop that runs reload and what gateway.c wants done beside the data path. */
struct loop *admin_loop(struct admin *admin);

#endif

#include "admin/control_request.h"

#include "admin/reply.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_WHY_BYTES 4096

struct control_command {
    const char *name;
    bool operators_only; /* semantics, "Reload and running" */
    void (*run)(struct control_request *request);
};

static void command_ping(struct control_request *request)
{
    control_finish(request, json_object());
}

static json_t *command_identity(const struct admin_gateway *gateway)
{
    return json_pack("{s:s s:s s:I}", "name", gateway->name, "version", gateway->version, "pid",
                     (json_int_t)getpid());
}

static void command_version(struct control_request *request)
{
    control_finish(request, command_identity(request->gateway));
}

static void command_settings(struct control_request *request)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out != NULL) {
        config_print_settings(out);
        fclose(out);
    }
    control_finish(request, text == NULL ? NULL : json_pack("{s:s}", "text", text));
    free(text);
}

/* ---- status, connections, tunnels ---- */

static void command_on_status(struct admin_reply *reply)
{
    struct control_request *request = reply->context;
    const struct admin_gateway *gateway = request->gateway;
    char why[COMMAND_WHY_BYTES] = "";

    if (reply->result == NULL) {
        control_fail(request, "failed", "%s", reply->error);
    } else {
        json_t *all = command_identity(gateway);
        bool ready = gateway->ready(gateway->context, why, sizeof why);
        if (all != NULL) {
            json_object_set_new(all, "ready", json_boolean(ready));
            json_object_set_new(all, "why", json_string(ready ? "" : why));
            json_object_update(all, reply->result);
        }
        control_finish(request, all);
    }
    admin_reply_free(reply);
}

/* Sends a long array as lines of at most CONTROL_PAGE items. */
static void command_send_items(struct control_request *request, const json_t *array)
{
    json_t *items = NULL;
    size_t index;
    const json_t *item;

    json_array_foreach(array, index, item)
    {
        if (items == NULL)
            items = json_array();
        json_array_append(items, (json_t *)(uintptr_t)item);
        if (json_array_size(items) == CONTROL_PAGE || index + 1 == json_array_size(array)) {
            control_send(request, json_pack("{s:o}", "items", items));
            items = NULL;
        }
    }
}

static void command_on_list(struct admin_reply *reply, const char *member)
{
    struct control_request *request = reply->context;
    const json_t *all = json_object_get(reply->result, member);

    if (reply->result == NULL) {
        control_fail(request, "failed", "%s", reply->error);
    } else {
        command_send_items(request, all);
        control_finish(request, json_pack("{s:I}", "count", (json_int_t)json_array_size(all)));
    }
    admin_reply_free(reply);
}

static void command_on_connections(struct admin_reply *reply)
{
    command_on_list(reply, "connections");
}

static void command_on_tunnels(struct admin_reply *reply)
{
    command_on_list(reply, "tunnels");
}

static void command_ask(struct control_request *request,
                        void (*ask)(void *context, struct admin_reply *reply),
                        void (*done)(struct admin_reply *reply))
{
    struct admin_reply *reply = admin_reply_new(request->loop, done, request);

    if (reply == NULL)
        control_finish(request, NULL);
    else
        ask(request->gateway->context, reply);
}

static void command_status(struct control_request *request)
{
    command_ask(request, request->gateway->status, command_on_status);
}

static void command_connections(struct control_request *request)
{
    command_ask(request, request->gateway->connections, command_on_connections);
}

static void command_tunnels(struct control_request *request)
{
    command_ask(request, request->gateway->tunnels, command_on_tunnels);
}

/* ---- reload, drain ---- */

static json_t *command_problems(const struct problems *problems)
{
    json_t *array = json_array();

    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->items[i];
        json_array_append_new(array,
                              json_pack("{s:s s:s* s:I s:s* s:s*}", "severity",
                                        problem->severity == PROBLEM_ERROR ? "error" : "warning",
                                        "file", problem->file, "line", (json_int_t)problem->line,
                                        "setting", problem->setting, "text", problem->text));
    }
    return array;
}

static void command_reload(struct control_request *request)
{
    const struct admin_gateway *gateway = request->gateway;
    struct problems problems;
    size_t changed = 0;

    problems_init(&problems);
    int result = gateway->reload(gateway->context, &problems, &changed);
    json_t *list = command_problems(&problems);
    problems_free(&problems);
    control_audit(request, 0, result < 0 ? "failed" : "ok");
    if (result < 0)
        control_fail_with(request, "failed",
                          "the configuration was not taken over; the old one goes on",
                          json_pack("{s:o}", "problems", list));
    else
        control_finish(request,
                       json_pack("{s:I s:o}", "changed", (json_int_t)changed, "problems", list));
}

static void command_drain(struct control_request *request)
{
    const struct admin_gateway *gateway = request->gateway;

    control_audit(request, 0, "ok");
    control_finish(request, json_object());
    gateway->drain(gateway->context);
}

/* ---- the table ---- */

static const struct control_command commands[] = {
    {"ping", false, command_ping},
    {"version", false, command_version},
    {"settings", false, command_settings},
    {"status", false, command_status},
    {"connections", false, command_connections},
    {"tunnels", false, command_tunnels},
    {"queue.list", false, control_queue_list},
    {"queue.show", false, control_queue_show}, /* with body: checked there too */
    {"queue.replay", true, control_queue_replay},
    {"queue.discard", true, control_queue_discard},
    {"queue.move", true, control_queue_move},
    {"reload", false, command_reload},
    {"drain", false, command_drain},
};

void control_dispatch(struct control_request *request)
{
    const char *name = json_string_value(json_object_get(request->arguments, "command"));

    for (size_t i = 0; name != NULL && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (commands[i].operators_only && !request->caller.operator) {
            control_audit(request, 0, "permission");
            control_fail(request, "permission", "%s is for root and members of operator_group only",
                         name);
            return;
        }
        commands[i].run(request);
        return;
    }
    control_fail(request, "request",
                 name == NULL ? "\"command\" is missing" : "there is no such command");
}

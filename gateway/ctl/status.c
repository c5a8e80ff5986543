/* mllpctl status, connections: what the gateway is doing, and who is there. */
#include "base/text.h"
#include "ctl/client.h"
#include "ctl/table.h"

#include <string.h>
#include <time.h>

static const char status_help[] =
    "usage: mllpctl status [OPTIONS]\n"
    "\n"
    "Listeners, routes with depth and oldest message, spool, certificates. Exit code 1 when the\n"
    "gateway is not ready; it says why.\n"
    "\n" CLIENT_HELP;

static const char connections_help[] = "usage: mllpctl connections [OPTIONS]\n"
                                       "\n"
                                       "Who is connected, since when, and what has come.\n"
                                       "\n" CLIENT_HELP;

static void status_print_section(const char *name, json_t *value)
{
    if (json_is_array(value) && json_array_size(value) == 0)
        return;
    if (!json_is_array(value) && !json_is_object(value))
        return;
    printf("\n%s\n", name);
    if (json_is_object(value))
        table_print_pairs(stdout, value);
    else
        table_print_all(stdout, value);
}

static void status_print(json_t *status, bool ready)
{
    json_t *head = json_object(), *value;
    const char *key;

    json_object_foreach(status, key, value)
    {
        if (!json_is_array(value) && !json_is_object(value) && strcmp(key, "ready") != 0 &&
            strcmp(key, "why") != 0)
            json_object_set(head, key, value);
    }
    json_object_set_new(head, "ready", json_string(ready ? "yes" : "NO"));
    const char *why = json_string_value(json_object_get(status, "why"));
    if (why != NULL && why[0] != '\0')
        json_object_set_new(head, ready ? "besides" : "why", json_string(why));
    table_print_pairs(stdout, head);
    json_decref(head);
    json_object_foreach(status, key, value) status_print_section(key, value);
}

int ctl_status(int argc, char **argv)
{
    struct client_options options = {.command = "status"};
    json_t *status = NULL;
    int code = client_parse(&options, status_help, argc, argv, 0);

    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    code = client_call(&options, json_pack("{s:s}", "command", "status"), NULL, NULL, &status);
    if (code != CTL_OK)
        return code;
    bool ready = json_is_true(json_object_get(status, "ready"));
    if (options.json) {
        code = client_print_json(status);
    } else {
        status_print(status, ready);
        json_decref(status);
    }
    return code != CTL_OK || ready ? code : CTL_NOT_WELL;
}

static void connections_item(void *context, json_t *item)
{
    json_array_append(context, item);
}

int ctl_connections(int argc, char **argv)
{
    struct client_options options = {.command = "connections"};
    int code = client_parse(&options, connections_help, argc, argv, 0);

    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    json_t *all = json_array();
    code = client_call(&options, json_pack("{s:s}", "command", "connections"), connections_item,
                       all, NULL);
    if (code == CTL_OK && options.json)
        return client_print_json(all);
    if (code == CTL_OK && json_array_size(all) == 0)
        puts("nobody is connected");
    else if (code == CTL_OK)
        table_print_all(stdout, all);
    json_decref(all);
    return code;
}

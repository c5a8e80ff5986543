/* mllpctl tunnels: how the IPsec tunnels are. */
#include "ctl/client.h"
#include "ctl/table.h"

#include <string.h>
#include <unistd.h>

#define TUNNELS_WATCH_S 2

static const char tunnels_help[] =
    "usage: mllpctl tunnels [OPTIONS]\n"
    "\n"
    "A line for each tunnel: its state and since when, the other side, the last packets each way,\n"
    "when its keys are renewed, how many sessions ride on it (a pair's on both), and the last thing\n"
    "that went wrong with it. \"unknown\" is not down: nothing is heard of it. Below: warnings.\n"
    "Exit code 1 when one is not up.\n"
    "\n"
    "  --watch         again and again, until it is interrupted\n" CLIENT_HELP;

enum { TUNNELS_WATCH = 1 };

static int tunnels_parse(struct client_options *options, int argc, char **argv, bool *ret_watch)
{
    static const struct option long_options[] = {
        CLIENT_LONG_OPTIONS,
        {"watch", no_argument, NULL, TUNNELS_WATCH},
        {NULL, 0, NULL, 0},
    };
    int option, code = CTL_OK;

    optind = 1;
    opterr = 0;
    while (code == CTL_OK && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == TUNNELS_WATCH)
            *ret_watch = true;
        else
            (void)client_option(options, option, tunnels_help, argv, &code);
    }
    if (code == CTL_OK && optind < argc)
        return ctl_usage("tunnels", "%s: what is that for?", argv[optind]);
    return code;
}

static void tunnels_collect(void *context, json_t *item)
{
    json_array_append(context, item);
}

static void tunnels_print_warnings(const json_t *tunnel)
{
    const char *name = json_string_value(json_object_get(tunnel, "name"));
    const char *why = json_string_value(json_object_get(tunnel, "why"));
    const json_t *warning;
    size_t index;

    if (why != NULL)
        printf("%s: unknown: %s\n", name, why);
    json_array_foreach(json_object_get(tunnel, "warnings"), index, warning)
    {
        printf("%s: warning: %s\n", name, json_string_value(warning));
    }
}

static void tunnels_print(const json_t *all)
{
    static const struct table_column columns[] = {
        {"name", "TUNNEL"},           {"state", "STATE"},         {"since", "SINCE"},
        {"remote", "REMOTE"},         {"cipher", "CIPHER"},       {"last_in_s", "LAST IN"},
        {"last_out_s", "LAST OUT"},   {"rekey_in_s", "REKEY IN"}, {"sessions", "SESSIONS"},
        {"last_alert", "LAST ALERT"},
    };
    const json_t *tunnel;
    size_t index;

    if (json_array_size(all) == 0) {
        puts("no tunnels are configured");
        return;
    }
    table_print(stdout, all, columns, sizeof columns / sizeof *columns);
    json_array_foreach(all, index, tunnel) tunnels_print_warnings(tunnel);
}

static bool tunnels_are_up(const json_t *all)
{
    const json_t *tunnel;
    size_t index;

    json_array_foreach(all, index, tunnel)
    {
        const char *state = json_string_value(json_object_get(tunnel, "state"));
        if (state == NULL || strcmp(state, "up") != 0)
            return false;
    }
    return true;
}

static int tunnels_show(const struct client_options *options)
{
    json_t *all = json_array();
    int code =
        client_call(options, json_pack("{s:s}", "command", "tunnels"), tunnels_collect, all, NULL);
    bool up = tunnels_are_up(all);

    if (code == CTL_OK && options->json) {
        code = client_print_json(json_incref(all));
    } else if (code == CTL_OK) {
        tunnels_print(all);
    }
    json_decref(all);
    return code != CTL_OK || up ? code : CTL_NOT_WELL;
}

int ctl_tunnels(int argc, char **argv)
{
    struct client_options options = {.command = "tunnels"};
    bool watch = false;
    int code = tunnels_parse(&options, argc, argv, &watch);

    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    code = tunnels_show(&options);
    while (watch && (code == CTL_OK || code == CTL_NOT_WELL) && fflush(stdout) == 0) {
        sleep(TUNNELS_WATCH_S);
        if (isatty(STDOUT_FILENO))
            fputs("\033[H\033[J", stdout);
        else
            putchar('\n');
        code = tunnels_show(&options);
    }
    return code;
}

/* mllpctl check: everything that is wrong with a configuration, its files and certificates, in one
 * go. */
#include "ctl/check.h"
#include "config/config.h"
#include "ctl/client.h"
#include "ctl/guards.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char check_help[] =
    "usage: mllpctl check [FILE] [OPTIONS]\n"
    "\n"
    "Checks a configuration as the gateway would at its start, and what it names: keys and\n"
    "certificates (expired, expiring within 30 days, not belonging together, too large a chain),\n"
    "CRLs, modes of secret files, Google credentials, directories to write to; tunnels' networks,\n"
    "proposals and keys;\n"
    "whether the guards of tunnels are loaded, when it may look (root, or CAP_NET_ADMIN).\n"
    "Every problem with file and line.\n"
    "\n"
    "  --config FILE    the same as FILE (default " CTL_CONFIG ")\n"
    "  --directory DIR  where relative paths start (default: where FILE is)\n"
    "  --online         ask the stores, too: a token is fetched, and whether a store of type google\n"
    "                   is there for it, or the host of one of type http answers. No message is\n"
    "                   sent. As the gateway's user, for credentials that nobody names depend on it\n"
    "  --json           print JSON\n"
    "\n"
    "Exit code 1 when there is an error; warnings alone give 0.\n";

struct check_options {
    struct client_options client;
    bool online;
};

enum { CHECK_ONLINE = 1 };

static int check_parse(struct check_options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        CLIENT_FILE_OPTIONS,
        {"json", no_argument, NULL, CLIENT_OPTION_JSON},
        {"online", no_argument, NULL, CHECK_ONLINE},
        {NULL, 0, NULL, 0},
    };
    int option, code = CTL_OK;

    optind = 1;
    opterr = 0;
    while (code == CTL_OK && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == CHECK_ONLINE)
            options->online = true;
        else
            (void)client_option(&options->client, option, check_help, argv, &code);
    }
    if (code != CTL_OK)
        return code;
    if (argc - optind > 1 || (argc - optind == 1 && options->client.config != NULL))
        return ctl_usage("check", "%s: one configuration at a time", argv[argc - 1]);
    if (optind < argc)
        options->client.config = argv[optind];
    if (options->client.config == NULL)
        options->client.config = CTL_CONFIG;
    return CTL_OK;
}

/* ---- guards ---- */

static const char *const check_guards_words[] = {
    [GUARDS_LOADED] = "loaded",
    [GUARDS_MISSING] = "missing",
    [GUARDS_DIFFER] = "differ",
    [GUARDS_NOT_VERIFIED] = "not-verified",
};
#define CHECK_GUARDS_NOT_NEEDED "not-needed"

/* The first peer that needs them; without one the first tunnel, which leads to this machine all the same.
 * False: there are neither. */
static bool check_guards_place(const struct config *config, char ret_setting[160],
                               struct place *ret_place)
{
    const struct config_peer *peer = guards_first_peer(config);
    const struct config_tunnel *tunnel = config->tunnel_count > 0 ? config->tunnels : NULL;

    if (peer == NULL && tunnel == NULL)
        return false;
    if (peer != NULL)
        snprintf(ret_setting, 160, "peers.%s.tunnel", peer->name != NULL ? peer->name : "?");
    else
        snprintf(ret_setting, 160, "tunnels.%s", tunnel->name != NULL ? tunnel->name : "?");
    *ret_place = peer != NULL ? peer->place : tunnel->place;
    return true;
}

/* Warnings, as a configuration may be checked on another machine. Its word; text: more, when loaded. */
static const char *check_guards(const struct config *config, struct problems *problems,
                                char ret_text[GUARDS_TEXT_BYTES])
{
    enum guards_state state = GUARDS_NOT_VERIFIED;
    struct place place;
    char setting[160];

    if (!check_guards_place(config, setting, &place))
        return CHECK_GUARDS_NOT_NEEDED;
    /* What is wrong may be just what guards are made from. */
    if (problems->errors > 0)
        snprintf(ret_text, GUARDS_TEXT_BYTES, "the configuration has errors");
    else
        state = guards_look(config, ret_text);
    if (state == GUARDS_NOT_VERIFIED)
        problems_add(problems, PROBLEM_WARNING, place, setting,
                     "guards not verified: %s. Whether clear text could pass for a tunnel's is "
                     "not known",
                     ret_text);
    else if (state != GUARDS_LOADED)
        problems_add(problems, PROBLEM_WARNING, place, setting,
                     "guards %s: %s. Clear text may pass for a tunnel's here: load them with "
                     "deploy/guards",
                     state == GUARDS_MISSING ? "missing" : "not as they should be", ret_text);
    return check_guards_words[state];
}

/* ---- printing ---- */

static void check_print_json(const struct problems *problems, const char *guards, json_t *online)
{
    json_t *list = json_array();

    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *each = &problems->items[i];
        json_array_append_new(list, json_pack("{s:s s:s* s:I s:s* s:s*}", "severity",
                                              each->severity == PROBLEM_ERROR ? "error" : "warning",
                                              "file", each->file, "line", (json_int_t)each->line,
                                              "setting", each->setting, "text", each->text));
    }
    json_t *all = json_pack("{s:b s:I s:I s:s* s:O* s:o}", "ok", problems->errors == 0, "errors",
                            (json_int_t)problems->errors, "warnings",
                            (json_int_t)(problems->count - problems->errors), "guards", guards,
                            "online", online, "problems", list);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void check_print_text(const struct problems *problems, const struct config *config,
                             const char *file)
{
    size_t warnings = problems->count - problems->errors;

    problems_print(problems, stdout);
    printf("%s: %zu error%s, %zu warning%s", file, problems->errors,
           problems->errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
    if (config != NULL)
        printf(" (%zu listeners, %zu peers, %zu tunnels, %zu stores, %zu routes)",
               config->listener_count, config->peer_count, config->tunnel_count,
               config->store_count, config->route_count);
    putchar('\n');
}

/* Those that are not well stand among the problems. */
static void check_print_online(const json_t *online)
{
    size_t index;
    const json_t *result;

    json_array_foreach(online, index, result)
    {
        if (json_is_true(json_object_get(result, "ok")))
            printf("online: %s: %s\n", json_string_value(json_object_get(result, "store")),
                   json_string_value(json_object_get(result, "text")));
    }
}

/* NULL: not asked for, or not worth it yet. */
static json_t *check_stores(const struct config *config, const struct check_options *options,
                            struct problems *problems)
{
    check_store_credentials(config, problems);
    if (options->online && problems->errors == 0)
        return check_online(config, problems);
    if (options->online)
        problems_add(problems, PROBLEM_WARNING, (struct place){.file = config->file}, "stores",
                     "the stores were not asked (--online): first the errors");
    return NULL;
}

int ctl_check(int argc, char **argv)
{
    struct check_options options = {.client = {.command = "check"}};
    struct problems problems;
    char text[GUARDS_TEXT_BYTES] = "";
    const char *guards = NULL;
    json_t *online = NULL;
    int code = check_parse(&options, argc, argv);

    if (code != CTL_OK || options.client.config == NULL)
        return code < 0 ? CTL_OK : code;
    problems_init(&problems);
    if (access(options.client.config, R_OK) < 0) {
        code = errno == EACCES ? CTL_UNREACHABLE : CTL_REFUSED;
        problems_free(&problems);
        return ctl_fail(code, "%s: %s", options.client.config, strerror(errno));
    }
    struct config *config =
        config_load_to_look_at(options.client.config, options.client.directory, &problems);
    if (config != NULL) {
        guards = check_guards(config, &problems, text);
        config_check_files(config, &problems);
        config_check_tunnel_files(config, &problems);
        check_certificates(config, (int64_t)time(NULL), &problems);
        check_character_sets(config, &problems);
        online = check_stores(config, &options, &problems);
    }
    if (options.client.json)
        check_print_json(&problems, guards, online);
    else
        check_print_text(&problems, config, options.client.config);
    if (!options.client.json && guards != NULL &&
        strcmp(guards, check_guards_words[GUARDS_LOADED]) == 0)
        printf("guards: %s\n", text);
    if (!options.client.json)
        check_print_online(online);
    code = problems.errors > 0 ? CTL_NOT_WELL : CTL_OK;
    json_decref(online);
    config_free(&config);
    problems_free(&problems);
    return code;
}

/* mllpctl check: everything that is wrong with a configuration, its files and certificates, in one
 * go. */
#include "ctl/check.h"
#include "config/config.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char check_help[] =
    "usage: mllpctl check [FILE] [OPTIONS]\n"
    "\n"
    "Checks a configuration as the gateway would at its start, and what it names: keys and\n"
    "certificates (expired, expiring within 30 days, not belonging together, too large a chain),\n"
    "CRLs, modes of secret files, directories to write to; tunnels' networks, proposals and keys.\n"
    "Every problem with file and line.\n"
    "\n"
    "  --config FILE    the same as FILE (default /etc/mllp-gateway/gateway.cfg)\n"
    "  --directory DIR  where relative paths start (default: where FILE is)\n"
    "  --json           print JSON\n"
    "\n"
    "Exit code 1 when there is an error; warnings alone give 0.\n";

struct check_options {
    const char *file, *directory;
    bool json;
};

enum { CHECK_CONFIG = 1, CHECK_DIRECTORY, CHECK_JSON, CHECK_HELP };

static int check_parse(struct check_options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"config", required_argument, NULL, CHECK_CONFIG},
        {"directory", required_argument, NULL, CHECK_DIRECTORY},
        {"json", no_argument, NULL, CHECK_JSON},
        {"help", no_argument, NULL, CHECK_HELP},
        {NULL, 0, NULL, 0},
    };
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case CHECK_CONFIG:
            options->file = optarg;
            break;
        case CHECK_DIRECTORY:
            options->directory = optarg;
            break;
        case CHECK_JSON:
            options->json = true;
            break;
        case CHECK_HELP:
            fputs(check_help, stdout);
            return -1;
        default:
            return ctl_usage("check", "%s: no such option, or its value is missing",
                             argv[optind - 1]);
        }
    }
    if (argc - optind > 1 || (argc - optind == 1 && options->file != NULL))
        return ctl_usage("check", "%s: one configuration at a time", argv[argc - 1]);
    if (optind < argc)
        options->file = argv[optind];
    if (options->file == NULL)
        options->file = "/etc/mllp-gateway/gateway.cfg";
    return CTL_OK;
}

static void check_print_json(const struct problems *problems)
{
    json_t *list = json_array();

    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *each = &problems->items[i];
        json_array_append_new(list, json_pack("{s:s s:s* s:I s:s* s:s*}", "severity",
                                              each->severity == PROBLEM_ERROR ? "error" : "warning",
                                              "file", each->file, "line", (json_int_t)each->line,
                                              "setting", each->setting, "text", each->text));
    }
    json_t *all = json_pack("{s:b s:I s:I s:o}", "ok", problems->errors == 0, "errors",
                            (json_int_t)problems->errors, "warnings",
                            (json_int_t)(problems->count - problems->errors), "problems", list);
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

int ctl_check(int argc, char **argv)
{
    struct check_options options = {0};
    struct problems problems;
    int code = check_parse(&options, argc, argv);

    if (code != CTL_OK || options.file == NULL)
        return code < 0 ? CTL_OK : code;
    problems_init(&problems);
    if (access(options.file, R_OK) < 0) {
        code = errno == EACCES ? CTL_UNREACHABLE : CTL_REFUSED;
        problems_free(&problems);
        return ctl_fail(code, "%s: %s", options.file, strerror(errno));
    }
    struct config *config = config_load_to_look_at(options.file, options.directory, &problems);
    if (config != NULL) {
        config_check_files(config, &problems);
        config_check_tunnel_files(config, &problems);
        check_certificates(config, (int64_t)time(NULL), &problems);
    }
    if (options.json)
        check_print_json(&problems);
    else
        check_print_text(&problems, config, options.file);
    code = problems.errors > 0 ? CTL_NOT_WELL : CTL_OK;
    config_free(&config);
    problems_free(&problems);
    return code;
}

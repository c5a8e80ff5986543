/* mllpctl tunnel: worksheets; guards are in tunnel_guards.c. */
#include "ctl/ctl.h"
#include "ctl/worksheet.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

static const char tunnel_help[] =
    "usage: mllpctl tunnel worksheet NAME [OPTIONS]\n"
    "\n"
    "Prints what the other side of a tunnel has to set, as it sees it: in words, or as\n"
    "configuration for what it runs. It has no pre-shared key in it and may be sent by e-mail.\n"
    "\n"
    "  --for KIND       words (default), swanctl, aws, google, azure, fortigate, asa\n"
    "  --config FILE    the configuration (default /etc/mllp-gateway/gateway.cfg)\n"
    "  --directory DIR  where relative paths start (default: where FILE is)\n"
    "\n"
    "Exit code 1 when the other side could not be set up like this; the sheet says why.\n"
    "\n"
    "mllpctl tunnel guards: what keeps clear text from passing for a tunnel's (--help tells more).\n";

struct tunnel_options {
    const char *name, *file, *directory;
    enum worksheet_kind kind;
};

enum { TUNNEL_FOR = 1, TUNNEL_CONFIG, TUNNEL_DIRECTORY, TUNNEL_HELP };

static int tunnel_kind(const char *name, enum worksheet_kind *ret_kind)
{
    for (size_t i = 0; i < WORKSHEET_KINDS; i++) {
        if (strcmp(worksheet_kind_names[i], name) == 0) {
            *ret_kind = (enum worksheet_kind)i;
            return CTL_OK;
        }
    }
    return ctl_usage("tunnel",
                     "--for %s: it is one of words, swanctl, aws, google, azure, fortigate, asa",
                     name);
}

static int tunnel_option(struct tunnel_options *options, int option, char **argv)
{
    switch (option) {
    case TUNNEL_FOR:
        return tunnel_kind(optarg, &options->kind);
    case TUNNEL_CONFIG:
        options->file = optarg;
        return CTL_OK;
    case TUNNEL_DIRECTORY:
        options->directory = optarg;
        return CTL_OK;
    case TUNNEL_HELP:
        fputs(tunnel_help, stdout);
        return -1;
    default:
        return ctl_usage("tunnel", "%s: no such option, or its value is missing", argv[optind - 1]);
    }
}

static int tunnel_parse(struct tunnel_options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"for", required_argument, NULL, TUNNEL_FOR},
        {"config", required_argument, NULL, TUNNEL_CONFIG},
        {"directory", required_argument, NULL, TUNNEL_DIRECTORY},
        {"help", no_argument, NULL, TUNNEL_HELP},
        {NULL, 0, NULL, 0},
    };
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        int code = tunnel_option(options, option, argv);
        if (code != CTL_OK)
            return code;
    }
    if (argc - optind < 1 || strcmp(argv[optind], "worksheet") != 0)
        return ctl_usage("tunnel", "%s: the command is `tunnel worksheet NAME` or `tunnel guards`",
                         argc - optind < 1 ? "nothing" : argv[optind]);
    if (argc - optind != 2)
        return ctl_usage("tunnel", "worksheet: one tunnel's name, please");
    options->name = argv[optind + 1];
    return CTL_OK;
}

static int tunnel_unknown(const struct config *config, const struct tunnel_options *options)
{
    fprintf(stderr, "mllpctl: %s: there is no tunnel named \"%s\" (known:", options->file,
            options->name);
    for (size_t i = 0; i < config->tunnel_count; i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", config->tunnels[i].name);
    fputs(config->tunnel_count == 0 ? " none)\n" : ")\n", stderr);
    return CTL_REFUSED;
}

static int tunnel_worksheet(const struct config *config, const struct tunnel_options *options)
{
    const struct config_tunnel *tunnel = config_find_tunnel(config, options->name);

    if (tunnel == NULL)
        return tunnel_unknown(config, options);
    bool possible = worksheet_print(config, tunnel, options->kind, stdout);
    if (options->kind == WORKSHEET_WORDS)
        printf("\nAs configuration: mllpctl tunnel worksheet %s --for "
               "swanctl|aws|google|azure|fortigate|asa\n",
               tunnel->name);
    if (!possible)
        return ctl_fail(CTL_NOT_WELL, "tunnel %s cannot be set up so on %s: the sheet says why",
                        tunnel->name, worksheet_kind_names[options->kind]);
    return CTL_OK;
}

int ctl_tunnel(int argc, char **argv)
{
    struct tunnel_options options = {.file = "/etc/mllp-gateway/gateway.cfg"};
    struct problems problems;

    if (argc > 1 && strcmp(argv[1], "guards") == 0)
        return ctl_tunnel_guards(argc - 1, &argv[1]);
    int code = tunnel_parse(&options, argc, argv);
    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    if (access(options.file, R_OK) < 0)
        return ctl_fail(errno == EACCES ? CTL_UNREACHABLE : CTL_REFUSED, "%s: %s", options.file,
                        strerror(errno));
    problems_init(&problems);
    struct config *config = config_load(options.file, options.directory, &problems);
    if (config != NULL) {
        code = tunnel_worksheet(config, &options);
    } else {
        problems_print(&problems, stderr);
        code =
            ctl_fail(CTL_NOT_WELL, "%s has errors: mllpctl check %s", options.file, options.file);
    }
    config_free(&config);
    problems_free(&problems);
    return code;
}

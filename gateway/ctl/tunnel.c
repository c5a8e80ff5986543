/* mllpctl tunnel: worksheets; guards are in tunnel_guards.c. */
#include "config/config.h"
#include "ctl/client.h"
#include "ctl/worksheet.h"

#include <string.h>

static const char tunnel_help[] =
    "usage: mllpctl tunnel worksheet NAME [OPTIONS]\n"
    "\n"
    "Prints what the other side of a tunnel has to set, as it sees it: in words, or as\n"
    "configuration for what it runs. It has no pre-shared key in it and may be sent by e-mail.\n"
    "\n"
    "  --for KIND       words (default), swanctl, aws, google, azure, fortigate, asa\n"
    "  --config FILE    the configuration (default " CTL_CONFIG ")\n"
    "  --directory DIR  where relative paths start (default: where FILE is)\n"
    "\n"
    "Exit code 1 when the other side could not be set up like this; the sheet says why.\n"
    "\n"
    "mllpctl tunnel guards: what keeps clear text from passing for a tunnel's (--help tells more).\n";

struct tunnel_options {
    struct client_options client;
    const char *name;
    enum worksheet_kind kind;
};

enum { TUNNEL_FOR = 1 };

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

static int tunnel_parse(struct tunnel_options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        CLIENT_FILE_OPTIONS,
        {"for", required_argument, NULL, TUNNEL_FOR},
        {NULL, 0, NULL, 0},
    };
    int option, code = CTL_OK;

    optind = 1;
    opterr = 0;
    while (code == CTL_OK && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == TUNNEL_FOR)
            code = tunnel_kind(optarg, &options->kind);
        else
            (void)client_option(&options->client, option, tunnel_help, argv, &code);
    }
    if (code != CTL_OK)
        return code;
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
    fprintf(stderr, "mllpctl: %s: there is no tunnel named \"%s\" (known:", options->client.config,
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
    struct tunnel_options options = {.client = {.command = "tunnel", .config = CTL_CONFIG}};
    struct config *config = NULL;

    if (argc > 1 && strcmp(argv[1], "guards") == 0)
        return ctl_tunnel_guards(argc - 1, &argv[1]);
    int code = tunnel_parse(&options, argc, argv);
    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    code = client_load_config(&options.client, &config);
    if (code == CTL_OK)
        code = tunnel_worksheet(config, &options);
    config_free(&config);
    return code;
}

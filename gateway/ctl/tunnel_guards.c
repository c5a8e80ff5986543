/* mllpctl tunnel guards. */
#include "ctl/client.h"
#include "ctl/guards.h"

#include <string.h>

static const char guards_help[] =
    "usage: mllpctl tunnel guards [OPTIONS]\n"
    "\n"
    "Prints an nftables table, for `nft -f`, that makes the tunnels the only way: clear text to\n"
    "their networks is dropped or rejected, out of a tunnel nothing is reached but the listeners\n"
    "of its peers, nothing is forwarded from or to it. deploy/guards loads it, and the routes.\n"
    "\n"
    "  --userspace      charon does ESP itself (kernel-libipsec; the default)\n"
    "  --kernel         the kernel does ESP\n"
    "  --open PORT,...  TCP ports that stay reachable without a tunnel (ssh, probes), at most 8\n"
    "  --routes         print the unreachable routes instead, for `ip -batch`\n"
    "  --check          print nothing but whether what is loaded here, table and routes, is what\n"
    "                   FILE wants; all other options are those it was loaded with\n"
    "  --config FILE    the configuration (default " CTL_CONFIG ")\n"
    "  --directory DIR  where relative paths start (default: where FILE is)\n"
    "\n"
    "Exit code of --check: 1 when they are missing or others, 3 when that can't be seen.\n";

struct tunnel_guards_options {
    struct client_options client;
    struct guards_options guards;
    bool routes, check;
};

enum { OPTION_USERSPACE = 1, OPTION_KERNEL, OPTION_OPEN, OPTION_ROUTES, OPTION_CHECK };

static int parse_open(struct guards_options *options, const char *text)
{
    char copy[128], *rest = copy, *word;

    if ((size_t)snprintf(copy, sizeof copy, "%s", text) >= sizeof copy)
        return ctl_usage("tunnel guards", "--open: at most %d ports", GUARDS_OPEN_PORTS);
    while ((word = strsep(&rest, ",")) != NULL) {
        int64_t port = 0;
        if (ctl_parse_number(word, 1, UINT16_MAX, &port) != 0)
            return ctl_usage("tunnel guards", "--open %s: ports are 1 to 65535, as in 22,8080",
                             text);
        if (options->open_count == GUARDS_OPEN_PORTS)
            return ctl_usage("tunnel guards", "--open: at most %d ports", GUARDS_OPEN_PORTS);
        options->open[options->open_count++] = (uint16_t)port;
    }
    return CTL_OK;
}

static int take_option(struct tunnel_guards_options *options, int option, char **argv)
{
    int code = CTL_OK;

    switch (option) {
    case OPTION_USERSPACE:
        options->guards.esp = GUARDS_USERSPACE;
        return CTL_OK;
    case OPTION_KERNEL:
        options->guards.esp = GUARDS_KERNEL;
        return CTL_OK;
    case OPTION_OPEN:
        return parse_open(&options->guards, optarg);
    case OPTION_ROUTES:
        options->routes = true;
        return CTL_OK;
    case OPTION_CHECK:
        options->check = true;
        return CTL_OK;
    default:
        (void)client_option(&options->client, option, guards_help, argv, &code);
        return code;
    }
}

static int parse(struct tunnel_guards_options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        CLIENT_FILE_OPTIONS,
        {"userspace", no_argument, NULL, OPTION_USERSPACE},
        {"kernel", no_argument, NULL, OPTION_KERNEL},
        {"open", required_argument, NULL, OPTION_OPEN},
        {"routes", no_argument, NULL, OPTION_ROUTES},
        {"check", no_argument, NULL, OPTION_CHECK},
        {NULL, 0, NULL, 0},
    };
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        int code = take_option(options, option, argv);
        if (code != CTL_OK)
            return code;
    }
    if (optind < argc)
        return ctl_usage("tunnel guards", "%s: what is that for?", argv[optind]);
    return CTL_OK;
}

static int print_guards(const struct config *config, const struct tunnel_guards_options *options)
{
    const struct config_listener *opened = guards_opened_listener(config, &options->guards);
    struct guards guards;

    if (opened != NULL)
        return ctl_fail(CTL_REFUSED,
                        "--open: listener %s (%s) is for peers that must come through a tunnel",
                        opened->name, opened->address);
    if (guards_make(config, &options->guards, &guards) != 0)
        return ctl_fail(CTL_REFUSED, "no memory, or no digests");
    for (size_t i = 0; i < guards.note_count; i++)
        fprintf(stderr, "mllpctl: note: %s\n", guards.notes[i]);
    if (config->tunnel_count == 0)
        fprintf(stderr, "mllpctl: note: %s has no tunnels: there is nothing to guard\n",
                options->client.config);
    if (options->routes) {
        for (size_t i = 0; i < guards.route_count; i++)
            puts(guards.routes[i]);
    } else {
        guards_print(&guards, stdout);
    }
    guards_free(&guards);
    return CTL_OK;
}

static int check_guards(const struct config *config)
{
    static const struct {
        const char *word;
        int code;
    } answers[] = {
        [GUARDS_LOADED] = {"", CTL_OK},
        [GUARDS_MISSING] = {"missing: ", CTL_NOT_WELL},
        [GUARDS_DIFFER] = {"not as they should be: ", CTL_NOT_WELL},
        [GUARDS_NOT_VERIFIED] = {"not verified: ", CTL_UNREACHABLE},
    };
    char text[GUARDS_TEXT_BYTES];
    enum guards_state state;

    if (config->tunnel_count == 0) {
        puts("guards: not needed: there are no tunnels");
        return CTL_OK;
    }
    state = guards_look(config, text);
    printf("guards: %s%s\n", answers[state].word, text);
    return answers[state].code;
}

int ctl_tunnel_guards(int argc, char **argv)
{
    struct tunnel_guards_options options = {
        .client = {.command = "tunnel guards", .config = CTL_CONFIG}};
    struct config *config = NULL;
    int code = parse(&options, argc, argv);

    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    code = client_load_config(&options.client, &config);
    if (code == CTL_OK)
        code = options.check ? check_guards(config) : print_guards(config, &options);
    config_free(&config);
    return code;
}

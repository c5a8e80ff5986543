/*
 * client: mllpctl's side of the control socket (admin/control.h has the protocol).
 *
 * Blocking, with a time limit. Where the socket is: --socket, else control_socket of --config (in
 * --directory, as the gateway was started with), else
 * the environment's MLLPGW_SOCKET, else the first that is there of /run/mllp-gateway/control.sock and
 * /var/lib/mllp-gateway/control.sock.
 */
#ifndef MLLPGW_CTL_CLIENT_H
#define MLLPGW_CTL_CLIENT_H

#include "ctl/ctl.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

struct config;

/* What every command on the socket takes; those on the configuration take a part of it. */
struct client_options {
    const char *command; /* "queue list", for what is said */
    const char *socket, *config, *directory;
    bool json;
    int timeout_s;
};

enum {
    CLIENT_OPTION_SOCKET = 1000,
    CLIENT_OPTION_CONFIG,
    CLIENT_OPTION_DIRECTORY,
    CLIENT_OPTION_JSON,
    CLIENT_OPTION_TIMEOUT,
    CLIENT_OPTION_HELP
};
/* Commands that read the configuration and ask no gateway take these alone. */
#define CLIENT_FILE_OPTIONS                                                                        \
    {"config", required_argument, NULL, CLIENT_OPTION_CONFIG},                                     \
        {"directory", required_argument, NULL, CLIENT_OPTION_DIRECTORY},                           \
    {                                                                                              \
        "help", no_argument, NULL, CLIENT_OPTION_HELP                                              \
    }
#define CLIENT_LONG_OPTIONS                                                                        \
    CLIENT_FILE_OPTIONS, {"socket", required_argument, NULL, CLIENT_OPTION_SOCKET},                \
        {"json", no_argument, NULL, CLIENT_OPTION_JSON},                                           \
    {                                                                                              \
        "timeout", required_argument, NULL, CLIENT_OPTION_TIMEOUT                                  \
    }
#define CLIENT_HELP                                                                                \
    "  --socket PATH   the gateway's control socket\n"                                             \
    "  --config FILE   take control_socket from this configuration\n"                              \
    "  --directory DIR the gateway's --directory, where it has one\n"                              \
    "  --timeout S     wait so long for the gateway (default 60)\n"                                \
    "  --json          print JSON\n"

/* Handles getopt_long()'s answer when it is one of the above, or a mistake. True: it was; then
 * *ret_code is CTL_OK to go on, CTL_USAGE, or -1 when help was printed. */
bool client_option(struct client_options *options, int option, const char *help, char **argv,
                   int *ret_code);
/* For commands with these options only: 0, CTL_USAGE, or -1 when help was printed. argc counts from
 * the command's last word; at most arguments may follow. */
int client_parse(struct client_options *options, const char *help, int argc, char **argv,
                 int arguments);

/* For commands on the configuration: loads options->config. A CTL code; what is wrong has been said. */
int client_load_config(const struct client_options *options, struct config **ret_config);

/* Sends the request (taken over) and calls item for each member of "items" lines; *ret_result (may be
 * NULL) is the last line's "result". A CTL code; what went wrong has been said. */
int client_call(const struct client_options *options, json_t *request,
                void (*item)(void *context, json_t *item), void *context, json_t **ret_result);

/* Prints as indented JSON; takes value over. */
int client_print_json(json_t *value);

#endif

/*
 * ctl: mllpctl, the operator's tool: one subcommand a file, each with its own --help.
 *
 * A subcommand gets argv with its own name at 0 and returns one of the exit codes below
 * (`mllpctl help exit-codes` prints them). Results go to standard output, everything else to
 * standard error. Single-threaded.
 */
#ifndef MLLPGW_CTL_CTL_H
#define MLLPGW_CTL_CTL_H

#include <stdint.h>

#define CTL_CONFIG "/etc/mllp-gateway/gateway.cfg" /* without --config */

enum ctl_exit {
    CTL_OK = 0,
    CTL_NOT_WELL = 1,    /* done, and the thing asked about is not well */
    CTL_USAGE = 2,       /* wrong options or arguments */
    CTL_UNREACHABLE = 3, /* cannot connect, or no permission */
    CTL_REFUSED = 4,     /* could not be done: the gateway or the system refused */
    CTL_PIPE = 141,      /* nobody reads standard output any more: what a shell says of SIGPIPE */
};

struct ctl_command {
    const char *name;
    const char *summary; /* for `mllpctl help` */
    int (*run)(int argc, char **argv);
};

/* Ends with a row whose name is NULL. */
extern const struct ctl_command ctl_commands[];

int ctl_check(int argc, char **argv);
int ctl_send(int argc, char **argv);
int ctl_status(int argc, char **argv);
int ctl_connections(int argc, char **argv);
int ctl_queue(int argc, char **argv);
int ctl_reload(int argc, char **argv);
int ctl_drain(int argc, char **argv);
int ctl_settings(int argc, char **argv);
int ctl_tunnel(int argc, char **argv);
int ctl_tunnel_guards(int argc, char **argv); /* of ctl_tunnel() */
int ctl_tunnels(int argc, char **argv);
int ctl_key(int argc, char **argv);
int ctl_version(int argc, char **argv);
int ctl_help(int argc, char **argv);

/* "mllpctl: sentence" on standard error; returns code. */
__attribute__((format(printf, 2, 3))) int ctl_fail(int code, const char *format, ...);
/* The same for CTL_USAGE, and says how to get help. */
__attribute__((format(printf, 2, 3))) int ctl_usage(const char *command, const char *format, ...);

/* A whole decimal number between minimum and maximum. 0, -EINVAL or -ERANGE. */
__attribute__((warn_unused_result)) int ctl_parse_number(const char *text, int64_t minimum,
                                                         int64_t maximum, int64_t *ret_number);

#endif

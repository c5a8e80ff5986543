/*
 * gateway: the composition root: makes every part, hands each what it needs, swaps configurations,
 * and takes everything down again in the right order.
 *
 * Threads: main (signals, drain), workers (ingress), spool, delivery (HTTP, routes), admin (control
 * socket, reload), offload (DNS, files). gateway_ functions here belong to the main thread.
 */
#ifndef MLLPGW_GATEWAY_H
#define MLLPGW_GATEWAY_H

#include "config/config.h"

struct gateway;

struct gateway_options {
    const char *config_file;
    const char
        *directory; /* where relative paths start; NULL: the configuration file's directory */
};

/* Loads the configuration, binds, drops privileges, opens the spool. Problems are printed to
 * standard error. NULL when it can't start. */
struct gateway *gateway_new(const struct gateway_options *options);
/* Starts, serves until SIGTERM or SIGINT (or mllpctl drain), drains. Returns the exit status. */
int gateway_run(struct gateway *gateway);
void gateway_free(struct gateway **gateway);

/* Only looks: prints every problem; 0 when there is no error. */
int gateway_check(const struct gateway_options *options);

/* While no gateway runs: prints what its spool holds, and opens every message of it. 0, or a negative
 * errno with a sentence on standard error: the spool is in use, can't be opened, or is damaged. Root
 * becomes the owner of the state directory first. */
int gateway_inventory(const struct gateway_options *options);

#endif

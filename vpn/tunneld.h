/*
 * tunneld: the process mllp-tunneld: the keeper on a libuv loop, with charon's socket, the status
 * socket, signals and the configuration file.
 *
 * SIGHUP reads the file again: everything is checked first, keys included; with an error the old
 * configuration stays and the log says why. SIGTERM and SIGINT end it and leave the tunnels as they are.
 * Threads: the main thread.
 */
#ifndef MLLPGW_VPN_TUNNELD_H
#define MLLPGW_VPN_TUNNELD_H

struct tunneld_options {
    const char *config_file;
    const char *directory; /* where its relative paths start; NULL: where it is */
};

/* Prints every problem of the configuration and of the files that it names for mllp-tunneld; 0 when
 * there is no error. */
int tunneld_check(const struct tunneld_options *options);
/* Until a signal ends it. The process's exit status. */
int tunneld_run(const struct tunneld_options *options);

#endif

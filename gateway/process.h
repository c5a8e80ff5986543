/*
 * process: what the daemon is to the operating system: one instance a state directory, no core
 * dumps, an unprivileged user, and a service manager that is told how it goes.
 * Threads: the main thread, before the others start (process_notify(): any).
 */
#ifndef MLLPGW_PROCESS_H
#define MLLPGW_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* Core dumps off (message content is in memory), not traceable by others, SIGPIPE ignored, files
 * not for others. */
void process_harden(void);

/* Who to become; resolved before anything is opened. */
struct process_user {
    uid_t uid;
    gid_t gid;
    const char *name; /* NULL: stay who we are */
};
/* user, group: names or numbers, NULL: stay. 0, or -EINVAL with a sentence. */
__attribute__((warn_unused_result)) int process_find_user(const char *user, const char *group,
                                                          struct process_user *ret_user,
                                                          char ret_error[512]);
/* For good: supplementary groups are the user's own, no new privileges. */
__attribute__((warn_unused_result)) int process_become(const struct process_user *user,
                                                       char ret_error[512]);

/* Makes the directory and the parents that are missing (0751, the user's). */
__attribute__((warn_unused_result)) int process_make_directory(const char *directory,
                                                               const struct process_user *user);

/* Makes the directory where it isn't there, and takes its lock. The lock's
 * descriptor is kept open for the process's life; a second instance gets -EBUSY and a sentence that
 * names the first one's pid. */
__attribute__((warn_unused_result)) int process_lock_state(const char *directory,
                                                           const struct process_user *user,
                                                           int *ret_fd, char ret_error[512]);

/* sd_notify(3): "READY=1", "RELOADING=1", "STOPPING=1", "STATUS=...". Nothing without
 * NOTIFY_SOCKET. */
void process_notify(const char *state);
/* Half of WATCHDOG_USEC in milliseconds; 0: no watchdog. */
int64_t process_watchdog_ms(void);

#endif

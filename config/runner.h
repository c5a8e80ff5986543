/*
 * runner: the user that a program will run as, and what it may do to files by their mode bits.
 *
 * A check by root must not say "fine" of a key that the daemon, later, cannot read at a reload. ACLs
 * and capabilities are beyond this. Private to config/.
 */
#ifndef MLLPGW_CONFIG_RUNNER_H
#define MLLPGW_CONFIG_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define RUNNER_GROUPS 256

struct runner {
    const char *who; /* "the gateway", for problems */
    uid_t user;
    gid_t groups[RUNNER_GROUPS];
    size_t group_count;
    bool apart; /* it may be in a container of its own, with files that nobody else there has */
};

enum wish { WISH_EXECUTE = 1, WISH_WRITE = 2, WISH_READ = 4 };

/* By name, as /etc/passwd and the like have them. */
bool runner_find_user(const char *name, uid_t *ret_user, gid_t *ret_group);
bool runner_find_group(const char *name, gid_t *ret_group);

void runner_be_this_process(struct runner *runner);
/* name may be NULL: a user that only its number is known of. */
void runner_be_user(struct runner *runner, const char *name, uid_t user, gid_t group);
bool runner_may(const struct runner *runner, const struct stat *status, enum wish wish);
/* Can this process look at what the runner could look at? */
bool runner_is_within_reach(const struct runner *runner);

#endif

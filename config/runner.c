#include "config/runner.h"

#include "config/config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_BYTES 16384
#define NOBODY_BITS 31 /* uid_t's last values mean "none" */

static bool in_group(const struct runner *runner, gid_t group)
{
    for (size_t i = 0; i < runner->group_count; i++) {
        if (runner->groups[i] == group) {
            return true;
        }
    }
    return false;
}

bool runner_may(const struct runner *runner, const struct stat *status, enum wish wish)
{
    unsigned mode = (unsigned)status->st_mode;
    if (runner->user == 0) {
        return true;
    }
    unsigned shift = status->st_uid == runner->user ? 6 : in_group(runner, status->st_gid) ? 3 : 0;
    return ((mode >> shift) & (unsigned)wish) == (unsigned)wish;
}

bool runner_is_within_reach(const struct runner *runner)
{
    return geteuid() == 0 || geteuid() == runner->user;
}

bool runner_find_user(const char *name, uid_t *ret_user, gid_t *ret_group)
{
    struct passwd entry, *found = NULL;
    char buffer[ENTRY_BYTES];
    if (getpwnam_r(name, &entry, buffer, sizeof buffer, &found) != 0 || !found) {
        return false;
    }
    *ret_user = entry.pw_uid;
    *ret_group = entry.pw_gid;
    return true;
}

bool runner_find_group(const char *name, gid_t *ret_group)
{
    struct group entry, *found = NULL;
    char buffer[ENTRY_BYTES];
    if (getgrnam_r(name, &entry, buffer, sizeof buffer, &found) != 0 || !found) {
        return false;
    }
    *ret_group = entry.gr_gid;
    return true;
}

void runner_be_this_process(struct runner *runner)
{
    runner->user = geteuid();
    runner->groups[0] = getegid();
    int more = getgroups(RUNNER_GROUPS - 1, runner->groups + 1);
    runner->group_count = 1 + (more > 0 ? (size_t)more : 0);
}

void runner_be_user(struct runner *runner, const char *name, uid_t user, gid_t group)
{
    int count = RUNNER_GROUPS;
    runner->user = user;
    runner->groups[0] = group;
    runner->group_count = 1;
    if (name && getgrouplist(name, group, runner->groups, &count) >= 0) {
        runner->group_count = (size_t)count;
    }
}

int config_tunneld_user(const struct config *config, uid_t *ret_user, gid_t *ret_group)
{
    const char *name = config->tunneld.user;
    size_t digits = strspn(name, "0123456789");
    if (runner_find_user(name, ret_user, ret_group)) {
        return 0;
    }
    /* A container's user often has a number only; its group is the same by custom. */
    unsigned long number = digits > 0 && digits < 10 ? strtoul(name, NULL, 10) : 0;
    if (name[digits] != '\0' || digits == 0 || digits >= 10 || number >> NOBODY_BITS != 0) {
        return -ENOENT;
    }
    *ret_user = (uid_t)number;
    *ret_group = (gid_t)number;
    return 0;
}

/*
 * What the settings name, looked at as the user that the gateway will run as: a check by root must
 * not say "fine" of a key that the daemon, later, cannot read at a reload.
 */
#include "config/internal.h"
#include "config/runner.h"
#include "config/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 4096

/* Who the gateway will be */

static void find_runner(const struct subject *subject, struct runner *runner)
{
    const struct config_gateway *gateway = &subject->config->gateway;
    uid_t user = 0;
    gid_t group = 0;
    runner->who = "the gateway";
    runner->apart = false;
    runner_be_this_process(runner);
    if (gateway->user && !runner_find_user(gateway->user, &user, &group)) {
        complain(subject, PROBLEM_ERROR, "user", WHOLE, "there is no user \"%s\" on this machine",
                 gateway->user);
        return;
    }
    if (gateway->group && !runner_find_group(gateway->group, &group)) {
        complain(subject, PROBLEM_ERROR, "group", WHOLE, "there is no group \"%s\" on this machine",
                 gateway->group);
        return;
    }
    if (gateway->user && geteuid() == 0) {
        runner_be_user(runner, gateway->user, user, group);
    }
}

static void check_groups(const struct subject *subject)
{
    const struct config_gateway *gateway = &subject->config->gateway;
    const char *const groups[][2] = {{"control_group", gateway->control_group},
                                     {"operator_group", gateway->operator_group}};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        gid_t group;
        if (groups[i][1] && !runner_find_group(groups[i][1], &group)) {
            complain(subject, PROBLEM_ERROR, groups[i][0], WHOLE,
                     "there is no group \"%s\" on this machine", groups[i][1]);
        }
    }
}

/* Files */

static void check_owner(const struct subject *subject, const char *key, const char *path,
                        const struct runner *runner, const struct stat *status)
{
    if (status->st_uid != 0 && status->st_uid != runner->user && status->st_uid != geteuid()) {
        complain(subject, PROBLEM_WARNING, key, WHOLE,
                 "%s belongs to user id %u, who can change it: chown it to root or to the user of "
                 "%s",
                 path, (unsigned)status->st_uid, runner->who);
    }
}

/* False, with a problem, when there is nothing to look at. */
static bool look(const struct subject *subject, const char *key, const char *path,
                 const struct runner *runner, struct stat *ret_status)
{
    if (stat(path, ret_status) == 0) {
        return true;
    }
    bool missing = errno == ENOENT && runner->apart;
    if ((errno == EACCES || missing) && !runner_is_within_reach(runner)) {
        complain(subject, PROBLEM_WARNING, key, WHOLE,
                 "cannot look at %s: only %s, user id %u, may%s; check as that user or as root",
                 path, runner->who, (unsigned)runner->user, missing ? " have it" : "");
        return false;
    }
    complain(subject, PROBLEM_ERROR, key, WHOLE, "cannot look at %s: %s", path, strerror(errno));
    return false;
}

static void check_readable(const struct subject *subject, const char *key, const char *path,
                           const struct runner *runner, const struct stat *status)
{
    if (!S_ISREG(status->st_mode)) {
        complain(subject, PROBLEM_ERROR, key, WHOLE, "%s is not a regular file", path);
        return;
    }
    if (!runner_may(runner, status, WISH_READ)) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "%s (mode %04o) cannot be read by %s, user id %u", path,
                 (unsigned)status->st_mode & 07777u, runner->who, (unsigned)runner->user);
    }
    check_owner(subject, key, path, runner, status);
}

static void check_public(const struct subject *subject, const char *key, const char *path,
                         const struct runner *runner)
{
    struct stat status;
    if (!look(subject, key, path, runner, &status)) {
        return;
    }
    check_readable(subject, key, path, runner, &status);
    if (status.st_mode & S_IWOTH) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "%s can be changed by anybody, and with it who is trusted: chmod o-w %s", path,
                 path);
    }
}

static void check_secret(const struct subject *subject, const char *key, const char *path,
                         const struct runner *runner)
{
    char error[SECRET_ERROR_BYTES];
    struct stat status;
    if (!look(subject, key, path, runner, &status)) {
        return;
    }
    check_readable(subject, key, path, runner, &status);
    if (S_ISREG(status.st_mode) && secret_check_mode(path, error) < 0) {
        complain(subject, PROBLEM_ERROR, key, WHOLE, "%s", error);
    }
}

/* The nearest directory above `path` that exists; empty when none does. */
static void existing_parent(const char *path, char *parent, size_t bytes)
{
    struct stat status;
    (void)snprintf(parent, bytes, "%s", path);
    char *slash = strrchr(parent, '/');
    while (slash) {
        slash[slash == parent ? 1 : 0] = '\0';
        if (stat(parent, &status) == 0 || slash == parent) {
            return;
        }
        slash = strrchr(parent, '/');
    }
    parent[0] = '\0';
}

static bool check_writable(const struct subject *subject, const char *key, const char *path,
                           const struct runner *runner, struct stat *ret_status)
{
    if (!look(subject, key, path, runner, ret_status)) {
        return false;
    }
    if (!S_ISDIR(ret_status->st_mode)) {
        complain(subject, PROBLEM_ERROR, key, WHOLE, "%s is not a directory", path);
        return false;
    }
    if (!runner_may(runner, ret_status, WISH_WRITE | WISH_EXECUTE)) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "%s, user id %u, cannot write to %s (mode %04o)", runner->who,
                 (unsigned)runner->user, path, (unsigned)ret_status->st_mode & 07777u);
        return false;
    }
    return true;
}

/* Messages and the spool lie there: nobody else's eyes, nobody else's hands. */
static void check_directory(const struct subject *subject, const char *key, const char *path,
                            const struct runner *runner)
{
    char parent[NAME_BYTES];
    struct stat status;
    if (stat(path, &status) < 0 && errno == ENOENT) {
        if (geteuid() == 0) {
            return; /* made before privileges are dropped, and given to the user */
        }
        existing_parent(path, parent, sizeof parent);
        (void)check_writable(subject, key, parent, runner, &status);
        return;
    }
    if (!check_writable(subject, key, path, runner, &status)) {
        return;
    }
    check_owner(subject, key, path, runner, &status);
    if (status.st_mode & S_IWOTH) {
        complain(subject, PROBLEM_ERROR, key, WHOLE, "%s can be changed by anybody: chmod 0700 %s",
                 path, path);
    } else if (status.st_mode & S_IROTH) { /* passing through shows no names */
        complain(subject, PROBLEM_WARNING, key, WHOLE, "%s is open to others: chmod o= %s", path,
                 path);
    }
}

/* A file that the gateway makes: its directory matters. The state directory is checked by itself. */
static void check_new(const struct subject *subject, const char *key, const char *path,
                      const struct runner *runner)
{
    const char *state = subject->config->gateway.state_directory;
    size_t length = strlen(state);
    if (strncmp(path, state, length) == 0 && path[length] == '/' &&
        !strchr(path + length + 1, '/')) {
        return;
    }
    char parent[NAME_BYTES];
    struct stat status;
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash) {
        slash[slash == parent ? 1 : 0] = '\0';
        (void)check_writable(subject, key, parent, runner, &status);
    }
}

static void check_path(const struct subject *subject, const struct setting *row, const char *path,
                       const struct runner *runner)
{
    switch (row->file) {
    case FILE_ANY:
        break;
    case FILE_PUBLIC:
        check_public(subject, row->name, path, runner);
        break;
    case FILE_SECRET:
        check_secret(subject, row->name, path, runner);
        break;
    case FILE_NEW:
        check_new(subject, row->name, path, runner);
        break;
    case FILE_DIRECTORY:
        check_directory(subject, row->name, path, runner);
        break;
    }
}

static void check_object(const struct subject *subject, const struct runner *runner)
{
    for (size_t i = 0; i < subject->section->count; i++) {
        const struct setting *row = &subject->section->settings[i];
        const char *path = NULL;
        if (row->type == SETTING_PATH) {
            memcpy(&path, (const char *)subject->object + row->offset, sizeof path);
        }
        if (path) {
            check_path(subject, row, path, runner);
        }
    }
}

static void check_own_file(const struct subject *subject)
{
    struct stat status;
    const char *file = subject->config->file;
    if (stat(file, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IWOTH)) {
        problems_add(subject->problems, PROBLEM_ERROR, (struct place){file, 0}, NULL,
                     "can be changed by anybody, and with it who is admitted: chmod o-w %s", file);
    }
}

static void check_sections(const struct config *config, struct problems *problems, bool tunneld,
                           const struct runner *runner)
{
    for (size_t i = 0; i < config_section_count; i++) {
        const struct section *section = &config_sections[i];
        const char *first;
        size_t count = config_section_objects(config, section, &first);
        for (size_t j = 0; section->tunneld == tunneld && j < count; j++) {
            struct subject subject = {config, problems, section, first + j * section->size};
            check_object(&subject, runner);
        }
    }
}

void config_check_files(const struct config *config, struct problems *problems)
{
    struct runner runner;
    struct subject gateway = {config, problems, config_section("gateway"), &config->gateway};
    check_own_file(&gateway);
    find_runner(&gateway, &runner);
    check_groups(&gateway);
    check_sections(config, problems, false, &runner);
    problems_sort(problems);
}

void config_check_tunnel_files(const struct config *config, struct problems *problems)
{
    struct runner runner = {.who = "mllp-tunneld", .apart = true};
    struct subject tunneld = {config, problems, config_section("tunneld"), &config->tunneld};
    uid_t user = 0;
    gid_t group = 0;
    if (config->tunnel_count == 0) {
        return;
    }
    if (config_tunneld_user(config, &user, &group) < 0) {
        complain(&tunneld, PROBLEM_ERROR, "user", WHOLE,
                 "there is no user \"%s\" on this machine: make it, or set user to the one that "
                 "mllp-tunneld runs as",
                 config->tunneld.user);
        runner_be_this_process(&runner);
    } else {
        runner_be_user(&runner, config->tunneld.user, user, group);
    }
    check_sections(config, problems, true, &runner);
    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];
        struct subject subject = {config, problems, config_section("tunnels"), tunnel};
        check_psk(&subject, tunnel);
    }
    problems_sort(problems);
}

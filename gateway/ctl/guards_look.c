/* Asks nft and ip what is loaded in this network namespace. */
#include "ctl/guards.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/capability.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_BYTES                                                                               \
    ((size_t)64 * 1024 * 1024) /* others' tables are not in it; ours is far smaller */

#define PLACES 4

static const char *const nft_places[PLACES] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft",
                                               "/usr/local/sbin/nft"};
static const char *const ip_places[PLACES] = {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"};

static bool may_look(void)
{
    char line[128];
    unsigned long long effective = 0;
    FILE *status = fopen("/proc/self/status", "re");

    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "CapEff:", 7) == 0)
            effective = strtoull(&line[7], NULL, 16);
    }
    if (status != NULL)
        fclose(status);
    return (effective >> CAP_NET_ADMIN & 1) != 0;
}

static const char *find(const char *const places[PLACES])
{
    for (size_t i = 0; i < PLACES; i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return NULL;
}

static int start(const char *program, char *const arguments[], int output, pid_t *ret_pid)
{
    char *const environment[] = {(char[]){"LC_ALL=C"}, NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);

    if (error != 0)
        return -error;
    error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn(ret_pid, program, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    return -error;
}

/* All of it; text is grown as needed. 0 or negative errno. */
static int read_all(int fd, char **ret_text, size_t *ret_length)
{
    size_t length = 0, room = 0;
    char *text = NULL;
    int error = 0;

    for (;;) {
        if (length == room) {
            char *larger = room < OUTPUT_BYTES ? realloc(text, room + 65536) : NULL;
            if (larger == NULL) {
                error = room < OUTPUT_BYTES ? -ENOMEM : -EFBIG;
                break;
            }
            text = larger;
            room += 65536;
        }
        ssize_t got = read(fd, &text[length], room - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            error = got < 0 ? -errno : 0;
            break;
        }
        length += (size_t)got;
    }
    if (error != 0) {
        free(text);
        return error;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

/* What it printed; free() it. 0, negative errno, or -EPROTO when it ended with an error. */
static int run(const char *program, char *const arguments[], char **ret_text, size_t *ret_length)
{
    int ends[2], status = 0;
    size_t length = 0;
    char *text = NULL;
    pid_t pid = 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int error = start(program, arguments, ends[1], &pid);
    close(ends[1]);
    if (error == 0) {
        error = read_all(ends[0], &text, &length);
        close(ends[0]);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        if (error == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
            error = -EPROTO;
    } else {
        close(ends[0]);
    }
    if (error != 0) {
        free(text);
        return error;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

static enum guards_state not_verified(char ret_text[GUARDS_TEXT_BYTES], const char *why)
{
    snprintf(ret_text, GUARDS_TEXT_BYTES, "%s", why);
    return GUARDS_NOT_VERIFIED;
}

/* Is our table among them? -EPROTO: that is no list of tables. */
static int find_table(const char *text, size_t length, bool *ret_found)
{
    json_t *root = json_loadb(text, length, 0, NULL);
    const json_t *all = json_object_get(root, "nftables"), *each;
    int error = json_is_array(all) ? 0 : -EPROTO;
    size_t i;

    *ret_found = false;
    json_array_foreach(all, i, each)
    {
        const json_t *table = json_object_get(each, "table");
        const char *family = json_string_value(json_object_get(table, "family"));
        const char *name = json_string_value(json_object_get(table, "name"));
        if (family != NULL && name != NULL && strcmp(family, "inet") == 0 &&
            strcmp(name, GUARDS_TABLE) == 0)
            *ret_found = true;
    }
    json_decref(root);
    return error;
}

/* What ip says of our routes of one family; free() it. NULL: it can't be asked. */
static char *list_routes(const char *ip, bool v6, size_t *ret_length)
{
    char *const arguments[] = {(char[]){"ip"},
                               (char[]){"-j"},
                               v6 ? (char[]){"-6"} : (char[]){"-4"},
                               (char[]){"route"},
                               (char[]){"show"},
                               (char[]){"proto"},
                               (char[]){GUARDS_ROUTE_PROTOCOL},
                               (char[]){"metric"},
                               (char[]){GUARDS_ROUTE_METRIC},
                               (char[]){"type"},
                               (char[]){"unreachable"},
                               NULL};
    char *text = NULL;

    *ret_length = 0;
    return ip != NULL && run(ip, arguments, &text, ret_length) == 0 ? text : NULL;
}

static enum guards_state compare(const struct config *config, const char *table, size_t length,
                                 char ret_text[GUARDS_TEXT_BYTES])
{
    const char *ip = find(ip_places);
    size_t length4, length6;
    char *routes4 = list_routes(ip, false, &length4), *routes6 = list_routes(ip, true, &length6);
    const struct guards_listing listing = {.table = {table, length},
                                           .routes = {{routes4, length4}, {routes6, length6}}};
    enum guards_state state = guards_compare(config, &listing, ret_text);

    free(routes4);
    free(routes6);
    return state;
}

/* Tables are listed first: an error of `list table` could mean anything. */
static enum guards_state look(const struct config *config, const char *nft,
                              char ret_text[GUARDS_TEXT_BYTES])
{
    char *const tables[] = {(char[]){"nft"}, (char[]){"-j"}, (char[]){"list"}, (char[]){"tables"},
                            NULL};
    char *const table[] = {(char[]){"nft"},
                           (char[]){"-j"},
                           (char[]){"list"},
                           (char[]){"table"},
                           (char[]){"inet"},
                           (char[]){GUARDS_TABLE},
                           NULL};
    char *text = NULL;
    size_t length = 0;
    bool found = false;

    int error = run(nft, tables, &text, &length);
    if (error == 0)
        error = find_table(text, length, &found);
    free(text);
    text = NULL;
    if (error == 0 && !found) {
        snprintf(ret_text, GUARDS_TEXT_BYTES, "there is no table inet " GUARDS_TABLE);
        return GUARDS_MISSING;
    }
    if (error == 0)
        error = run(nft, table, &text, &length);
    if (error != 0)
        return not_verified(ret_text, "nft could not list what is loaded");
    enum guards_state state = compare(config, text, length, ret_text);
    free(text);
    return state;
}

enum guards_state guards_look(const struct config *config, char ret_text[GUARDS_TEXT_BYTES])
{
    const char *nft = find(nft_places);

    if (!may_look())
        return not_verified(ret_text, "only root, or who has CAP_NET_ADMIN, may look");
    if (nft == NULL)
        return not_verified(ret_text, "nft is not installed (package nftables)");
    return look(config, nft, ret_text);
}

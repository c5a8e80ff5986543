/* From a file to a checked snapshot. */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An absolute copy of a directory's name; NULL when there is no memory or no working directory. */
static char *absolute(struct memory *memory, const char *directory)
{
    if (directory[0] == '/') {
        return memory_text(memory, directory);
    }
    char *here = getcwd(NULL, 0);
    if (!here) {
        return NULL;
    }
    while (strncmp(directory, "./", 2) == 0) {
        directory += 2;
    }
    bool same = directory[0] == '\0' || strcmp(directory, ".") == 0;
    char *whole = memory_format(memory, "%s%s%s", here, same ? "" : "/", same ? "" : directory);
    free(here);
    return whole;
}

/* Where relative paths start: what was asked for, else where the file is. */
static char *start_directory(struct memory *memory, const char *file, const char *directory)
{
    if (directory) {
        return absolute(memory, directory);
    }
    const char *slash = strrchr(file, '/');
    if (!slash) {
        return absolute(memory, ".");
    }
    char *own = memory_format(memory, "%.*s", slash == file ? 1 : (int)(slash - file), file);
    return own ? absolute(memory, own) : NULL;
}

/* Defaults that hang on other settings. */
static void derive(struct config *config)
{
    struct config_gateway *gateway = &config->gateway;
    if (!gateway->control_socket) {
        gateway->control_socket =
            memory_format(config->memory, "%s/control.sock", gateway->state_directory);
    }
    if (!config->spool.path) {
        config->spool.path = memory_format(config->memory, "%s/spool.db", gateway->state_directory);
    }
    for (size_t i = 0; i < config->store_count; i++) {
        struct config_store *store = &config->stores[i];
        /* A directory takes anything; the others expect one message a request. */
        if (!memory_place(config->memory, store, "batch", WHOLE)) {
            store->batch =
                store->type == CONFIG_STORE_DIRECTORY ? CONFIG_BATCH_WHOLE : CONFIG_BATCH_SPLIT;
        }
        /* Beside the ACK stands the whole message, parsed: several times its size. */
        if (store->type == CONFIG_STORE_GOOGLE &&
            !memory_place(config->memory, store, "maximum_answer_bytes", WHOLE)) {
            store->maximum_answer_bytes = CONFIG_GOOGLE_ANSWER_BYTES;
        }
    }
    for (size_t i = 0; i < config->tunnel_count; i++) {
        tunnel_preset_apply(config, &config->tunnels[i]);
    }
}

static void check(const struct config *config, struct problems *problems)
{
    if (memory_failed(config->memory)) {
        return; /* texts may be missing */
    }
    check_names(config, problems);
    check_process(config, problems);
    check_tls(config, problems);
    check_tunneld(config, problems);
    check_tunnels(config, problems);
    check_tunnel_networks(config, problems);
    check_peers(config, problems);
    check_listeners(config, problems);
    check_admission(config, problems);
    check_stores(config, problems);
    check_routes(config, problems);
}

static struct config *begin(const char *name, const char *directory, struct problems *problems)
{
    struct config *config = calloc(1, sizeof *config);
    struct memory *memory = memory_new();
    if (!config || !memory) {
        free(config);
        memory_free(&memory);
        problems_add(problems, PROBLEM_ERROR, (struct place){0}, NULL, "out of memory");
        return NULL;
    }
    config->memory = memory;
    config->file = memory_text(memory, name);
    config->directory = config->file ? start_directory(memory, name, directory) : NULL;
    if (!config->directory) {
        problems_add(problems, PROBLEM_ERROR, (struct place){name, 0}, NULL,
                     "cannot tell where relative paths start: give --directory");
        config_free(&config);
    }
    return config;
}

/* Reads and checks; false when there is nothing to look at further. */
static bool read_and_check(struct config *config, struct source *source, struct problems *problems)
{
    bool whole = source && read_settings(config, source, problems);
    if (whole && !memory_failed(config->memory)) {
        derive(config);
        check(config, problems);
    }
    if (memory_failed(config->memory)) {
        problems_add(problems, PROBLEM_ERROR, (struct place){0}, NULL, "out of memory");
    }
    problems_sort(problems);
    source_free(&source);
    return whole && !memory_failed(config->memory);
}

/* NULL and everything freed when an error was found since there were `errors` of them. */
static struct config *finish(struct config *config, struct source *source,
                             struct problems *problems, size_t errors)
{
    if (!read_and_check(config, source, problems) || problems->errors > errors) {
        config_free(&config);
    }
    return config;
}

struct config *config_load_to_look_at(const char *file, const char *directory,
                                      struct problems *problems)
{
    struct config *config = begin(file, directory, problems);
    if (config &&
        !read_and_check(config, source_load(config->memory, config->file, problems), problems)) {
        config_free(&config);
    }
    return config;
}

struct config *config_load(const char *file, const char *directory, struct problems *problems)
{
    size_t errors = problems->errors;
    struct config *config = begin(file, directory, problems);
    if (!config) {
        return NULL;
    }
    return finish(config, source_load(config->memory, config->file, problems), problems, errors);
}

struct config *config_load_text(const char *text, size_t length, const char *name,
                                const char *directory, struct problems *problems)
{
    size_t errors = problems->errors;
    struct config *config = begin(name, directory, problems);
    if (!config) {
        return NULL;
    }
    struct source *source = source_from_text(config->memory, config->file, text, length, problems);
    return finish(config, source, problems, errors);
}

void config_free(struct config **config)
{
    if (!config || !*config) {
        return;
    }
    struct memory *memory = (*config)->memory;
    memory_free(&memory);
    free(*config);
    *config = NULL;
}

/* Names may be missing while a bad file is still being checked. */
#define FIND(kind, array, number)                                                                  \
    const struct config_##kind *config_find_##kind(const struct config *config, const char *name)  \
    {                                                                                              \
        for (size_t i = 0; name && i < config->number; i++) {                                      \
            if (config->array[i].name && strcmp(config->array[i].name, name) == 0) {               \
                return &config->array[i];                                                          \
            }                                                                                      \
        }                                                                                          \
        return NULL;                                                                               \
    }

FIND(tls, tls, tls_count)
FIND(tunnel, tunnels, tunnel_count)
FIND(peer, peers, peer_count)
FIND(listener, listeners, listener_count)
FIND(store, stores, store_count)
FIND(route, routes, route_count)

const char *config_tunnel_remote_id(const struct config_tunnel *tunnel)
{
    return tunnel->remote_id ? tunnel->remote_id : tunnel->remote;
}

const struct config_tunnel *config_tunnel_pair(const struct config *config,
                                               const struct config_tunnel *tunnel)
{
    const struct config_tunnel *other = config_find_tunnel(config, tunnel->pair);
    for (size_t i = 0; !other && tunnel->name && i < config->tunnel_count; i++) {
        const char *pair = config->tunnels[i].pair;
        if (pair && strcmp(pair, tunnel->name) == 0) {
            other = &config->tunnels[i];
        }
    }
    return other == tunnel ? NULL : other;
}

/* mllp-gateway --inventory: what a spool holds and whether every message of it can be read, while no
 * gateway runs: before a move, after a restore, before a package goes. Main thread. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct inventory {
    struct spool_backend *backend;
    uint64_t *ids; /* of one page: while it is listed, nothing else may be asked */
    size_t count;
    uint64_t unreadable;
};

/* ---- as whom ---- */

/* What root wrote into the state directory, the gateway could not open any more. */
static int become_owner(const char *directory, char ret_error[512])
{
    struct process_user owner = {.name = "the state directory's owner"};
    struct stat status;

    if (geteuid() != 0) {
        return 0;
    }
    if (stat(directory, &status) != 0) {
        snprintf(ret_error, 512, "%.400s: %s", directory, strerror(errno));
        return -EINVAL;
    }
    owner.uid = status.st_uid;
    owner.gid = status.st_gid;
    return process_become(&owner, ret_error);
}

/* ---- what is in it ---- */

static void print_route(void *context, const char *route, const char *lane,
                        const struct spool_lane_statistics *lane_statistics)
{
    (void)context;
    printf("lane %s of %s: queued %llu, dead letters %llu%s\n", lane, route,
           (unsigned long long)lane_statistics->queued, (unsigned long long)lane_statistics->dead,
           lane_statistics->stopped ? ", stopped" : "");
}

static void print_key(void *context, const char *key_id, bool current, uint64_t sealed)
{
    (void)context;
    printf("key %s%s: seals %llu\n", key_id, current ? " (current)" : "",
           (unsigned long long)sealed);
}

static void note_id(void *context, const struct spool_row *row)
{
    struct inventory *inventory = context;

    inventory->ids[inventory->count++] = row->id;
}

static void read_one(struct inventory *inventory, uint64_t id)
{
    struct message *message = NULL;
    struct answer_bytes *answer = NULL;
    struct spool_row row = {0};
    int error = spool_backend_show(inventory->backend, id, &row, &message, &answer);

    if (error != 0 || message == NULL) {
        printf("message %llu can't be read\n", (unsigned long long)id);
        inventory->unreadable++;
    }
    message_release(&message);
    answer_bytes_release(&answer);
    spool_row_clear(&row);
}

/* Opens every message: only that proves that the key and the file belong together. */
static int read_all(struct inventory *inventory)
{
    struct spool_filter filter = {0};
    uint64_t next = 0;
    int error;

    do {
        filter.after_id = next;
        inventory->count = 0;
        error = spool_backend_list(inventory->backend, &filter, note_id, inventory, &next);
        for (size_t i = 0; error == 0 && i < inventory->count; i++) {
            read_one(inventory, inventory->ids[i]);
        }
    } while (error == 0 && next != 0);
    return error;
}

static int print_all(struct inventory *inventory)
{
    struct spool_totals totals;
    int error = read_all(inventory);

    spool_backend_totals(inventory->backend, &totals);
    if (error == 0) {
        error = spool_backend_lanes(inventory->backend, print_route, NULL);
    }
    if (error == 0) {
        error = spool_backend_keys(inventory->backend, print_key, NULL);
    }
    printf("queued %llu\ndead letters %llu\nkept %llu\nunreadable %llu\n",
           (unsigned long long)totals.queued, (unsigned long long)totals.dead,
           (unsigned long long)totals.kept, (unsigned long long)inventory->unreadable);
    return error != 0 ? error : inventory->unreadable > 0 ? -EUCLEAN : 0;
}

static int look_into(const struct config *config, char ret_error[512])
{
    struct inventory inventory = {.ids = calloc(SPOOL_LIST_ROWS, sizeof(*inventory.ids))};
    int error = inventory.ids == NULL ? -ENOMEM : 0;

    if (error == 0) {
        error = gateway_open_backend(config, &inventory.backend, ret_error);
    }
    if (error == 0) {
        error = print_all(&inventory);
        if (error != 0) {
            snprintf(ret_error, 512, "%.400s: %s", config->spool.path,
                     inventory.unreadable > 0 ? "not every message can be read: the file is "
                                                "damaged; take the copy from before"
                                              : strerror(-error));
        }
    }
    spool_backend_close(&inventory.backend);
    free(inventory.ids);
    return error;
}

static int take_inventory(const struct config *config, char ret_error[512])
{
    struct process_user nobody = {.uid = geteuid(), .gid = getegid()};
    int lock = -1, error;

    if (config->spool.type != CONFIG_SPOOL_SQLITE || access(config->spool.path, F_OK) != 0) {
        printf("no spool\nqueued 0\ndead letters 0\nkept 0\nunreadable 0\n");
        return 0;
    }
    error = become_owner(config->gateway.state_directory, ret_error);
    if (error == 0) {
        nobody = (struct process_user){.uid = geteuid(), .gid = getegid()};
        error = process_lock_state(config->gateway.state_directory, &nobody, &lock, ret_error);
    }
    if (error == -EBUSY) {
        snprintf(ret_error, 512,
                 "%.300s: a gateway works with it: mllpctl status shows what it holds",
                 config->gateway.state_directory);
    }
    if (error == 0) {
        error = tls_global_init() == 0 ? look_into(config, ret_error) : -ENOMEM;
    }
    if (lock >= 0) {
        close(lock);
    }
    return error;
}

int gateway_inventory(const struct gateway_options *options)
{
    struct problems problems;
    struct config *config;
    char error[512] = "out of memory";
    int result;

    problems_init(&problems);
    config = config_load(options->config_file, options->directory, &problems);
    problems_print(&problems, stderr);
    problems_free(&problems);
    if (config == NULL) {
        return -EINVAL;
    }
    result = take_inventory(config, error);
    if (result != 0) {
        fprintf(stderr, "mllp-gateway: %s\n", error);
    }
    config_free(&config);
    return result;
}

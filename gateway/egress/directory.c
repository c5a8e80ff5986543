/*
 * The store of type directory: one file a message, "<peer>-<stable id>.hl7".
 *
 * Attempts and their files gather in a batch; one batch at a time is with the offload thread, so
 * that files share their fsyncs. An attempt stays allocated until its batch returns, also when it
 * is cancelled: the offload thread then leaves its files out.
 */
#include "base/clock.h"
#include "egress/directory_write.h"
#include "egress/meter.h"
#include "egress/parts.h"
#include "egress/types.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define DIRECTORY_PEER_BYTES 128u

struct directory_attempt {
    struct store_attempt attempt; /* first */
    struct list_node node;        /* in its batch */
    struct message *message;
    struct parts parts;
    size_t first; /* part */
    struct store_progress *progress;
    int64_t started_ns;
    atomic_bool cancelled; /* read by the offload thread */
    void (*on_done)(void *context, struct verdict *verdict);
    void *context;
};

struct directory_batch {
    struct list_node attempts;
    struct directory_file *files; /* the attempts', one after the other */
    size_t count, capacity;
};

struct directory {
    struct store store; /* first */
    struct meter meter;
    struct offload *offload;
    struct offload_job job;
    bool running; /* job is with the offload thread */
    bool swept;
    bool dead; /* freed when the job returns */
    char *path;
    mode_t mode; /* of files: messages are in them */
    struct directory_batch batches[2];
    struct directory_batch *gathering, *working;
};

static void directory_start(struct directory *directory);

static void directory_attempt_free(struct directory_attempt *old)
{
    list_remove(&old->node);
    parts_free(&old->parts);
    message_release(&old->message);
    free(old);
}

static enum verdict_kind directory_kind(int error)
{
    switch (error) {
    case 0:
        return VERDICT_ACCEPTED;
    case -EACCES:
    case -EPERM:
    case -ENOENT:
    case -ENOTDIR:
    case -EROFS:
    case -ELOOP:
    case -ENAMETOOLONG:
        return VERDICT_OPERATOR;
    default:
        return VERDICT_RETRY;
    }
}

/* "create in /srv/hl7: Permission denied (EACCES)"; of a long path the end is kept, which tells more. */
static void directory_say(const struct directory *directory, int error, const char *step,
                          char *ret_reason, size_t size)
{
    const char *path = directory->path, *cut = "";
    size_t length = strlen(path), taken, room;
    char words[72];
    int written;

    snprintf(words, sizeof(words), "%.40s (%s)", strerrordesc_np(-error), strerrorname_np(-error));
    taken = strlen(step) + strlen(" in : ") + strlen(words) + 1;
    room = taken < size ? size - taken : 0;
    if (length > room) {
        cut = "...";
        path += length - (room > strlen(cut) ? room - strlen(cut) : 0);
    }
    written = snprintf(ret_reason, size, "%s in %s%s: %s", step, cut, path, words);
    if (written < 0 || (size_t)written >= size) /* no room for a path at all */
        (void)!snprintf(ret_reason, size, "%s: %.60s", step, words);
}

static void directory_finish(struct directory *directory, struct directory_attempt *attempt,
                             int error, const char *step)
{
    struct verdict verdict = {.kind = directory_kind(error), .not_sent = error != 0};
    void (*on_done)(void *context, struct verdict *verdict) = attempt->on_done;
    void *context = attempt->context;
    bool cancelled = atomic_load_explicit(&attempt->cancelled, memory_order_relaxed);

    if (error == 0)
        snprintf(verdict.reason, sizeof(verdict.reason), "file in place");
    else
        directory_say(directory, error, step, verdict.reason, sizeof(verdict.reason));
    if (!cancelled)
        meter_outcome(&directory->meter, verdict.kind, attempt->started_ns);
    directory_attempt_free(attempt);
    if (!cancelled)
        on_done(context, &verdict);
}

/* The attempt's files stand together, in order; the first failure is the attempt's. */
static void directory_settle(struct directory *directory, struct directory_attempt *attempt,
                             const struct directory_file *files, size_t count)
{
    size_t done = 0;
    int error = 0;
    const char *step = "";

    while (done < count && files[done].error == 0)
        done++;
    if (done < count) {
        error = files[done].error;
        step = files[done].step;
    }
    if (attempt->progress != NULL && !atomic_load(&attempt->cancelled))
        attempt->progress->parts = attempt->first + done;
    directory_finish(directory, attempt, error, step);
}

static void directory_free(struct directory *directory)
{
    free(directory->batches[0].files);
    free(directory->batches[1].files);
    free(directory->path);
    free(directory);
}

/* Attempts that gathered while the last batch ran were cancelled with the rest. */
static void directory_drop(struct directory *directory)
{
    LIST_FOREACH_SAFE(node, next, &directory->gathering->attempts)
        directory_attempt_free(LIST_ENTRY(node, struct directory_attempt, node));
    directory_free(directory);
}

static void directory_on_written(struct offload_job *job)
{
    struct directory *directory = LIST_ENTRY(job, struct directory, job);
    struct directory_batch *batch = directory->working;
    size_t at = 0;

    /* running stays true: store_free() from an on_done must leave the rest to us. New attempts
     * gather in the other batch. */
    LIST_FOREACH_SAFE(node, next, &batch->attempts) {
        struct directory_attempt *attempt = LIST_ENTRY(node, struct directory_attempt, node);
        size_t count = attempt->parts.count - attempt->first;

        directory_settle(directory, attempt, batch->files + at, count);
        at += count;
    }
    batch->count = 0;
    directory->running = false;
    if (directory->dead)
        directory_drop(directory);
    else
        directory_start(directory);
}

static void directory_work(struct offload_job *job)
{
    struct directory *directory = LIST_ENTRY(job, struct directory, job);

    if (!directory->swept)
        directory_sweep(directory->path);
    directory->swept = true;
    directory_write(directory->path, directory->mode, directory->working->files,
                    directory->working->count);
}

/* Peers' names come from the configuration, where more is allowed than a file name should have. */
static void directory_name(const struct directory_attempt *attempt, size_t index,
                           char ret_name[DIRECTORY_NAME_BYTES])
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    char peer[DIRECTORY_PEER_BYTES];
    char stable_id[PARTS_ID_BYTES];

    snprintf(peer, sizeof(peer), "%s", attempt->message->peer);
    for (char *c = peer; *c != '\0'; c++) {
        if (strchr(plain, *c) == NULL || (c == peer && *c == '.'))
            *c = '_';
    }
    parts_stable_id(&attempt->parts, attempt->message, index, stable_id);
    snprintf(ret_name, DIRECTORY_NAME_BYTES, "%s-%s.hl7", peer, stable_id);
}

static int directory_reserve(struct directory_batch *batch, size_t more)
{
    size_t capacity = (batch->count + more) * 2;
    struct directory_file *files;

    if (batch->count + more <= batch->capacity)
        return 0;
    files = reallocarray(batch->files, capacity, sizeof(*files));
    if (files == NULL)
        return -ENOMEM;
    batch->files = files;
    batch->capacity = capacity;
    return 0;
}

static int directory_gather(struct directory_batch *batch, struct directory_attempt *attempt)
{
    size_t group = batch->count == 0 ? 0 : batch->files[batch->count - 1].group + 1;

    if (directory_reserve(batch, attempt->parts.count - attempt->first) != 0)
        return -ENOMEM;
    for (size_t i = attempt->first; i < attempt->parts.count; i++) {
        struct directory_file *file = &batch->files[batch->count++];

        *file = (struct directory_file){
            .content = attempt->parts.items[i], .cancelled = &attempt->cancelled, .group = group};
        directory_name(attempt, i, file->name);
    }
    list_append(&batch->attempts, &attempt->node);
    return 0;
}

static void directory_start(struct directory *directory)
{
    struct directory_batch *batch = directory->gathering;

    if (directory->running || list_empty(&batch->attempts))
        return;
    directory->gathering = directory->working;
    directory->working = batch;
    directory->running = true;
    offload_submit(directory->offload, &directory->job);
}

static struct directory_attempt *directory_attempt_new(struct directory *directory,
                                                       struct message *message,
                                                       struct store_progress *progress)
{
    struct directory_attempt *attempt = calloc(1, sizeof(*attempt));

    if (attempt == NULL)
        return NULL;
    list_init(&attempt->node);
    attempt->attempt.store = &directory->store;
    attempt->message = message_reference(message);
    attempt->progress = progress;
    attempt->started_ns = clock_monotonic_ns();
    if (parts_make(message, directory->store.config->batch, &attempt->parts) != 0) {
        directory_attempt_free(attempt);
        return NULL;
    }
    /* All parts done already: the last is done again rather than none. */
    attempt->first = progress == NULL ? 0 : progress->parts;
    if (attempt->first >= attempt->parts.count)
        attempt->first = attempt->parts.count - 1;
    return attempt;
}

static struct store_attempt *
directory_deliver(struct store *store, struct message *message, struct store_progress *progress,
                  int64_t deadline_ms, void (*on_done)(void *context, struct verdict *verdict),
                  void *context)
{
    struct directory *directory = (struct directory *)store;
    struct directory_attempt *attempt = directory_attempt_new(directory, message, progress);

    (void)deadline_ms; /* nothing here can be cut short: the caller cancels at its deadline */
    if (attempt == NULL)
        return NULL;
    attempt->on_done = on_done;
    attempt->context = context;
    if (directory_gather(directory->gathering, attempt) != 0) {
        directory_attempt_free(attempt);
        return NULL;
    }
    directory_start(directory);
    return &attempt->attempt;
}

static void directory_cancel(struct store_attempt *attempt)
{
    atomic_store_explicit(&((struct directory_attempt *)attempt)->cancelled, true,
                          memory_order_release);
}

static void directory_cancel_batch(struct directory_batch *batch)
{
    LIST_FOREACH_SAFE(node, next, &batch->attempts)
        directory_cancel(&LIST_ENTRY(node, struct directory_attempt, node)->attempt);
}

static void directory_destroy(struct store *store)
{
    struct directory *directory = (struct directory *)store;

    if (!directory->running) {
        directory_drop(directory);
        return;
    }
    directory_cancel_batch(&directory->batches[0]);
    directory_cancel_batch(&directory->batches[1]);
    directory->dead = true;
}

static const struct store_operations directory_operations = {
    .destroy = directory_destroy, .deliver = directory_deliver, .cancel = directory_cancel};

struct store *store_directory_new(const struct config_store *config,
                                  const struct store_context *context, char ret_error[512])
{
    struct directory *directory = calloc(1, sizeof(*directory));

    if (directory == NULL || (directory->path = strdup(config->path)) == NULL) {
        snprintf(ret_error, 512, "out of memory");
        free(directory);
        return NULL;
    }
    /* A missing parent or a read-only place shows in the first verdict, as it would later. */
    if (mkdir(config->path, 0750) == 0)
        directory_sync_parent(config->path);
    directory->mode = config->group_readable ? 0640 : 0600;
    directory->store.operations = &directory_operations;
    directory->offload = context->offload;
    directory->job.reply_to = loop_mailbox(context->loop);
    directory->job.work = directory_work;
    directory->job.done = directory_on_written;
    list_init(&directory->batches[0].attempts);
    list_init(&directory->batches[1].attempts);
    directory->gathering = &directory->batches[0];
    directory->working = &directory->batches[1];
    meter_init(&directory->meter, context->metrics, config->name, false);
    return &directory->store;
}

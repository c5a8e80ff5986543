/* The queue's commands. Each runs pieces of work on the spool's thread (spool_call) and puts its
 * answer together on the admin thread. */
#include "admin/control_entry.h"
#include "admin/control_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct queue_work {
    struct spool_call call; /* first */
    struct control_request *request;
    struct spool_filter filter; /* texts belong to the request's arguments */
    int (*act)(struct queue_work *work, struct spool *spool, uint64_t id);
    bool out_of_order;
    char *
        revoked; /* this route's entries are asked back first: leased ones would be busy; or NULL */
    size_t busy; /* of this page, when it was tried last */
    uint64_t page_after;
    /* filled in on the spool's thread, read when the call is done */
    json_t *rows;
    uint64_t ids[CONTROL_PAGE];
    char *routes[CONTROL_PAGE];
    int results[CONTROL_PAGE];
    size_t count;
    uint64_t next; /* where the list goes on; 0: its end was reached */
    uint64_t new_id;
    /* sums over the calls */
    const char *done_name; /* "replayed" */
    uint64_t listed, limit, done, failed;
};

/* What a filter may say. 0 or -EINVAL. */
static int queue_filter_read(const json_t *arguments, struct spool_filter *ret_filter)
{
    const char *state = json_string_value(json_object_get(arguments, "state"));

    *ret_filter = (struct spool_filter){
        .route = json_string_value(json_object_get(arguments, "route")),
        .lane = json_string_value(json_object_get(arguments, "lane")),
        .peer = json_string_value(json_object_get(arguments, "peer")),
        .by_state = state != NULL,
        .limit = CONTROL_PAGE,
    };
    if (state == NULL)
        return 0;
    return control_entry_state(state, &ret_filter->state);
}

static struct queue_work *queue_work_new(struct control_request *request,
                                         void (*call)(struct spool_call *call, struct spool *spool,
                                                      struct spool_backend *backend),
                                         void (*done)(struct spool_call *call))
{
    struct queue_work *work = calloc(1, sizeof *work);

    if (work == NULL) {
        control_finish(request, NULL);
        return NULL;
    }
    work->request = request;
    work->call = (struct spool_call){
        .call = call, .done = done, .reply_to = loop_mailbox(request->loop), .context = work};
    request->context = work;
    return work;
}

static void queue_work_forget_routes(struct queue_work *work)
{
    for (size_t i = 0; i < CONTROL_PAGE; i++) {
        free(work->routes[i]);
        work->routes[i] = NULL;
    }
}

static void queue_work_free(struct queue_work *work)
{
    queue_work_forget_routes(work);
    free(work->revoked);
    json_decref(work->rows);
    free(work);
}

static void queue_work_fail(struct queue_work *work, int error)
{
    struct control_request *request = work->request;

    queue_work_free(work);
    control_fail(request, control_entry_error_code(error), "%s", control_entry_error_words(error));
}

static void queue_work_go(struct queue_work *work)
{
    struct spool *spool = work->request->gateway->spool;

    if (control_has_ended(work->request)) { /* and with it, perhaps, the spool */
        queue_work_fail(work, -ECANCELED);
        return;
    }
    if (work->revoked != NULL)
        spool_call_revoked(spool, &work->call, work->revoked);
    else
        spool_call(spool, &work->call);
}

/* ---- list ---- */

static void list_row(void *context, const struct spool_row *row)
{
    struct queue_work *work = context;

    json_array_append_new(work->rows, control_entry_json(row));
    work->count++;
}

static void list_call(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct queue_work *work = call->context;

    (void)spool;
    work->count = 0;
    work->next = 0;
    work->rows = json_array();
    call->result = work->rows == NULL
                       ? -ENOMEM
                       : spool_backend_list(backend, &work->filter, list_row, work, &work->next);
    work->filter.after_id = work->next;
}

static void list_again(struct control_request *request)
{
    struct queue_work *work = request->context;

    if (control_client_gone(request)) {
        queue_work_free(work);
        control_finish(request, json_object()); /* to nobody */
        return;
    }
    queue_work_go(work);
}

/* Sets how many to ask for next; false: no more are wanted. */
static bool list_page(struct queue_work *work)
{
    uint64_t rest = work->limit - work->listed;

    work->filter.limit = rest < CONTROL_PAGE ? (unsigned)rest : CONTROL_PAGE;
    return rest > 0;
}

static void list_done(struct spool_call *call)
{
    struct queue_work *work = call->context;
    struct control_request *request = work->request;
    bool last = work->next == 0;

    if (call->result < 0) {
        queue_work_fail(work, call->result);
        return;
    }
    work->listed += work->count;
    if (work->count > 0)
        control_send(request, json_pack("{s:o}", "items", work->rows));
    else
        json_decref(work->rows);
    work->rows = NULL;
    if (!last && list_page(work)) {
        control_when_drained(request, list_again);
        return;
    }
    json_t *result = json_pack("{s:I}", "count", (json_int_t)work->listed);
    if (!last && result != NULL)
        json_object_set_new(result, "next", json_integer((json_int_t)work->filter.after_id));
    queue_work_free(work);
    control_finish(request, result);
}

void control_queue_list(struct control_request *request)
{
    json_int_t after = json_integer_value(json_object_get(request->arguments, "after"));
    json_int_t limit = json_integer_value(json_object_get(request->arguments, "limit"));
    struct spool_filter filter;

    if (queue_filter_read(request->arguments, &filter) < 0 || after < 0 || limit < 0) {
        control_fail(request, "request",
                     "state is queued, kept or dead; after and limit are numbers");
        return;
    }
    struct queue_work *work = queue_work_new(request, list_call, list_done);
    if (work == NULL)
        return;
    work->filter = filter;
    work->filter.after_id = (uint64_t)after;
    work->limit = limit == 0 ? UINT64_MAX : (uint64_t)limit;
    list_page(work);
    queue_work_go(work);
}

/* ---- replay, discard ---- */

static int act_replay(struct queue_work *work, struct spool *spool, uint64_t id)
{
    return spool_replay(spool, id, work->out_of_order, &work->new_id);
}

static int act_discard(struct queue_work *work, struct spool *spool, uint64_t id)
{
    (void)work;
    return spool_discard(spool, id);
}

static void act_collect(void *context, const struct spool_row *row)
{
    struct queue_work *work = context;

    if (work->count >= CONTROL_PAGE)
        return;
    work->routes[work->count] = strdup(row->route);
    work->ids[work->count++] = row->id;
}

/* One entry: its id is in ids[0] already. */
static void act_on_one(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct queue_work *work = call->context;
    struct spool_filter this_one = {.after_id = work->ids[0] - 1, .limit = 1};

    call->result = work->results[0] = work->act(work, spool, work->ids[0]);
    if (call->result == -EBUSY && work->revoked == NULL) {
        work->count = 0;
        (void)!spool_backend_list(backend, &this_one, act_collect, work, &work->next);
        work->count = 1;
    }
}

/* The page is collected first: rows must not change under the list. */
static void act_on_page(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct queue_work *work = call->context;

    work->count = 0;
    work->next = 0;
    work->page_after = work->filter.after_id;
    queue_work_forget_routes(work);
    call->result = spool_backend_list(backend, &work->filter, act_collect, work, &work->next);
    for (size_t i = 0; call->result == 0 && i < work->count; i++)
        work->results[i] = work->act(work, spool, work->ids[i]);
    work->filter.after_id = work->next;
}

static void act_tell(struct queue_work *work, bool busy_too)
{
    for (size_t i = 0; i < work->count; i++) {
        if (work->results[i] == -EBUSY && !busy_too)
            continue;
        control_audit(work->request, work->ids[i],
                      work->results[i] < 0 ? control_entry_error_code(work->results[i]) : "ok");
        if (work->results[i] < 0)
            work->failed++;
        else
            work->done++;
    }
}

static void act_finish(struct queue_work *work, bool one)
{
    struct control_request *request = work->request;
    json_t *result = json_pack("{s:I s:I}", work->done_name, (json_int_t)work->done, "failed",
                               (json_int_t)work->failed);

    if (one && work->new_id != 0 && result != NULL)
        json_object_set_new(result, "id", json_integer((json_int_t)work->new_id));
    queue_work_free(work);
    control_finish(request, result);
}

/* Entries that the route holds, waiting for a store that is down, say, are not lost to an operator:
 * the route of the first busy one gives back what isn't in flight, and the same is tried again. True
 * when that is under way; a try that makes no headway is the last. */
static bool act_ask_back(struct queue_work *work)
{
    size_t busy = 0, first = 0;

    for (size_t i = work->count; i > 0; i--) {
        if (work->results[i - 1] == -EBUSY) {
            busy++;
            first = i - 1;
        }
    }
    if (work->act != act_discard || busy == 0 || work->routes[first] == NULL ||
        (work->busy != 0 && busy >= work->busy))
        return false;
    act_tell(work, false);
    free(work->revoked);
    work->revoked = work->routes[first];
    work->routes[first] = NULL;
    work->busy = busy;
    work->filter.after_id = work->page_after;
    queue_work_go(work);
    return true;
}

static void act_on_one_done(struct spool_call *call)
{
    struct queue_work *work = call->context;

    if (call->result == -EBUSY && act_ask_back(work))
        return;
    /* The transaction may have failed although the act itself went well. */
    if (call->result < 0)
        work->results[0] = call->result;
    act_tell(work, true);
    if (call->result < 0)
        queue_work_fail(work, call->result);
    else
        act_finish(work, true);
}

static void act_on_page_done(struct spool_call *call)
{
    struct queue_work *work = call->context;
    bool last = work->next == 0;

    if (call->result == 0 && act_ask_back(work))
        return;
    for (size_t i = 0; call->result < 0 && i < work->count; i++)
        work->results[i] = call->result;
    act_tell(work, true);
    work->busy = 0;
    if (call->result < 0)
        queue_work_fail(work, call->result);
    else if (last)
        act_finish(work, false);
    else
        queue_work_go(work);
}

static void queue_act(struct control_request *request, const char *done_name,
                      int (*act)(struct queue_work *work, struct spool *spool, uint64_t id))
{
    json_int_t id = json_integer_value(json_object_get(request->arguments, "id"));
    bool all = json_is_true(json_object_get(request->arguments, "all"));
    struct spool_filter filter;

    if (queue_filter_read(request->arguments, &filter) < 0 || id < 0 ||
        (id == 0 && !all && filter.route == NULL && filter.lane == NULL && filter.peer == NULL &&
         !filter.by_state)) {
        control_fail(request, "request",
                     "an id, a filter (route, lane, peer, state) or all is wanted");
        return;
    }
    struct queue_work *work = queue_work_new(request, id > 0 ? act_on_one : act_on_page,
                                             id > 0 ? act_on_one_done : act_on_page_done);
    if (work == NULL)
        return;
    work->act = act;
    work->done_name = done_name;
    work->filter = filter;
    work->filter.limit = CONTROL_PAGE;
    work->ids[0] = (uint64_t)id;
    work->count = 1;
    work->out_of_order = json_is_true(json_object_get(request->arguments, "out_of_order"));
    if (act == act_discard && id == 0 && filter.route != NULL &&
        (!filter.by_state || filter.state == SPOOL_QUEUED))
        work->revoked = strdup(filter.route);
    if (act == act_replay) { /* only dead letters can be */
        work->filter.by_state = true;
        work->filter.state = SPOOL_DEAD;
    }
    queue_work_go(work);
}

void control_queue_replay(struct control_request *request)
{
    queue_act(request, "replayed", act_replay);
}

void control_queue_discard(struct control_request *request)
{
    queue_act(request, "discarded", act_discard);
}

/* ---- move ---- */

static void move_done(struct spool_call *call)
{
    struct queue_work *work = call->context;
    struct control_request *request = work->request;

    control_audit(request, 0, call->result < 0 ? control_entry_error_code(call->result) : "ok");
    if (call->result < 0) {
        queue_work_fail(work, call->result);
        return;
    }
    json_t *result = json_pack("{s:i}", "moved", call->result);
    queue_work_free(work);
    control_finish(request, result);
}

void control_queue_move(struct control_request *request)
{
    const char *from = json_string_value(json_object_get(request->arguments, "from"));
    const char *to = json_string_value(json_object_get(request->arguments, "to"));

    if (from == NULL || to == NULL || from[0] == '\0' || to[0] == '\0' || strcmp(from, to) == 0) {
        control_fail(request, "request", "from and to are wanted: two routes");
        return;
    }
    /* Nobody would deliver them there, and no reload would be taken any more. */
    if (request->gateway->has_route != NULL &&
        !request->gateway->has_route(request->gateway->context, to)) {
        control_audit(request, 0, "not-found");
        control_fail(request, "not-found", "there is no route of the name to move to");
        return;
    }
    struct queue_work *work = queue_work_new(request, NULL, move_done);
    if (work != NULL)
        spool_move(request->gateway->spool, &work->call, from, to);
}

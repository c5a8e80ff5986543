/* queue.show: one entry; with "body" what it holds, for operators, with an audit line before. */
#include "admin/control_entry.h"
#include "admin/control_request.h"

#include <errno.h>
#include <stdlib.h>

struct show_work {
    struct spool_call call;
    struct control_request *request;
    uint64_t id;
    bool body;
    struct spool_row row;
    struct message *message;
    struct answer_bytes *answer;
};

static void show_call(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct show_work *work = call->context;

    (void)spool;
    call->result = spool_backend_show(backend, work->id, &work->row, &work->message, &work->answer);
}

static json_t *show_result(const struct show_work *work)
{
    json_t *entry = control_entry_json(&work->row);

    if (!work->body)
        return json_pack("{s:o}", "entry", entry);
    return json_pack(
        "{s:o s:o s:o}", "entry", entry, "message",
        work->message == NULL ? json_null() : control_entry_base64(work->message->body), "answer",
        work->answer == NULL
            ? json_null()
            : control_entry_base64(span_of(work->answer->data, work->answer->length)));
}

static void show_done(struct spool_call *call)
{
    struct show_work *work = call->context;
    struct control_request *request = work->request;
    int result = call->result;

    if (work->body)
        control_audit(request, work->id, result < 0 ? control_entry_error_code(result) : "ok");
    if (result < 0)
        control_fail(request, control_entry_error_code(result), "%s",
                     control_entry_error_words(result));
    else
        control_finish(request, show_result(work));
    if (result == 0)
        spool_row_clear(&work->row);
    message_release(&work->message);
    answer_bytes_release(&work->answer);
    free(work);
}

void control_queue_show(struct control_request *request)
{
    json_int_t id = json_integer_value(json_object_get(request->arguments, "id"));
    bool body = json_is_true(json_object_get(request->arguments, "body"));

    if (id <= 0) {
        control_fail(request, "request", "the id of an entry is wanted");
        return;
    }
    if (body && !request->caller.operator) {
        control_audit(request, (uint64_t)id, "permission");
        control_fail(request, "permission",
                     "bodies are for root and members of operator_group only");
        return;
    }
    struct show_work *work = calloc(1, sizeof *work);
    if (work == NULL) {
        control_finish(request, NULL);
        return;
    }
    work->request = request;
    work->id = (uint64_t)id;
    work->body = body;
    work->call = (struct spool_call){.call = show_call,
                                     .done = show_done,
                                     .reply_to = loop_mailbox(request->loop),
                                     .context = work};
    spool_call(request->gateway->spool, &work->call);
}

/* Requests: from parameters to a libcurl handle, from an ended transfer to a result. */
#include "http/private.h"

#include <errno.h>
#include <stdlib.h>

#define HTTP_IDLE_MAXIMUM 256u
#define HTTP_HEADERS_MAXIMUM ((size_t)256 * 1024)
#define HTTP_KEEP_ANSWER_BYTES ((size_t)64 * 1024)

/* Empty, so that libcurl doesn't wait a second for "100 Continue" before larger bodies. */
static char http_no_expect[] = "Expect:";

/* Tokens and what stores say of messages are not to lie about in freed or idle memory. */
static void http_wipe(struct buffer *buffer)
{
    if (buffer->data != NULL)
        explicit_bzero(buffer->data, buffer->capacity);
}

/* One block: the nodes, then the texts. libcurl only reads the list. */
static int http_headers_copy(struct buffer *block, const char *const *headers)
{
    size_t count = 1, bytes = 0;
    struct curl_slist *nodes;
    char *text;

    for (; headers != NULL && headers[count - 1] != NULL; count++)
        bytes += strlen(headers[count - 1]) + 1;
    buffer_clear(block);
    if (count * sizeof(*nodes) + bytes > block->capacity) {
        http_wipe(block); /* of the request before, which had a token, too */
        buffer_free(block);
    }
    if (buffer_reserve(block, count * sizeof(*nodes) + bytes) != 0)
        return -ENOMEM;
    nodes = (struct curl_slist *)(void *)block->data;
    text = block->data + count * sizeof(*nodes);
    nodes[0] = (struct curl_slist){http_no_expect, NULL};
    for (size_t i = 1; i < count; i++) {
        size_t length = strlen(headers[i - 1]) + 1;

        memcpy(text, headers[i - 1], length);
        nodes[i] = (struct curl_slist){text, NULL};
        nodes[i - 1].next = &nodes[i];
        text += length;
    }
    return 0;
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (curl_easy_setopt(request->easy, option, value) != CURLE_OK)                            \
            return -ENOMEM;                                                                        \
    } while (0)

static int http_set_url(struct http_request *request, const char *url)
{
    char *copy;

    if (request->url != NULL && strcmp(request->url, url) == 0)
        return 0;
    copy = strdup(url);
    if (copy == NULL)
        return -ENOMEM;
    free(request->url);
    request->url = copy;
    SET(CURLOPT_URL, url);
    return 0;
}

static int http_set_method(struct http_request *request, const char *method, struct span body)
{
    SET(CURLOPT_CUSTOMREQUEST, NULL);
    if (strcmp(method, "GET") == 0) {
        SET(CURLOPT_HTTPGET, 1L);
        return 0;
    }
    SET(CURLOPT_POST, 1L);
    if (strcmp(method, "POST") != 0)
        SET(CURLOPT_CUSTOMREQUEST, method);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.length);
    SET(CURLOPT_POSTFIELDS, body.length == 0 ? "" : body.data); /* not copied */
    return 0;
}

static int http_request_prepare(struct http_request *request,
                                const struct http_parameters *parameters)
{
    int64_t timeout_ms = parameters->timeout_ms < 1 ? 1 : parameters->timeout_ms;

    if (http_headers_copy(&request->headers, parameters->headers) != 0 ||
        http_set_url(request, parameters->url) != 0 ||
        http_set_method(request, parameters->method, parameters->body) != 0)
        return -ENOMEM;
    SET(CURLOPT_HTTPHEADER, (struct curl_slist *)(void *)request->headers.data);
    SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(CURLOPT_CLOSESOCKETDATA, request->connections);
    SET(CURLOPT_USERNAME, parameters->basic_username);
    SET(CURLOPT_PASSWORD, parameters->basic_password);
    buffer_clear(&request->answer);
    request->answer.maximum = parameters->maximum_answer_bytes;
    request->reached_sending = false;
    request->too_large = false;
    request->error[0] = '\0';
    return 0;
}

void http_request_free(struct http_request **request)
{
    struct http_request *old = *request;

    if (old == NULL)
        return;
    list_remove(&old->node);
    curl_easy_cleanup(old->easy);
    free(old->url);
    http_wipe(&old->headers); /* an Authorization header may be among them */
    http_wipe(&old->answer);
    buffer_free(&old->headers);
    buffer_free(&old->answer);
    free(old);
    *request = NULL;
}

static struct http_request *http_request_new(struct http_origin *origin)
{
    struct http_request *request = calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->origin = origin;
    request->version = origin->version;
    list_init(&request->node);
    buffer_init(&request->headers, HTTP_HEADERS_MAXIMUM);
    buffer_init(&request->answer, 0);
    request->easy = curl_easy_init();
    if (request->easy == NULL || http_options_apply(request) != 0)
        http_request_free(&request);
    return request;
}

/* The one used last comes first: what belongs to it is likely still in the caches. */
static struct http_request *http_request_take(struct http_origin *origin)
{
    struct list_node *node = list_pop_front(&origin->idle);

    if (node == NULL)
        return http_request_new(origin);
    origin->idle_count--;
    return LIST_ENTRY(node, struct http_request, node);
}

static void http_request_recycle(struct http_request *request)
{
    struct http_origin *origin = request->origin;

    request->connections = NULL;
    if (origin->idle_count >= HTTP_IDLE_MAXIMUM || request->version != origin->version) {
        http_request_free(&request);
        return;
    }
    http_wipe(&request->answer);
    if (request->answer.capacity > HTTP_KEEP_ANSWER_BYTES)
        buffer_free(&request->answer);
    list_prepend(&origin->idle, &request->node);
    origin->idle_count++;
}

struct http_request *
http_request_start(struct http_client *client, const struct http_parameters *parameters,
                   void (*on_done)(void *context, const struct http_result *result), void *context)
{
    struct http_origin *origin = parameters->origin;
    struct http_request *request;

    if (origin->current == NULL)
        origin->current = http_connections_new(origin);
    if (origin->current == NULL)
        return NULL;
    request = http_request_take(origin);
    if (request == NULL)
        return NULL;
    request->connections = origin->current;
    if (http_request_prepare(request, parameters) != 0 ||
        curl_multi_add_handle(origin->current->multi, request->easy) != CURLM_OK) {
        http_request_free(&request);
        return NULL;
    }
    request->on_done = on_done;
    request->context = context;
    request->answer_header = parameters->answer_header;
    request->started_ms = loop_now_ms(client->loop);
    list_append(&origin->current->requests, &request->node);
    return request;
}

/* Out of libcurl and of the list; connections without requests that no new ones will come to are
 * left for http_connections_sweep(). */
static void http_request_detach(struct http_request *request)
{
    (void)curl_multi_remove_handle(request->connections->multi, request->easy);
    list_remove(&request->node);
}

void http_request_drop(struct http_request *request)
{
    http_request_detach(request);
    http_request_recycle(request);
}

void http_request_cancel(struct http_request **request)
{
    struct http_origin *origin;

    if (*request == NULL)
        return;
    origin = (*request)->origin;
    http_request_drop(*request);
    *request = NULL;
    if (origin->dispatching == 0)
        http_connections_sweep(origin);
}

static void http_request_describe(const struct http_request *request, CURLcode code,
                                  struct http_ending *ret_ending)
{
    long status = 0, proxy_status = 0, os_error = 0, verify_result = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK) {
        curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
        curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_error);
        curl_easy_getinfo(request->easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
    }
    *ret_ending = (struct http_ending){.code = code,
                                       .reached_sending = request->reached_sending,
                                       .too_large = request->too_large,
                                       .status = (int)status,
                                       .proxy_status = (int)proxy_status,
                                       .os_error = (int)os_error,
                                       .verify_result = verify_result,
                                       .error = request->error};
}

static const char *http_answer_header(const struct http_request *request)
{
    struct curl_header *header = NULL;

    if (curl_easy_header(request->easy, request->answer_header, 0, CURLH_HEADER, -1, &header) !=
        CURLHE_OK)
        return NULL;
    return header->value;
}

static void http_request_read_answer(const struct http_request *request, struct http_result *result)
{
    long version = 0, connections = 0;
    curl_off_t retry_after_s = 0;
    const char *content_type = NULL;

    curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &content_type);
    curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    curl_easy_getinfo(request->easy, CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connections);
    result->content_type = content_type == NULL ? "" : content_type;
    result->retry_after_ms = (int64_t)retry_after_s * 1000;
    result->body = buffer_span(&request->answer);
    if (version == CURL_HTTP_VERSION_2_0)
        result->http_version = 2;
    else if (version != 0)
        result->http_version = 1;
    result->new_connections = (int)connections;
    if (request->answer_header != NULL)
        result->answer_header = http_answer_header(request);
}

/* A connection on which nothing has come back since this request started may be dead, and libcurl
 * would put the next request on it all the same. */
static void http_retire_if_silent(const struct http_request *request,
                                  const struct http_result *result)
{
    struct http_connections *connections = request->connections;

    if (result->failure == HTTP_OK)
        connections->last_answer_ms = loop_now_ms(request->origin->client->loop);
    else if (result->failure == HTTP_TIMEOUT && connections->last_answer_ms < request->started_ms &&
             request->origin->current == connections)
        request->origin->current = NULL;
}

void http_request_finish(struct http_request *request, CURLcode code)
{
    struct http_ending ending;
    struct http_result result = {.content_type = ""};

    http_request_describe(request, code, &ending);
    http_classify(&ending, &result, request->words);
    http_request_read_answer(request, &result);
    http_retire_if_silent(request, &result);
    http_request_detach(request);
    request->on_done(request->context, &result);
    http_request_recycle(request);
}

/* mllpctl queue show: one entry, and with --body what it holds, readable. */
#include "base/base64.h"
#include "base/text.h"
#include "ctl/queue.h"
#include "ctl/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* free() *ret_data. -EINVAL or -ENOMEM: neither happens with our own gateway. */
static int show_decode(const char *text, char **ret_data, size_t *ret_length)
{
    char *data = malloc(base64_room(strlen(text)) + 1);
    int result = data == NULL ? -ENOMEM : base64_decode(span_of_string(text), data, ret_length);

    if (result < 0)
        free(data);
    else
        *ret_data = data;
    return result;
}

static int show_content(const char *title, const json_t *value)
{
    struct buffer text;
    char *data = NULL;
    size_t length = 0;

    printf("\n%s\n", title);
    if (!json_is_string(value)) {
        puts("(none)");
        return CTL_OK;
    }
    if (show_decode(json_string_value(value), &data, &length) < 0)
        return ctl_fail(CTL_REFUSED, "what the gateway sent can't be read");
    buffer_init(&text, length * 4 + 1);
    int result = text_escape(&text, span_of(data, length), true);
    if (result == 0 && text.length > 0) {
        fwrite(text.data, 1, text.length, stdout);
        if (text.data[text.length - 1] != '\n')
            putchar('\n');
    }
    buffer_free(&text);
    free(data);
    return result < 0 ? ctl_fail(CTL_REFUSED, "out of memory") : CTL_OK;
}

int ctl_queue_show(struct queue_options *options)
{
    json_t *result = NULL;

    if (options->body)
        json_object_set_new(options->request, "body", json_true());
    int code = client_call(&options->client, json_incref(options->request), NULL, NULL, &result);
    if (code != CTL_OK)
        return code;
    if (options->client.json)
        return client_print_json(result);
    table_print_pairs(stdout, json_object_get(result, "entry"));
    if (options->body) {
        code = show_content("message", json_object_get(result, "message"));
        if (code == CTL_OK)
            code = show_content("the store's last answer", json_object_get(result, "answer"));
    }
    json_decref(result);
    return code;
}

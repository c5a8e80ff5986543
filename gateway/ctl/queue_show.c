/* mllpctl queue show: one entry, and with --body what it holds, readable. */
#include "base/text.h"
#include "ctl/queue.h"
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

static int base64_digit(char digit)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);

    return found == NULL ? -1 : (int)(found - digits);
}

/* free() *ret_data. 0, -EINVAL as -1, or out of memory as -1: neither happens with our own gateway. */
static int base64_decode(const char *text, char **ret_data, size_t *ret_length)
{
    size_t length = strlen(text), count = 0;
    char *data = malloc(length + 1);
    unsigned bits = 0, group = 0;

    if (data == NULL)
        return -1;
    for (size_t i = 0; i < length && text[i] != '='; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0) {
            free(data);
            return -1;
        }
        group = group << 6 | (unsigned)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            data[count++] = (char)(unsigned char)(group >> bits & 0xff);
        }
    }
    *ret_data = data;
    *ret_length = count;
    return 0;
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
    if (base64_decode(json_string_value(value), &data, &length) < 0)
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

/* A message from nobody: says so in its fields, and has the size that was asked for. */
#include "base/buffer.h"
#include "ctl/send_source.h"

#include <stdio.h>
#include <time.h>

#define SYNTHETIC_LINE 200 /* bytes of an NTE segment at most, its CR included */

static const char synthetic_result[] = "OBX|%u|NM|GLU^Glucose^L||5.%u|mmol/L|3.9-5.8|N|||F\r";

static int synthetic_head(struct buffer *out, const char *facility)
{
    time_t now = time(NULL);
    struct tm parts;
    char when[16] = "";

    gmtime_r(&now, &parts);
    strftime(when, sizeof when, "%Y%m%d%H%M%S", &parts);
    return buffer_append_format(out,
                                /* MSH-10 is as long as what takes its place */
                                "MSH|^~\\&|MLLPCTL|%s|GATEWAY||%s||ORU^R01|0000000000000000|T|2.5\r"
                                "PID|1||TEST-0000^^^TEST||SYNTHETIC^MESSAGE\r"
                                "OBR|1||TEST-0000|GLU^Glucose^L\r",
                                facility, when);
}

/* NTE segments of filler up to just size bytes; a rest too short for one lengthens the last. */
static int synthetic_fill(struct buffer *out, size_t size)
{
    const size_t smallest = sizeof "NTE|1||x\r" - 1;
    int result = 0;

    while (result == 0 && out->length < size) {
        size_t rest = size - out->length;
        size_t take = rest <= SYNTHETIC_LINE             ? rest
                      : rest < SYNTHETIC_LINE + smallest ? rest - smallest
                                                         : SYNTHETIC_LINE;
        if (take < smallest) { /* only behind the head: into its last field */
            out->length--;
            for (size_t i = 0; result == 0 && i < take; i++)
                result = buffer_append_byte(out, '.');
            return result < 0 ? result : buffer_append_byte(out, '\r');
        }
        result = buffer_append_string(out, "NTE|1||");
        for (size_t i = sizeof "NTE|1||\r" - 1; result == 0 && i < take; i++)
            result = buffer_append_byte(out, (char)('a' + i % 26));
        if (result == 0)
            result = buffer_append_byte(out, '\r');
    }
    return result;
}

int send_source_add_synthetic(struct send_source *source, size_t size, const char *facility)
{
    struct buffer out;
    char line[96];

    buffer_init(&out, (size_t)SEND_SOURCE_MAXIMUM);
    int result = synthetic_head(&out, facility);
    for (unsigned i = 1; result == 0 && i <= 4; i++) {
        int length = snprintf(line, sizeof line, synthetic_result, i, i);
        if (out.length + (size_t)length <= size)
            result = buffer_append(&out, line, (size_t)length);
    }
    if (result == 0)
        result = synthetic_fill(&out, size);
    if (result == 0)
        result = send_source_add_content(source, out.data, out.length, true);
    buffer_free(&out);
    return result;
}

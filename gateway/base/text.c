#include "base/text.h"

#include <stdio.h>
#include <time.h>

const char *text_age(int64_t ms, char ret_text[TEXT_SHORT_BYTES])
{
    int64_t s = ms / 1000;
    long long days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60, seconds = s % 60;

    if (ms < 0)
        snprintf(ret_text, TEXT_SHORT_BYTES, "0s");
    else if (ms < 1000)
        snprintf(ret_text, TEXT_SHORT_BYTES, "%lldms", (long long)ms);
    else if (s < 60)
        snprintf(ret_text, TEXT_SHORT_BYTES, "%llds", seconds);
    else if (s < 3600)
        snprintf(ret_text, TEXT_SHORT_BYTES, "%lldm%02llds", minutes, seconds);
    else if (s < 86400)
        snprintf(ret_text, TEXT_SHORT_BYTES, "%lldh%02lldm", hours, minutes);
    else
        snprintf(ret_text, TEXT_SHORT_BYTES, "%lldd%02lldh", days, hours);
    return ret_text;
}

const char *text_bytes(int64_t bytes, char ret_text[TEXT_SHORT_BYTES])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(ret_text, TEXT_SHORT_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return ret_text;
}

const char *text_time(int64_t wall_ms, char ret_text[TEXT_SHORT_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;

    if (wall_ms == 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(ret_text, TEXT_SHORT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(ret_text, TEXT_SHORT_BYTES, "-");
    return ret_text;
}

static bool text_ends_in(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);

    return length >= tail && strcmp(name + length - tail, ending) == 0;
}

static bool text_is_age(const char *name)
{
    static const char *const names[] = {"since", "last", "oldest", "started"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

const char *text_number_of(const char *name, int64_t number, int64_t now_ms,
                           char ret_text[TEXT_SHORT_BYTES])
{
    if (text_is_age(name))
        return number == 0 ? text_time(0, ret_text) : text_age(now_ms - number, ret_text);
    if (strcmp(name, "expires") == 0)
        return text_time(number * 1000, ret_text);
    if (text_ends_in(name, "_at_ms"))
        return text_time(number, ret_text);
    if (text_ends_in(name, "_at_s"))
        return text_time(number * 1000, ret_text);
    if (text_ends_in(name, "_ms"))
        return text_age(number, ret_text);
    if (text_ends_in(name, "_s"))
        return text_age(number * 1000, ret_text);
    if (text_ends_in(name, "bytes"))
        return text_bytes(number, ret_text);
    snprintf(ret_text, TEXT_SHORT_BYTES, "%lld", (long long)number);
    return ret_text;
}

const char *text_title(const char *name, char ret_text[TEXT_TITLE_BYTES])
{
    static const char *const endings[] = {"_at_ms", "_ms", "_at_s", "_s"};
    size_t length = strlen(name);

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (text_ends_in(name, endings[i]) && length > strlen(endings[i])) {
            length -= strlen(endings[i]);
            break;
        }
    }
    if (length >= TEXT_TITLE_BYTES)
        length = TEXT_TITLE_BYTES - 1;
    for (size_t i = 0; i < length; i++)
        ret_text[i] = name[i] == '_' ? ' ' : name[i];
    ret_text[length] = '\0';
    return ret_text;
}

/* Length of the UTF-8 sequence at the start of bytes that may be printed; 0: none (RFC 3629). */
static size_t text_printable(struct span bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint32_t point = length == 1 ? at[0] : at[0] & (0x7fu >> length);
    static const uint32_t smallest[] = {0, 0x20, 0xa0, 0x800, 0x10000}; /* also bars C0 and C1 */

    if (at[0] == 0x7f || (at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || length > bytes.length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ||
        (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069))
        return 0; /* the last two: line separators and bidirectional overrides forge what is read */
    return length;
}

int text_escape(struct buffer *out, struct span bytes, bool segments)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < bytes.length;) {
        size_t length = text_printable(span_of(bytes.data + i, bytes.length - i));
        if (length > 0) {
            result = buffer_append(out, bytes.data + i, length);
            i += length;
            continue;
        }
        char byte = bytes.data[i++];
        if (segments && byte == '\r' && i < bytes.length && bytes.data[i] == '\n')
            i++;
        if (segments && (byte == '\r' || byte == '\n'))
            result = buffer_append_byte(out, '\n');
        else
            result = buffer_append_format(out, "\\x%02x", (unsigned)(unsigned char)byte);
    }
    return result;
}

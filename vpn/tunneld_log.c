#include "vpn/tunneld_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 4096
#define VALUE_BYTES 512 /* of one value, before escaping */

static enum config_log_level least = CONFIG_LOG_INFO;
static bool json;
static int out_fd = STDERR_FILENO;

void tunneld_log_configure(enum config_log_level minimum, enum config_log_format format)
{
    least = minimum;
    json = format == CONFIG_LOG_JSON;
}

void tunneld_log_set_fd(int fd)
{
    out_fd = fd;
}

static bool needs_quotes(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c <= 0x20 || *c >= 0x7f || *c == '"' || *c == '\\' || *c == '=')
            return true;
    }
    return json;
}

static void put_escaped(FILE *line, unsigned char byte)
{
    if (byte == '"' || byte == '\\')
        fprintf(line, "\\%c", byte);
    else if (byte >= 0x20 && byte < 0x7f)
        fputc(byte, line);
    else if (byte == '\n' || byte == '\r' || byte == '\t')
        fprintf(line, "\\%c", byte == '\n' ? 'n' : byte == '\r' ? 'r' : 't');
    else
        fprintf(line, json ? "\\u%04x" : "\\x%02x", byte);
}

static void put_text(FILE *line, const char *text)
{
    const char *quote = needs_quotes(text) ? "\"" : "";

    fputs(quote, line);
    for (size_t i = 0; text[i] != '\0' && i < VALUE_BYTES; i++)
        put_escaped(line, (unsigned char)text[i]);
    fputs(quote, line);
}

static void put_field(FILE *line, const struct tunneld_field *field)
{
    if (field->text != NULL && field->text[0] == '\0')
        return;
    fprintf(line, json ? ",\"%s\":" : " %s=", field->name);
    if (field->text != NULL)
        put_text(line, field->text);
    else
        fprintf(line, "%" PRId64, field->number);
}

static void put_head(FILE *line, enum config_log_level level, const char *event)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    fprintf(line,
            json ? "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",\"level\":\"%s\""
                 : "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s",
            parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
            parts.tm_sec, now.tv_nsec / 1000000, levels[level]);
    put_field(line, &TUNNELD_TEXT("event", event));
}

/* A line that would be too long ends with the field that still fits. */
void tunneld_log(enum config_log_level level, const char *event, const struct tunneld_field *fields,
                 size_t count)
{
    char text[LINE_BYTES];
    FILE *line;
    long whole;

    if (level < least)
        return;
    line = fmemopen(text, sizeof text, "w");
    if (line == NULL)
        return;
    put_head(line, level, event);
    fflush(line);
    whole = ftell(line);
    for (size_t i = 0; i < count; i++) {
        put_field(line, &fields[i]);
        if (fflush(line) != 0 || ftell(line) > LINE_BYTES - 8)
            break;
        whole = ftell(line);
    }
    (void)fclose(line);
    memcpy(text + whole, json ? "}\n" : "\n", json ? 2 : 1);
    /* One write; there is nowhere to tell that it failed. */
    ssize_t written = write(out_fd, text, (size_t)whole + (json ? 2 : 1));
    (void)written;
}

#include "admin/page.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

const char page_style[] =
    "body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:80em;padding:0 1em;"
    "color:#222;background:#fff}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}"
    "table{border-collapse:collapse}"
    "th,td{text-align:left;padding:.2em .8em .2em 0;border-bottom:1px solid #ddd;"
    "vertical-align:top}"
    "th{font-weight:600}"
    ".ready{color:#060}.trouble{color:#950}.not-ready{color:#a00;white-space:pre-line}"
    "footer{margin-top:2em;color:#666}";

static int page_text(struct buffer *out, const char *text)
{
    int result = 0;

    for (; result == 0 && *text != '\0'; text++) {
        switch (*text) {
        case '&':
            result = buffer_append_string(out, "&amp;");
            break;
        case '<':
            result = buffer_append_string(out, "&lt;");
            break;
        case '>':
            result = buffer_append_string(out, "&gt;");
            break;
        case '"':
            result = buffer_append_string(out, "&quot;");
            break;
        case '\'':
            result = buffer_append_string(out, "&#39;");
            break;
        default:
            result = buffer_append_byte(out, *text);
        }
    }
    return result;
}

static int page_name(struct buffer *out, const char *name)
{
    char title[TEXT_TITLE_BYTES];

    return page_text(out, text_title(name, title));
}

static int page_value(struct buffer *out, const char *name, const json_t *value, int depth);

/* A list of plain values, or an object inside a table, on one line. */
static int page_inline(struct buffer *out, const json_t *value, int depth)
{
    const char *between = "", *key;
    int result = 0;
    size_t index;
    json_t *each;

    if (depth > 4)
        return buffer_append_string(out, "&hellip;");
    json_array_foreach(value, index, each)
    {
        if (result == 0)
            result = buffer_append_string(out, between);
        if (result == 0)
            result = page_value(out, "", each, depth + 1);
        between = ", ";
    }
    json_object_foreach((json_t *)value, key, each)
    {
        if (result == 0)
            result = buffer_append_string(out, between);
        if (result == 0)
            result = page_name(out, key);
        if (result == 0)
            result = buffer_append_byte(out, ' ');
        if (result == 0)
            result = page_value(out, key, each, depth + 1);
        between = ", ";
    }
    return result;
}

static int page_value(struct buffer *out, const char *name, const json_t *value, int depth)
{
    char text[TEXT_SHORT_BYTES];

    switch (json_typeof(value)) {
    case JSON_STRING:
        return page_text(out, json_string_value(value));
    case JSON_INTEGER:
        return page_text(out, text_number_of(name, json_integer_value(value),
                                             clock_wall_ms(clock_system()), text));
    case JSON_REAL:
        snprintf(text, sizeof text, "%.3f", json_real_value(value));
        return page_text(out, text);
    case JSON_TRUE:
        return buffer_append_string(out, "yes");
    case JSON_FALSE:
        return buffer_append_string(out, "no");
    case JSON_NULL:
        return buffer_append_string(out, "-");
    default:
        return page_inline(out, value, depth);
    }
}

static int page_cell(struct buffer *out, const char *name, const json_t *value)
{
    int result = buffer_append_string(out, "<td>");

    if (result == 0 && value != NULL)
        result = page_value(out, name, value, 0);
    return result < 0 ? result : buffer_append_string(out, "</td>");
}

static int page_head_row(struct buffer *out, json_t *first)
{
    int result = buffer_append_string(out, "<tr>");
    const char *key;
    json_t *value;

    json_object_foreach(first, key, value)
    {
        if (result == 0)
            result = buffer_append_string(out, "<th>");
        if (result == 0)
            result = page_name(out, key);
        if (result == 0)
            result = buffer_append_string(out, "</th>");
    }
    return result < 0 ? result : buffer_append_string(out, "</tr>\n");
}

static int page_rows(struct buffer *out, const json_t *array)
{
    json_t *first = json_array_get(array, 0), *row, *value;
    int result = page_head_row(out, first);
    size_t index;
    const char *key;

    json_array_foreach(array, index, row)
    {
        if (result == 0)
            result = buffer_append_string(out, "<tr>");
        json_object_foreach(first, key, value)
        {
            if (result == 0)
                result = page_cell(out, key, json_object_get(row, key));
        }
        if (result == 0)
            result = buffer_append_string(out, "</tr>\n");
    }
    return result;
}

static int page_pairs(struct buffer *out, json_t *object)
{
    int result = 0;
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        if (result == 0)
            result = buffer_append_string(out, "<tr><th>");
        if (result == 0)
            result = page_name(out, key);
        if (result == 0)
            result = buffer_append_string(out, "</th>");
        if (result == 0)
            result = page_cell(out, key, value);
        if (result == 0)
            result = buffer_append_string(out, "</tr>\n");
    }
    return result;
}

static int page_section(struct buffer *out, const char *name, json_t *value)
{
    int result = buffer_append_string(out, "<h2>");

    if (result == 0)
        result = page_name(out, name);
    if (result == 0)
        result = buffer_append_string(out, "</h2>\n<table>\n");
    if (result < 0)
        return result;
    if (json_is_array(value) && json_is_object(json_array_get(value, 0)))
        result = page_rows(out, value);
    else if (json_is_object(value))
        result = page_pairs(out, value);
    else
        result = buffer_append_string(out, "<tr><td>none</td></tr>\n");
    return result < 0 ? result : buffer_append_string(out, "</table>\n");
}

static bool page_is_section(const json_t *value)
{
    return json_is_array(value) || json_is_object(value);
}

/* What is a value of its own stands in one table; the first thing to see is how the gateway does, so
 * that isn't said again. */
static int page_single_values(struct buffer *out, const json_t *status)
{
    json_t *single = json_object(), *value;
    const char *key;
    int result = buffer_append_string(out, "<table>\n");

    json_object_foreach((json_t *)status, key, value)
    {
        if (!page_is_section(value) && strcmp(key, "ready") != 0 && strcmp(key, "why") != 0)
            json_object_set(single, key, value);
    }
    if (result == 0)
        result = page_pairs(out, single);
    json_decref(single);
    return result < 0 ? result : buffer_append_string(out, "</table>\n");
}

/* A route whose messages wait does not make the gateway unready, and yet somebody has to look. */
static int page_route_trouble(struct buffer *out, const json_t *route)
{
    bool fault = json_is_true(json_object_get(route, "operator_fault"));
    const char *parts[] = {
        "\n<p class=\"trouble\">route ",
        json_string_value(json_object_get(route, "name")),
        fault ? " waits for an operator: store " : " waits for its store: ",
        json_string_value(json_object_get(route, "store")),
        ": ",
        json_string_value(json_object_get(route, "why")),
        "</p>",
    };
    int result = 0;

    if (!fault && !json_is_true(json_object_get(route, "queueing")))
        return 0;
    for (size_t i = 0; result == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i] != NULL)
            result = i % 2 == 0 ? buffer_append_string(out, parts[i]) : page_text(out, parts[i]);
    }
    return result;
}

static int page_head(struct buffer *out, const char *name, const char *why, const json_t *routes)
{
    const json_t *route;
    size_t index;
    int result = buffer_append_string(
        out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
             "<meta name=\"viewport\" content=\"width=device-width\">"
             "<meta http-equiv=\"refresh\" content=\"10\">"
             "<link rel=\"stylesheet\" href=\"/style.css\"><title>");
    if (result == 0)
        result = page_text(out, name);
    if (result == 0)
        result = buffer_append_string(out, "</title></head><body>\n<h1>");
    if (result == 0)
        result = page_text(out, name);
    if (result == 0)
        result = buffer_append_string(out, why[0] == '\0' ? "</h1>\n<p class=\"ready\">ready"
                                                          : "</h1>\n<p class=\"not-ready\">not "
                                                            "ready: ");
    if (result == 0)
        result = page_text(out, why);
    if (result == 0)
        result = buffer_append_string(out, "</p>");
    json_array_foreach(routes, index, route)
    {
        if (result == 0)
            result = page_route_trouble(out, route);
    }
    return result < 0 ? result : buffer_append_byte(out, '\n');
}

int page_render(struct buffer *out, const char *name, const char *version, const char *why,
                const json_t *status)
{
    int result = page_head(out, name, why, json_object_get(status, "routes"));
    const char *key;
    json_t *value;

    if (result == 0)
        result = page_single_values(out, status);
    json_object_foreach((json_t *)status, key, value)
    {
        if (result == 0 && page_is_section(value))
            result = page_section(out, key, value);
    }
    if (result == 0)
        result = buffer_append_string(out, "<footer>mllp-gateway ");
    if (result == 0)
        result = page_text(out, version);
    return result < 0 ? result : buffer_append_string(out, "</footer></body></html>\n");
}

#include "ctl/table.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>

#define TABLE_CELL_BYTES 8192

static const json_t *table_member(const json_t *row, const char *member)
{
    char name[64];

    for (const char *dot; (dot = strchr(member, '.')) != NULL; member = dot + 1) {
        snprintf(name, sizeof name, "%.*s", (int)(dot - member), member);
        row = json_object_get(row, name);
    }
    return json_object_get(row, member);
}

static const char *table_last_name(const char *member)
{
    const char *dot = strrchr(member, '.');

    return dot == NULL ? member : dot + 1;
}

static int cell_append(struct buffer *out, const char *name, const json_t *value, int depth);

static int cell_append_all(struct buffer *out, const json_t *value, int depth)
{
    const char *between = "", *key;
    json_t *each;
    size_t index;
    int result = depth > 4 ? -1 : 0;

    json_array_foreach(value, index, each)
    {
        if (result == 0)
            result = buffer_append_string(out, between);
        if (result == 0)
            result = cell_append(out, "", each, depth + 1);
        between = ", ";
    }
    json_object_foreach((json_t *)value, key, each)
    {
        if (result == 0)
            result = buffer_append_format(out, "%s%s ", between, key);
        if (result == 0)
            result = cell_append(out, key, each, depth + 1);
        between = ", ";
    }
    return result;
}

static int cell_append(struct buffer *out, const char *name, const json_t *value, int depth)
{
    char text[TEXT_SHORT_BYTES];

    switch (json_typeof(value)) {
    case JSON_STRING:
        return text_escape(out, span_of_string(json_string_value(value)), false);
    case JSON_INTEGER:
        return buffer_append_string(out, text_number_of(name, json_integer_value(value),
                                                        clock_wall_ms(clock_system()), text));
    case JSON_REAL:
        return buffer_append_format(out, "%.3f", json_real_value(value));
    case JSON_TRUE:
        return buffer_append_string(out, "yes");
    case JSON_FALSE:
        return buffer_append_string(out, "no");
    case JSON_NULL:
        return buffer_append_string(out, "-");
    default:
        return cell_append_all(out, value, depth);
    }
}

/* free() it; NULL when memory is out. "-" where there is nothing. */
static char *table_cell(const char *name, const json_t *value)
{
    struct buffer out;
    size_t length = 0;

    buffer_init(&out, TABLE_CELL_BYTES);
    int result = value == NULL ? 0 : cell_append(&out, name, value, 0);
    if (result == 0 && out.length == 0)
        result = buffer_append_byte(&out, '-');
    if (result == 0)
        result = buffer_append_byte(&out, '\0');
    if (result < 0) {
        buffer_free(&out);
        return NULL;
    }
    return buffer_take(&out, &length);
}

/* Characters, not bytes: what continues a UTF-8 sequence takes no place. */
static size_t table_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void table_put(FILE *out, const char *text, size_t width, int last)
{
    size_t wide = table_width(text);

    fputs(text, out);
    for (; !last && wide < width + 2; wide++)
        putc(' ', out);
}

static void table_print_cells(FILE *out, char **cells, size_t rows, size_t columns,
                              const size_t *widths)
{
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < columns; i++) {
            const char *cell = cells[row * columns + i];
            table_put(out, cell == NULL ? "?" : cell, widths[i], i + 1 == columns);
        }
        putc('\n', out);
    }
}

void table_print(FILE *out, const json_t *rows, const struct table_column *columns, size_t count)
{
    size_t total = json_array_size(rows), widths[TABLE_COLUMNS] = {0}, index;
    char **cells = calloc(total * count + 1, sizeof *cells);
    const json_t *row;

    if (cells == NULL || count > TABLE_COLUMNS) {
        free(cells);
        return;
    }
    for (size_t i = 0; i < count; i++)
        widths[i] = table_width(columns[i].title);
    json_array_foreach(rows, index, row)
    {
        for (size_t i = 0; i < count; i++) {
            const char *member = columns[i].member;
            char *cell = table_cell(table_last_name(member), table_member(row, member));
            size_t width = cell == NULL ? 1 : table_width(cell);
            cells[index * count + i] = cell;
            if (width > widths[i])
                widths[i] = width;
        }
    }
    for (size_t i = 0; i < count; i++)
        table_put(out, columns[i].title, widths[i], i + 1 == count);
    putc('\n', out);
    table_print_cells(out, cells, total, count, widths);
    for (size_t i = 0; i < total * count; i++)
        free(cells[i]);
    free(cells);
}

void table_print_all(FILE *out, const json_t *rows)
{
    char titles[TABLE_COLUMNS][TEXT_TITLE_BYTES];
    struct table_column columns[TABLE_COLUMNS];
    size_t count = 0;
    const char *key;
    json_t *value;

    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        if (count < TABLE_COLUMNS) {
            columns[count] = (struct table_column){key, text_title(key, titles[count])};
            count++;
        }
    }
    table_print(out, rows, columns, count);
}

void table_print_pairs(FILE *out, const json_t *object)
{
    char title[TEXT_TITLE_BYTES];
    size_t width = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        if (table_width(text_title(key, title)) > width)
            width = table_width(title);
    }
    json_object_foreach((json_t *)object, key, value)
    {
        char *cell = table_cell(key, value);
        table_put(out, text_title(key, title), width, 0);
        fprintf(out, "%s\n", cell == NULL ? "?" : cell);
        free(cell);
    }
}

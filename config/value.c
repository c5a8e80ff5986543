/* One setting: from what libconfig read to a field of our structs, with a problem where it cannot. */
#include "config/read.h"

#include <stdlib.h>
#include <string.h>

struct place read_place(const struct reader *reader, const config_setting_t *setting)
{
    return source_place(reader->source, config_setting_source_line(setting));
}

void read_wrong(const struct spot *spot, const char *format, ...)
{
    char text[512], label[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const struct target *target = spot->target;
    if (!target->label) {
        complain(&target->subject, PROBLEM_ERROR, spot->row->name, spot->element, "%s", text);
        return;
    }
    (void)snprintf(label, sizeof label, "%s.%s", target->label, spot->row->name);
    problems_add(target->reader->problems, PROBLEM_ERROR, read_place(target->reader, spot->from),
                 label, "%s", text);
}

static void store(const struct spot *spot, const void *value, size_t bytes)
{
    memcpy(spot->target->object + spot->row->offset, value, bytes);
}

/* Values */

static bool clean_text(const struct spot *spot, const char *text)
{
    if (text[0] == '\0') {
        read_wrong(spot, "is empty: write a value, or leave the line out");
        return false;
    }
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            read_wrong(spot, "has a control character in it");
            return false;
        }
    }
    return true;
}

/* NULL, with a problem, when it isn't a text. */
static const char *get_text(const struct spot *spot, const config_setting_t *from)
{
    if (config_setting_type(from) != CONFIG_TYPE_STRING) {
        read_wrong(spot, "wants a text in quotes");
        return NULL;
    }
    const char *text = config_setting_get_string(from);
    return clean_text(spot, text) ? text : NULL;
}

static bool is_name(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(text);
    return length >= 1 && length <= 64 && strspn(text, all) == length && strchr(letters, text[0]);
}

static void read_text(const struct spot *spot)
{
    const char *text = get_text(spot, spot->from);
    if (!text) {
        return;
    }
    struct config *config = spot->target->reader->config;
    if (spot->row->type == SETTING_NAME && !is_name(text)) {
        read_wrong(spot,
                   "\"%s\" cannot be a name: 1 to 64 letters, digits, '.', '_' and '-', the first "
                   "a letter or digit (it becomes a metric's label and part of file names)",
                   text);
        return;
    }
    bool relative = spot->row->type == SETTING_PATH && text[0] != '/';
    char *copy = memory_format(config->memory, "%s%s%s", relative ? config->directory : "",
                               relative ? "/" : "", text);
    store(spot, &copy, sizeof copy);
}

static bool get_number(const struct spot *spot, int64_t *ret_value)
{
    int type = config_setting_type(spot->from);
    if (type == CONFIG_TYPE_INT) {
        *ret_value = config_setting_get_int(spot->from);
    } else if (type == CONFIG_TYPE_INT64) {
        *ret_value = config_setting_get_int64(spot->from);
    } else {
        read_wrong(spot, "wants a whole number, without quotes");
        return false;
    }
    return true;
}

static void read_number(const struct spot *spot)
{
    int64_t value;
    const struct setting *row = spot->row;
    if (!get_number(spot, &value)) {
        return;
    }
    if (value < row->minimum || value > row->maximum) {
        read_wrong(spot, "%lld is out of range: %lld to %lld", (long long)value,
                   (long long)row->minimum, (long long)row->maximum);
        return;
    }
    if (row->type == SETTING_INT64) {
        store(spot, &value, sizeof value);
    } else {
        int narrow = (int)value;
        store(spot, &narrow, sizeof narrow);
    }
}

static void read_bool(const struct spot *spot)
{
    if (config_setting_type(spot->from) != CONFIG_TYPE_BOOL) {
        read_wrong(spot, "wants true or false, without quotes");
        return;
    }
    bool value = config_setting_get_bool(spot->from);
    store(spot, &value, sizeof value);
}

static int find_word(const char *const *words, const char *word)
{
    for (int i = 0; words && words[i]; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

static void unknown_word(const struct spot *spot, const char *word)
{
    char known[256] = "", guess[SUGGESTION_BYTES];
    size_t count = 0, length = 0;
    for (; spot->row->words[count]; count++) {
        int added = snprintf(known + length, sizeof known - length, "%s\"%s\"",
                             count > 0 ? ", " : "", spot->row->words[count]);
        length += added > 0 && (size_t)added < sizeof known - length ? (size_t)added : 0;
    }
    read_wrong(spot, "\"%s\" is none of %s%s", word, known,
               suggest(word, spot->row->words, count, guess));
}

static void read_word(const struct spot *spot)
{
    const char *word = get_text(spot, spot->from);
    if (!word) {
        return;
    }
    int value = find_word(spot->row->words, word);
    if (value >= 0) {
        store(spot, &value, sizeof value);
    } else if (find_word(spot->row->later, word) >= 0) {
        read_wrong(spot, "\"%s\" is not supported by this version yet", word);
    } else {
        unknown_word(spot, word);
    }
}

static void read_texts(const struct spot *spot)
{
    struct reader *reader = spot->target->reader;
    struct memory *memory = reader->config->memory;
    int type = config_setting_type(spot->from);
    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
        read_wrong(spot, "wants a list of texts: [ \"one\", \"two\" ]");
        return;
    }
    int count = config_setting_length(spot->from);
    struct config_strings strings = {.present = true};
    strings.items = memory_take(memory, ((size_t)count + 1) * sizeof *strings.items);
    for (int i = 0; strings.items && i < count; i++) {
        const config_setting_t *from = config_setting_get_elem(spot->from, (unsigned)i);
        struct spot element = *spot;
        element.element = i;
        memory_note(memory, spot->target->object, spot->row->name, i, read_place(reader, from));
        const char *text = get_text(&element, from);
        if (text) {
            strings.items[strings.count++] = memory_text(memory, text);
        }
    }
    store(spot, &strings, sizeof strings);
}

void read_value(const struct spot *spot)
{
    switch (spot->row->type) {
    case SETTING_NAME:
    case SETTING_TEXT:
    case SETTING_PATH:
        read_text(spot);
        break;
    case SETTING_INT:
    case SETTING_INT64:
        read_number(spot);
        break;
    case SETTING_BOOL:
        read_bool(spot);
        break;
    case SETTING_WORD:
        read_word(spot);
        break;
    case SETTING_TEXTS:
        read_texts(spot);
        break;
    case SETTING_VERDICTS:
        break; /* read.c's */
    }
}

/* Defaults */

void read_default(char *object, const struct setting *row, struct memory *memory)
{
    if (!row->fallback) {
        /* A required word that turns out unreadable must not look like the first one. */
        if (row->type == SETTING_WORD && row->required) {
            memset(object + row->offset, 0xff, sizeof(int));
        }
        return;
    }
    int64_t number = strtoll(row->fallback, NULL, 10);
    int narrow = row->type == SETTING_WORD ? find_word(row->words, row->fallback) : (int)number;
    bool truth = strcmp(row->fallback, "true") == 0;
    char *text;
    switch (row->type) {
    case SETTING_INT:
    case SETTING_WORD:
        memcpy(object + row->offset, &narrow, sizeof narrow);
        break;
    case SETTING_INT64:
        memcpy(object + row->offset, &number, sizeof number);
        break;
    case SETTING_BOOL:
        memcpy(object + row->offset, &truth, sizeof truth);
        break;
    default:
        text = memory_text(memory, row->fallback);
        memcpy(object + row->offset, &text, sizeof text);
    }
}

/*
 * A configuration's text with its @includes put in.
 *
 * libconfig could do it, but: 1.5 ends the whole process when an included name is a directory,
 * prefixes absolute names, takes the rest of the file as read after a missing quote, cuts numbers
 * over 31 bits in silence, and leaks on some errors. So libconfig gets one text without @include and
 * with its syntax checked (grammar.h), this file knows which line came from where, and large numbers
 * get the L that libconfig needs.
 */
#include "config/grammar.h"
#include "config/internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SOURCE_BYTES (4UL * 1024 * 1024) /* thousands of peers fit */
#define INCLUDE_DEPTH 8

/* From line `first` of the joined text on: `line` of `file`, and so forth. */
struct part {
    unsigned first;
    struct place place;
};

struct source {
    struct memory *memory;
    struct problems *problems;
    char *text;
    size_t length, capacity;
    unsigned line; /* of the joined text, where the next byte goes */
    struct part *parts;
    size_t part_count, part_capacity;
    struct grammar grammar;
    bool failed;
};

/* One file being read. */
struct cursor {
    const char *at, *end;
    struct place place;
    unsigned depth;
    bool line_start;
};

static void fail(struct source *source, struct place place, const char *text)
{
    source->failed = true;
    problems_add(source->problems, PROBLEM_ERROR, place, NULL, "%s", text);
}

static void put(struct source *source, const char *bytes, size_t count)
{
    if (source->failed) {
        return;
    }
    size_t wanted = source->length + count + 1;
    if (wanted > source->capacity) {
        size_t capacity = wanted * 2;
        char *text = realloc(source->text, capacity);
        if (!text) {
            fail(source, (struct place){0}, "out of memory");
            return;
        }
        source->text = text;
        source->capacity = capacity;
    }
    memcpy(source->text + source->length, bytes, count);
    source->length += count;
    source->text[source->length] = '\0';
    for (size_t i = 0; i < count; i++) {
        source->line += bytes[i] == '\n';
    }
}

static void start_part(struct source *source, struct place place)
{
    if (source->part_count == source->part_capacity) {
        size_t capacity = source->part_capacity ? source->part_capacity * 2 : 16;
        struct part *parts = realloc(source->parts, capacity * sizeof *parts);
        if (!parts) {
            fail(source, place, "out of memory");
            return;
        }
        source->parts = parts;
        source->part_capacity = capacity;
    }
    source->parts[source->part_count++] = (struct part){source->line, place};
}

struct place source_place(const struct source *source, unsigned line)
{
    struct place place = {0};
    for (size_t i = 0; i < source->part_count && source->parts[i].first <= line; i++) {
        place = source->parts[i].place;
        place.line += line - source->parts[i].first;
    }
    return place;
}

/* Hands the next `count` bytes on as they are. */
static void pass(struct source *source, struct cursor *cursor, size_t count)
{
    put(source, cursor->at, count);
    for (size_t i = 0; i < count; i++) {
        cursor->place.line += cursor->at[i] == '\n';
    }
    cursor->at += count;
}

/* The same, and they are a token. */
static void pass_token(struct source *source, struct cursor *cursor, enum grammar_token token,
                       size_t count)
{
    char error[GRAMMAR_ERROR_BYTES];
    if (grammar_take(&source->grammar, token, cursor->at, count, cursor->place, error)) {
        fail(source, cursor->place, error);
        return;
    }
    pass(source, cursor, count);
}

static bool starts(const struct cursor *cursor, const char *with)
{
    size_t length = strlen(with);
    return (size_t)(cursor->end - cursor->at) >= length && memcmp(cursor->at, with, length) == 0;
}

static void pass_comment(struct source *source, struct cursor *cursor)
{
    bool block = starts(cursor, "/*");
    struct place from = cursor->place;
    size_t skipped = block ? 2 : 1;
    const char *stop =
        block ? memmem(cursor->at + skipped, (size_t)(cursor->end - cursor->at) - skipped, "*/", 2)
              : memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
    if (block && !stop) {
        fail(source, from, "the comment that starts here has no end: */ is missing");
        return;
    }
    const char *end = stop ? stop + (block ? 2 : 0) : cursor->end;
    pass(source, cursor, (size_t)(end - cursor->at));
}

/* Length of the string at the cursor with both quotes; 0 when it has no end. */
static size_t string_length(const struct cursor *cursor)
{
    for (const char *c = cursor->at + 1; c < cursor->end; c++) {
        if (*c == '"') {
            return (size_t)(c - cursor->at) + 1;
        }
        if (*c == '\\') {
            c++;
        }
    }
    return 0;
}

static void pass_string(struct source *source, struct cursor *cursor)
{
    size_t length = string_length(cursor);
    if (length == 0) {
        fail(source, cursor->place, "the text that starts here has no end: a \" is missing");
        return;
    }
    pass_token(source, cursor, GRAMMAR_STRING, length);
}

static bool number_char(char c)
{
    return isalnum((unsigned char)c) || c == '+' || c == '-' || c == '.';
}

/* Is it a whole number without L that an int can't hold? Then *ret_wide. -EINVAL: no number;
 * -ERANGE: 64 bits can't hold it either. */
static int measure_number(const char *token, bool *ret_wide)
{
    char *end;
    errno = 0;
    bool hex = token[0] == '0' && (token[1] == 'x' || token[1] == 'X');
    long long value = strtoll(token, &end, hex ? 16 : 10);
    bool marked = end != token && (strcmp(end, "L") == 0 || strcmp(end, "LL") == 0);
    if (end == token || (*end != '\0' && !marked)) {
        /* No setting is a float, but saying so is value.c's business. */
        return token[strcspn(token, ".eE")] && strspn(token, "0123456789.eE+-") == strlen(token)
                   ? 0
                   : -EINVAL;
    }
    *ret_wide = !marked && (value > INT32_MAX || value < INT32_MIN);
    return errno == ERANGE ? -ERANGE : 0;
}

static void pass_number(struct source *source, struct cursor *cursor)
{
    char token[64];
    size_t length = 0;
    while (cursor->at + length < cursor->end && number_char(cursor->at[length])) {
        length++;
    }
    bool wide = false;
    int result = -ERANGE;
    if (length < sizeof token) {
        memcpy(token, cursor->at, length);
        token[length] = '\0';
        result = measure_number(token, &wide);
    }
    if (result < 0) {
        fail(source, cursor->place,
             result == -ERANGE ? "a number here is larger than 64 bits can hold"
                               : "syntax error: this begins like a number and is none (texts want "
                                 "quotes)");
        return;
    }
    pass_token(source, cursor, GRAMMAR_NUMBER, length);
    if (wide) {
        put(source, "L", 1);
    }
}

static void pass_word(struct source *source, struct cursor *cursor)
{
    size_t length = 1;
    while (cursor->at + length < cursor->end &&
           (isalnum((unsigned char)cursor->at[length]) || strchr("-_*", cursor->at[length]))) {
        length++;
    }
    bool truth = (length == 4 && strncasecmp(cursor->at, "true", 4) == 0) ||
                 (length == 5 && strncasecmp(cursor->at, "false", 5) == 0);
    pass_token(source, cursor, truth ? GRAMMAR_BOOL : GRAMMAR_NAME, length);
}

static void read_file(struct source *source, const char *file, struct place from, unsigned depth);

/* Relative names start where the including file is. */
static const char *included_name(struct source *source, const char *includer, const char *name,
                                 size_t length)
{
    const char *slash = strrchr(includer, '/');
    int directory = name[0] == '/' || !slash ? 0 : (int)(slash - includer + 1);
    return memory_format(source->memory, "%.*s%.*s", directory, includer, (int)length, name);
}

/* At "@include": the quoted name behind it, then that file's text. */
static void pass_include(struct source *source, struct cursor *cursor)
{
    cursor->at += strlen("@include");
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t')) {
        cursor->at++;
    }
    size_t length = cursor->at < cursor->end && *cursor->at == '"' ? string_length(cursor) : 0;
    if (length < 3 || memchr(cursor->at, '\n', length)) {
        fail(source, cursor->place,
             "@include wants a file's name in quotes: @include \"peers.cfg\"");
        return;
    }
    const char *file = included_name(source, cursor->place.file, cursor->at + 1, length - 2);
    cursor->at += length;
    if (!file) {
        fail(source, cursor->place, "out of memory");
        return;
    }
    read_file(source, file, cursor->place, cursor->depth + 1);
    put(source, "\n", 1);
    start_part(source, cursor->place);
}

static void pass_one(struct source *source, struct cursor *cursor)
{
    char c = *cursor->at;
    if (cursor->line_start && starts(cursor, "@include")) {
        pass_include(source, cursor);
    } else if (c == '#' || starts(cursor, "//") || starts(cursor, "/*")) {
        pass_comment(source, cursor);
    } else if (c == '"') {
        pass_string(source, cursor);
    } else if (isdigit((unsigned char)c) || c == '-' || c == '+') {
        pass_number(source, cursor);
    } else if (isalpha((unsigned char)c) || c == '*') {
        pass_word(source, cursor);
    } else if (strchr(" \t\r\n\f", c)) {
        pass(source, cursor, 1);
    } else {
        pass_token(source, cursor, GRAMMAR_SIGN, 1);
    }
    cursor->line_start = c == '\n' || (cursor->line_start && (c == ' ' || c == '\t'));
}

static void read_text(struct source *source, const char *file, const char *text, size_t length,
                      unsigned depth)
{
    struct cursor cursor = {text, text + length, {file, 1}, depth, true};
    start_part(source, cursor.place);
    if (memchr(text, '\0', length)) {
        fail(source, (struct place){file, 0}, "is not a text file: there is a NUL byte in it");
    }
    if (starts(&cursor, "\xef\xbb\xbf")) {
        cursor.at += 3; /* some editors' byte order mark */
    }
    while (cursor.at < cursor.end && !source->failed) {
        pass_one(source, &cursor);
        if (source->length > SOURCE_BYTES) {
            fail(source, cursor.place, "the configuration is larger than 4 MiB here");
        }
    }
}

static const char *slurp_error(int error)
{
    switch (-error) {
    case EISDIR:
        return "is a directory";
    case EINVAL:
        return "is not a regular file";
    case EFBIG:
        return "is larger than 4 MiB";
    default:
        return strerror(-error);
    }
}

static void read_file(struct source *source, const char *file, struct place from, unsigned depth)
{
    if (depth > INCLUDE_DEPTH) {
        fail(source, from, "@include goes more than 8 files deep: does a file include itself?");
        return;
    }
    char *text;
    size_t length;
    int result = slurp(file, SOURCE_BYTES, &text, &length);
    if (result < 0) {
        source->failed = true;
        struct place place = from.file ? from : (struct place){file, 0};
        problems_add(source->problems, PROBLEM_ERROR, place, NULL, "cannot read %s: %s",
                     from.file ? file : "the configuration", slurp_error(result));
        return;
    }
    read_text(source, file, text, length, depth);
    free(text);
}

static struct source *source_new(struct memory *memory, struct problems *problems)
{
    struct source *source = calloc(1, sizeof *source);
    if (source) {
        *source = (struct source){.memory = memory, .problems = problems, .line = 1};
        put(source, "", 0);
    } else {
        problems_add(problems, PROBLEM_ERROR, (struct place){0}, NULL, "out of memory");
    }
    return source;
}

static struct source *finished(struct source *source)
{
    char error[GRAMMAR_ERROR_BYTES];
    if (source && !source->failed) {
        struct place place = source_place(source, source->line);
        if (grammar_end(&source->grammar, &place, error)) {
            fail(source, place, error);
        }
    }
    if (source && source->failed) {
        source_free(&source);
    }
    return source;
}

struct source *source_load(struct memory *memory, const char *file, struct problems *problems)
{
    struct source *source = source_new(memory, problems);
    if (source) {
        read_file(source, file, (struct place){0}, 0);
    }
    return finished(source);
}

struct source *source_from_text(struct memory *memory, const char *name, const char *text,
                                size_t length, struct problems *problems)
{
    struct source *source = source_new(memory, problems);
    if (source) {
        read_text(source, name, text, length, 0);
    }
    return finished(source);
}

void source_free(struct source **source)
{
    if (*source) {
        free((*source)->text);
        free((*source)->parts);
        free(*source);
        *source = NULL;
    }
}

const char *source_text(const struct source *source)
{
    return source->text;
}

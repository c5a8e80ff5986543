#include "config/problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Enough to work on; a file with more has one mistake many times. */
#define PROBLEMS_MAXIMUM 100
#define TEXT_BYTES 1024

void problems_init(struct problems *problems)
{
    *problems = (struct problems){0};
}

static void problem_free(struct problem *problem)
{
    free(problem->file);
    free(problem->setting);
    free(problem->text);
}

void problems_free(struct problems *problems)
{
    if (!problems) {
        return;
    }
    for (size_t i = 0; i < problems->count; i++) {
        problem_free(&problems->items[i]);
    }
    free(problems->items);
    problems_init(problems);
}

static bool grow(struct problems *problems)
{
    if (problems->count < problems->capacity) {
        return true;
    }
    size_t capacity = problems->capacity ? problems->capacity * 2 : 16;
    struct problem *items = realloc(problems->items, capacity * sizeof *items);
    if (!items) {
        return false;
    }
    problems->items = items;
    problems->capacity = capacity;
    return true;
}

/* A configuration's words go to terminals and logs: no control characters. */
static char *copy_clean(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    for (char *c = copy; c && *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    return copy;
}

static bool append(struct problems *problems, struct problem problem)
{
    if (!problem.text || problems->count == PROBLEMS_MAXIMUM || !grow(problems)) {
        return false;
    }
    problems->items[problems->count++] = problem;
    return true;
}

void problems_add(struct problems *problems, enum problem_severity severity, struct place place,
                  const char *setting, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    if (severity == PROBLEM_ERROR) {
        problems->errors++;
    }
    struct problem problem = {.severity = severity,
                              .file = copy_clean(place.file),
                              .line = place.line,
                              .setting = copy_clean(setting),
                              .text = copy_clean(text)};
    if (!append(problems, problem)) {
        problem_free(&problem);
        problems->dropped++;
    }
}

static int compare(const struct problem *a, const struct problem *b)
{
    int files = strcmp(a->file ? a->file : "", b->file ? b->file : "");
    if (files != 0) {
        return files;
    }
    return (a->line > b->line) - (a->line < b->line);
}

/* Insertion: at most 100, and problems of one line keep their order. */
void problems_sort(struct problems *problems)
{
    for (size_t i = 1; i < problems->count; i++) {
        struct problem moved = problems->items[i];
        size_t at = i;
        while (at > 0 && compare(&problems->items[at - 1], &moved) > 0) {
            problems->items[at] = problems->items[at - 1];
            at--;
        }
        problems->items[at] = moved;
    }
}

static void print_one(const struct problem *problem, FILE *out)
{
    if (problem->file && problem->line > 0) {
        fprintf(out, "%s:%u: ", problem->file, problem->line);
    } else if (problem->file) {
        fprintf(out, "%s: ", problem->file);
    }
    fprintf(out, "%s: ", problem->severity == PROBLEM_ERROR ? "error" : "warning");
    if (problem->setting) {
        fprintf(out, "%s: ", problem->setting);
    }
    fprintf(out, "%s\n", problem->text);
}

void problems_print(const struct problems *problems, FILE *out)
{
    for (size_t i = 0; i < problems->count; i++) {
        print_one(&problems->items[i], out);
    }
    if (problems->dropped > 0) {
        fprintf(out, "... and %zu more\n", problems->dropped);
    }
}

/*
 * One arena per configuration: everything in it lives and dies together, so no path can leak a part.
 * Beside it, where every setting stood, for problems that are only seen later.
 */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>

struct chunk {
    struct chunk *next;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct note {
    const void *object;
    const char *key; /* the table's, or in the arena */
    int element;
    struct place place;
};

struct memory {
    struct chunk *chunks;
    bool failed;
    struct note *notes;
    size_t count, capacity;
};

struct memory *memory_new(void)
{
    return calloc(1, sizeof(struct memory));
}

void memory_free(struct memory **memory)
{
    if (!*memory) {
        return;
    }
    struct chunk *next;
    for (struct chunk *chunk = (*memory)->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free((*memory)->notes);
    free(*memory);
    *memory = NULL;
}

bool memory_failed(const struct memory *memory)
{
    return memory->failed;
}

void *memory_take(struct memory *memory, size_t bytes)
{
    struct chunk *chunk = NULL;
    if (bytes < SIZE_MAX - sizeof *chunk) {
        chunk = calloc(1, sizeof *chunk + bytes);
    }
    if (!chunk) {
        memory->failed = true;
        return NULL;
    }
    chunk->next = memory->chunks;
    memory->chunks = chunk;
    return chunk->bytes;
}

char *memory_text(struct memory *memory, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = memory_take(memory, bytes);
    if (copy) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

char *memory_format(struct memory *memory, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : memory_take(memory, (size_t)length + 1);
    if (text) {
        va_start(arguments, format);
        (void)vsnprintf(text, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    return text;
}

void memory_note(struct memory *memory, const void *object, const char *key, int element,
                 struct place place)
{
    if (!key) {
        return; /* its copy failed: memory->failed says so */
    }
    if (memory->count == memory->capacity) {
        size_t capacity = memory->capacity ? memory->capacity * 2 : 64;
        struct note *notes = realloc(memory->notes, capacity * sizeof *notes);
        if (!notes) {
            memory->failed = true;
            return;
        }
        memory->notes = notes;
        memory->capacity = capacity;
    }
    memory->notes[memory->count++] = (struct note){object, key, element, place};
}

/* Linear: asked for problems only. */
const struct place *memory_place(const struct memory *memory, const void *object, const char *key,
                                 int element)
{
    for (size_t i = 0; i < memory->count; i++) {
        const struct note *note = &memory->notes[i];
        if (note->object == object && note->element == element && strcmp(note->key, key) == 0) {
            return &note->place;
        }
    }
    return NULL;
}

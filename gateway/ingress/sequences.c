#include "ingress/sequences.h"

#include "hl7/sequence.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sequence {
    struct sequence *next;
    long last;
    char key[];
};

struct sequences {
    pthread_mutex_t lock;
    struct sequence *first;
};

struct sequences *sequences_new(void)
{
    struct sequences *sequences = calloc(1, sizeof(*sequences));

    if (sequences != NULL && pthread_mutex_init(&sequences->lock, NULL) != 0) {
        free(sequences);
        sequences = NULL;
    }
    return sequences;
}

void sequences_free(struct sequences **pointer)
{
    struct sequences *sequences = *pointer;

    *pointer = NULL;
    if (sequences == NULL) {
        return;
    }
    while (sequences->first != NULL) {
        struct sequence *next = sequences->first->next;
        free(sequences->first);
        sequences->first = next;
    }
    pthread_mutex_destroy(&sequences->lock);
    free(sequences);
}

char *sequences_key(const char *listener, const char *peer)
{
    size_t size = strlen(listener) + strlen(peer) + 2;
    char *key = malloc(size);

    if (key != NULL) {
        snprintf(key, size, "%s/%s", listener, peer);
    }
    return key;
}

static struct sequence *find(struct sequences *sequences, const char *listener, const char *peer)
{
    size_t first = strlen(listener);
    struct sequence *each = sequences->first;

    while (each != NULL && !(strncmp(each->key, listener, first) == 0 && each->key[first] == '/' &&
                             strcmp(each->key + first + 1, peer) == 0)) {
        each = each->next;
    }
    return each;
}

long sequences_get(struct sequences *sequences, const char *listener, const char *peer)
{
    struct sequence *sequence;
    long last;

    pthread_mutex_lock(&sequences->lock);
    sequence = find(sequences, listener, peer);
    last = sequence == NULL ? SEQUENCE_NONE : sequence->last;
    pthread_mutex_unlock(&sequences->lock);
    return last;
}

static struct sequence *add(struct sequences *sequences, const char *listener, const char *peer)
{
    size_t length = strlen(listener) + strlen(peer) + 2;
    struct sequence *sequence = malloc(sizeof(*sequence) + length);
    char *key = sequences_key(listener, peer);

    if (sequence == NULL || key == NULL) {
        free(sequence);
        free(key);
        return NULL;
    }
    memcpy(sequence->key, key, length);
    free(key);
    sequence->next = sequences->first;
    sequences->first = sequence;
    return sequence;
}

int sequences_set(struct sequences *sequences, const char *listener, const char *peer, long last)
{
    struct sequence *sequence;

    pthread_mutex_lock(&sequences->lock);
    sequence = find(sequences, listener, peer);
    if (sequence == NULL) {
        sequence = add(sequences, listener, peer);
    }
    if (sequence != NULL) {
        sequence->last = last;
    }
    pthread_mutex_unlock(&sequences->lock);
    return sequence == NULL ? -ENOMEM : 0;
}

/*
 * list: a doubly linked list whose nodes live inside the listed structs, so that adding and removing never
 * allocates and never fails.
 *
 * Ownership: the list owns nothing; a struct stays its owner's and must leave the list before it is freed.
 * Threads: none of its own; whoever may touch the listed structs may touch the list.
 *
 *     struct session { int fd; struct list_node in_sessions; };
 *
 *     struct list_node sessions;
 *     list_init(&sessions);
 *     list_append(&sessions, &session->in_sessions);
 *     LIST_FOREACH_SAFE(node, next, &sessions) {
 *         struct session *each = LIST_ENTRY(node, struct session, in_sessions);
 *     }
 *
 * The list's head is a node as well; a node is either initialised and alone, or on exactly one list.
 */
#ifndef MLLPGW_BASE_LIST_H
#define MLLPGW_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

/* Makes a head empty, or a node alone. */
static inline void list_init(struct list_node *list)
{
    list->next = list;
    list->prev = list;
}

/* True for an empty head, and for a node that is on no list. */
static inline bool list_empty(const struct list_node *list)
{
    return list->next == list;
}

/* Puts a node that is on no list between two neighbours. */
static inline void list_insert_between(struct list_node *prev, struct list_node *next,
                                       struct list_node *node)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static inline void list_append(struct list_node *list, struct list_node *node)
{
    list_insert_between(list->prev, list, node);
}

static inline void list_prepend(struct list_node *list, struct list_node *node)
{
    list_insert_between(list, list->next, node);
}

/* NOLINTBEGIN(clang-analyzer-unix.Malloc): the analyzer takes a struct that was freed after it had left
 * its list for one that is still on it. */

/* Takes the node off its list and leaves it alone, so that removing it again does no harm. */
static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Removes and returns the first node; NULL when the list is empty. */
static inline struct list_node *list_pop_front(struct list_node *list)
{
    struct list_node *node = list->next;

    if (node == list)
        return NULL;
    list_remove(node);
    return node;
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */

/* The struct of the given type that holds node as its member. */
#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Walks from first to last; the body may remove node, but no other one. */
/* NOLINTBEGIN(bugprone-macro-parentheses): the names of the variables that it declares. */
#define LIST_FOREACH_SAFE(node, following, list)                                                   \
    for (struct list_node *node = (list)->next, *following = node->next; node != (list);           \
         node = following, following = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif

/*
 * segment: walks segments and splits fields, where they lie.
 *
 * CR, LF or both end a segment (the standard says CR; many senders write LF); empty segments are
 * stepped over. All spans lie inside what was handed in. Private to hl7/. Pure. Threads: any.
 */
#ifndef MLLPGW_HL7_SEGMENT_H
#define MLLPGW_HL7_SEGMENT_H

#include "base/span.h"
#include "hl7/scan.h"

struct segment_walk {
    const char *at, *end;
};

static inline struct segment_walk segment_walk_of(struct span content)
{
    if (content.length == 0)
        return (struct segment_walk){NULL, NULL};
    return (struct segment_walk){content.data, content.data + content.length};
}

/* The next segment that isn't empty, without its end. False behind the last. */
static inline bool segment_next(struct segment_walk *walk, struct span *ret_segment)
{
    while (walk->at < walk->end && (*walk->at == '\r' || *walk->at == '\n'))
        walk->at++;
    if (walk->at == walk->end)
        return false;

    const char *stop = scan_two(walk->at, walk->end, '\r', '\n');
    *ret_segment = span_of(walk->at, (size_t)(stop - walk->at));
    walk->at = stop;
    return true;
}

/* The segment is "XYZ" and its field separator, or just "XYZ". */
static inline bool segment_is(struct span segment, const char name[3], char separator)
{
    return segment.length >= 3 && memcmp(segment.data, name, 3) == 0 &&
           (segment.length == 3 || segment.data[3] == separator);
}

/* Splits off what lies before the next separator: *rest becomes what lies behind it, and
 * *ret_more tells whether there was one. */
static inline struct span segment_split(struct span *rest, char separator, bool *ret_more)
{
    struct span whole = *rest;
    const char *found = whole.length == 0 ? NULL : memchr(whole.data, separator, whole.length);

    *ret_more = found != NULL;
    if (found == NULL) {
        *rest = span_of(NULL, 0);
        return whole;
    }
    size_t length = (size_t)(found - whole.data);
    *rest = span_of(found + 1, whole.length - length - 1);
    return span_of(whole.data, length);
}

/* Piece number index (from 0) of what the separator splits; empty when there are fewer. */
static inline struct span segment_piece(struct span whole, char separator, size_t index)
{
    bool more = true;
    struct span piece = {NULL, 0};

    for (size_t i = 0; i <= index && more; i++) {
        piece = segment_split(&whole, separator, &more);
        if (i < index && !more)
            return span_of(NULL, 0);
    }
    return piece;
}

#endif

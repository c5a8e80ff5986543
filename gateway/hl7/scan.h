/*
 * scan: finds the first of two bytes, in one pass.
 *
 * Two memchr() calls would each look over the whole rest when their byte is rare, once for every
 * hit of the other: quadratic for a flood of one of them. This looks at each byte once.
 * Private to hl7/. Pure. Threads: any.
 */
#ifndef MLLPGW_HL7_SCAN_H
#define MLLPGW_HL7_SCAN_H

#include <stddef.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Where a or b is first found in [at, end), or end. */
static inline const char *scan_two(const char *at, const char *end, char a, char b)
{
#ifdef __SSE2__
    const __m128i all_a = _mm_set1_epi8(a), all_b = _mm_set1_epi8(b);

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i equal = _mm_or_si128(_mm_cmpeq_epi8(bytes, all_a), _mm_cmpeq_epi8(bytes, all_b));
        int found = _mm_movemask_epi8(equal);
        if (found != 0)
            return at + __builtin_ctz((unsigned)found);
    }
#endif
    for (; at < end; at++)
        if (*at == a || *at == b)
            return at;
    return end;
}

#endif

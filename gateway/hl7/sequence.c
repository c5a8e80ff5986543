#include "hl7/sequence.h"

#define SEQUENCE_DIGITS 15 /* NM(15); fits a long */

static bool sequence_parse(struct span text, long *ret_number)
{
    bool negative = text.length > 0 && text.data[0] == '-';
    size_t at = negative || (text.length > 0 && text.data[0] == '+') ? 1 : 0;
    long number = 0;

    if (text.length == at || text.length - at > SEQUENCE_DIGITS)
        return false;
    for (; at < text.length; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        number = number * 10 + (text.data[at] - '0');
    }
    *ret_number = negative ? -number : number;
    return true;
}

static long sequence_after(long last)
{
    return last == SEQUENCE_NONE ? SEQUENCE_NONE : last + 1;
}

enum sequence_verdict sequence_check(struct span msh13, long last, long *ret_last,
                                     long *ret_expected)
{
    long number;

    *ret_last = last;
    *ret_expected = sequence_after(last);
    if (msh13.length == 0)
        return SEQUENCE_ABSENT;
    if (!sequence_parse(msh13, &number) || number < -1)
        return SEQUENCE_INVALID;
    if (number == 0)
        return SEQUENCE_RESTART;
    if (number == -1) {
        *ret_last = SEQUENCE_NONE;
        *ret_expected = SEQUENCE_NONE;
        return SEQUENCE_RESYNC;
    }
    if (last != SEQUENCE_NONE && number == last)
        return SEQUENCE_REPEATED;
    if (last != SEQUENCE_NONE && number != last + 1)
        return SEQUENCE_WRONG;
    *ret_last = number;
    *ret_expected = number + 1;
    return SEQUENCE_NEXT;
}

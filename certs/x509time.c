#include "certs/x509time.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t TWO_DAYS_S = INT64_C(2) * 86400;

/* Days since 1970-01-01 of the proleptic Gregorian calendar; years are counted from March, so that
 * the leap day is the last of its year. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

int64_t x509time_s(const mbedtls_x509_time *time)
{
    return days_since_1970(time->year, time->mon, time->day) * 86400 + time->hour * INT64_C(3600) +
           time->min * INT64_C(60) + time->sec;
}

void x509time_text(const mbedtls_x509_time *time, int64_t now_s, char ret_text[32])
{
    int64_t away_s = x509time_s(time) - now_s;
    int length = snprintf(ret_text, 32, "%04d-%02d-%02d", time->year, time->mon, time->day);
    if (length > 0 && length < 16 && away_s < TWO_DAYS_S && away_s > -TWO_DAYS_S)
        snprintf(ret_text + length, 32 - (size_t)length, " %02d:%02d UTC", time->hour, time->min);
}

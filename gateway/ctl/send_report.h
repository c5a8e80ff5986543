/*
 * send_report: what `mllpctl send` tells: the progress bar, the summary, and the same as JSON.
 */
#ifndef MLLPGW_CTL_SEND_REPORT_H
#define MLLPGW_CTL_SEND_REPORT_H

#include "ctl/send_engine.h"

/* On standard error, over the line before. */
void send_report_progress(const struct send_totals *totals, int64_t settled, int64_t elapsed_ns);
void send_report_progress_end(void);

void send_report_text(const struct send_totals *totals, FILE *out);
void send_report_json(const struct send_totals *totals, FILE *out);

/* Everything was sent, and every answer that was due is positive. */
bool send_report_is_well(const struct send_totals *totals);

#endif
